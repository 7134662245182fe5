"""The command `rally` where no daemon answers, or not this one, or not any more."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from one_caller import listening
from rallyd import PATIENCE_S, Daemon, Peer, holder, make_env, rally, running, start_rally

from rally import __version__, relay
from rally.wire import frames

Env = dict[str, str]


def read_request(caller: socket.socket) -> None:
    decoder = frames.Decoder()
    while not decoder.feed(caller.recv(65_536)):
        pass


def test_the_first_command_starts_a_daemon_that_stays(env: Env) -> None:
    """Contract R4: nothing has to be set up."""
    first = rally(env, "room", "pid")
    assert first.returncode == 0
    assert int(first.stdout) == holder(env)
    assert rally(env, "room", "pid").stdout == first.stdout
    log = Path(env["XDG_STATE_HOME"], "rally", "rallyd.log").read_text()
    assert f"version {__version__} listens at" in log


def test_the_daemon_is_nobodys(env: Env) -> None:
    """Its own session, the root as folder, no words of who started it, no open files of theirs."""
    read_end, write_end = os.pipe()
    secret = {"RALLY_TOOL": "codex:1", "RALLY_ROOM": "/x", "API_KEY": "secret"}
    process = start_rally({**env, **secret}, "room", "pid", pass_fds=[write_end])
    os.close(write_end)
    output, _ = process.communicate(timeout=PATIENCE_S)
    pid = int(output)
    assert os.read(read_end, 1) == b""
    os.close(read_end)
    assert os.getsid(pid) not in (os.getsid(0), 0)
    assert os.getpgid(pid) != os.getpgid(0)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"RALLY_TOOL" not in environment
    assert b"RALLY_ROOM" not in environment
    assert b"secret" not in environment


def test_many_first_commands_start_one_daemon(env: Env) -> None:
    """Thirty-two at once all get their answer, from the same one."""
    processes = [start_rally(env, "room", "pid") for _ in range(32)]
    ended = [process.communicate(timeout=PATIENCE_S) for process in processes]
    assert {process.returncode for process in processes} == {0}, ended
    assert {output for output, _ in ended} == {str(holder(env)).encode()}
    assert {errors for _, errors in ended} == {b""}


def test_a_killed_daemon_is_replaced_by_the_next_command(env: Env) -> None:
    """The socket that it left behind is no obstacle."""
    with running(env) as daemon:
        daemon.signal(signal.SIGKILL)
        daemon.wait()
    assert int(rally(env, "room", "pid").stdout) == holder(env)


def test_without_a_daemon_it_runs_here_and_starts_none(env: Env) -> None:
    """`RALLY_DAEMON=off` is obeyed, beside a running daemon too."""
    off = {**env, "RALLY_DAEMON": "off"}
    assert rally(off, "room", "pid").stdout == b"direct ['room', 'pid']\n"
    assert not Path(env["RALLY_RUNTIME_DIR"]).exists()
    with running(env):
        assert rally(off, "room", "pid").stdout == b"direct ['room', 'pid']\n"


def test_where_no_daemon_can_be_it_runs_here(env: Env, tmp_path: Path) -> None:
    """No folder for the socket can be made: the command works all the same."""
    (tmp_path / "file").touch()
    ran = rally({**env, "RALLY_RUNTIME_DIR": str(tmp_path / "file" / "run")}, "room", "pid")
    assert (ran.stdout, ran.stderr) == (b"direct ['room', 'pid']\n", b"")


def test_where_the_daemon_does_not_start_it_runs_here(env: Env) -> None:
    """A daemon that ends before it listens is noticed at once."""
    ran = rally({**env, "RALLY_IDLE_EXIT": "soon"}, "room", "pid")
    assert (ran.stdout, ran.stderr) == (b"direct ['room', 'pid']\n", b"")
    assert "RALLY_IDLE_EXIT" in Path(env["XDG_STATE_HOME"], "rally", "rallyd.log").read_text()


def test_a_folder_open_to_others_is_not_trusted(env: Env) -> None:
    """Contract T1: whoever listens there is not spoken to."""
    folder = Path(env["RALLY_RUNTIME_DIR"])
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "rallyd.sock"))
        listener.listen()
        listener.setblocking(False)
        folder.chmod(0o755)
        assert rally(env, "say", "pid").stdout == b"direct ['say', 'pid']\n"
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert [path.name for path in folder.iterdir()] == ["rallyd.sock"]


def test_an_unwritable_log_is_no_obstacle(env: Env, tmp_path: Path) -> None:
    """The daemon starts without one."""
    (tmp_path / "state").touch()
    assert int(rally(env, "room", "pid").stdout) == holder(env)


def test_a_large_log_is_set_aside(env: Env) -> None:
    """It is renamed once, so two files are all that there will ever be."""
    log = Path(env["XDG_STATE_HOME"], "rally", "rallyd.log")
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * 1_100_000)
    rally(env, "room", "pid")
    assert log.with_suffix(".log.1").stat().st_size == 1_100_000
    assert "listens at" in log.read_text()


def test_it_works_in_a_folder_with_a_very_long_name(tmp_path: Path) -> None:
    """Starting, and finding again what was started."""
    env = make_env(tmp_path)
    env["RALLY_RUNTIME_DIR"] = str(tmp_path / ("long" * 40))
    with running(env) as daemon:
        assert int(rally(env, "room", "pid").stdout) == daemon.pid


def test_a_write_whose_answer_is_lost_says_so(daemon: Daemon) -> None:
    """Contract F8: it may or may not have been done, and the words tell how to find out."""
    ran = rally(daemon.env, "say", "die")
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert ran.stderr.startswith(b"error: the daemon went away before it answered")
    assert b"hint: look at `rally log" in ran.stderr


def test_a_lost_answer_has_the_form_of_every_error(daemon: Daemon) -> None:
    """Contract O2."""
    ran = rally(daemon.env, "say", "die", "--json")
    envelope = json.loads(ran.stdout)
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert (envelope["ok"], envelope["product"], envelope["command"]) == (False, "rally", "say")
    assert envelope["schema"] == "rally.error.v1"
    assert envelope["error"]["code"] == "unavailable"
    assert envelope["error"]["exit_code"] == 1


def test_a_question_whose_answer_is_lost_is_asked_here(env: Env) -> None:
    """Contract K0: a check is answered by the direct way before it is given up."""
    for verb in ("check", "room", "wait"):
        assert rally(env, verb, "die").stdout == f"direct ['{verb}', 'die']\n".encode()


def test_a_keyed_write_whose_answer_is_lost_is_done_again_here(daemon: Daemon) -> None:
    """The key makes it one fact; its standard input is still there to be read."""
    words = ("say", "die", "--key=k", "--stdin", "-")
    ran = rally(daemon.env, *words, stdin=b"all of it")
    assert ran.stdout == f"direct {list(words)!a} {'all of it'!a}\n".encode()


def test_half_an_answer_is_not_given_twice(env: Env) -> None:
    """A question that has printed something already is not asked again."""

    def answer(caller: socket.socket) -> None:
        read_request(caller)
        caller.sendall(frames.pack(frames.OUT, b"half"))

    with listening(env, answer):
        ran = rally(env, "room", "pid")
    assert (ran.stdout, ran.returncode) == (b"half", 1)
    assert b"went away" in ran.stderr


def test_what_was_not_read_was_not_begun(env: Env) -> None:
    """A daemon killed before it read the request has done nothing: a new one is asked."""

    def answer(caller: socket.socket) -> None:
        caller.recv(1, socket.MSG_PEEK)

    with listening(env, answer):
        ran = rally(env, "say", "pid")
    assert int(ran.stdout) == holder(env)


def test_a_leaving_daemon_sends_its_caller_on(env: Env) -> None:
    """D means that nothing was begun, so even a write goes on to the next daemon."""

    def answer(caller: socket.socket) -> None:
        read_request(caller)
        caller.sendall(frames.pack(frames.LEAVING))

    with listening(env, answer):
        ran = rally(env, "say", "show", "-", stdin=b"words")
    assert b"b'words'" in ran.stdout


def test_nonsense_from_the_daemon_is_a_lost_answer(env: Env) -> None:
    """It is never taken for success."""

    def answer(caller: socket.socket) -> None:
        read_request(caller)
        caller.sendall(b"\xff" * 64)

    with listening(env, answer):
        assert rally(env, "say", "pid").returncode == 1


def test_a_daemon_that_is_stuck_does_not_keep_its_callers(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while the answer counts as lost."""
    released = threading.Event()

    def answer(caller: socket.socket) -> None:
        read_request(caller)
        released.wait(PATIENCE_S)

    with listening(env, answer):
        monkeypatch.setenv("RALLY_RUNTIME_DIR", env["RALLY_RUNTIME_DIR"])
        request = relay.pack_request(["room", "pid"], None)
        assert relay.ask(request, 0.05) == relay.LOST
        released.set()


def test_an_older_daemon_is_replaced(env: Env) -> None:
    """Its last command is finished by it, the new one is answered by its successor."""
    with running(env, SMALL_VERSION="0.0.9") as old, Peer(env) as peer:
        peer.send_argv("wait", "stream", version="0.0.9")
        peer.receive()
        ran = rally(env, "say", "show", "-", stdin=b"words")
        assert b"b'words'" in ran.stdout
        assert int(rally(env, "room", "pid").stdout) == holder(env) != old.pid
        old.signal(signal.SIGUSR1)
        assert peer.rest()[-1] == (frames.EXIT, b"0")
        assert old.wait() == 0
        assert f"leaving: replaced by version '{__version__}'" in old.log()


def test_many_commands_replace_an_older_daemon_once(env: Env) -> None:
    """None of them replaces the new one."""
    with running(env, SMALL_VERSION="0.0.9") as old:
        processes = [start_rally(env, "room", "pid") for _ in range(16)]
        outputs = {process.communicate(timeout=PATIENCE_S)[0] for process in processes}
        assert outputs == {str(holder(env)).encode()}
        assert old.wait() == 0


def test_a_newer_daemon_stays(env: Env) -> None:
    """The older command runs without it: two versions in use do not drive each other out."""
    with running(env, SMALL_VERSION="99.0") as newer:
        assert rally(env, "room", "pid").stdout == b"direct ['room', 'pid']\n"
        with newer.connect() as peer:
            assert peer.call("ping")["data"]["version"] == "99.0"

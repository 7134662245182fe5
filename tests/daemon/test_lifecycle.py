"""A daemon's coming and going."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from rallyd import PATIENCE_S, SMALL_DAEMON, Daemon, Peer, holder, make_env, running
from small_daemon import SmallRooms, run_argv

from rally.daemon.server import Server
from rally.wire import frames
from rally.wire.door import knock

Env = dict[str, str]

AS_SYSTEMD_DOES = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, sys.argv[2]])
"""


def start_and_wait(env: Env) -> subprocess.CompletedProcess[str]:
    """Run a daemon that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, str(SMALL_DAEMON), "--announce"],
        env=env,
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE_S,
    )


def socket_file(env: Env) -> Path:
    return Path(env["RALLY_RUNTIME_DIR"], "rallyd.sock")


def test_folder_and_socket_are_private(daemon: Daemon) -> None:
    """Contract T1: nobody else can even reach the socket."""
    folder = Path(daemon.env["RALLY_RUNTIME_DIR"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket_file(daemon.env).stat().st_mode) == 0o600
    assert holder(daemon.env) == daemon.pid


def test_a_folder_open_to_others_is_not_used(env: Env) -> None:
    """The daemon does not start there and leaves it as it is; callers do not knock there."""
    folder = Path(env["RALLY_RUNTIME_DIR"])
    folder.mkdir(mode=0o755)
    ended = start_and_wait(env)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "is open to others" in ended.stderr
    assert list(folder.iterdir()) == []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "rallyd.sock"))
        listener.listen()
        assert knock(env) is None


async def test_a_peer_of_another_user_is_closed_out(tmp_path: Path) -> None:
    """Contract T1: the kernel's word decides. The server is told another owner than its caller."""
    address = str(tmp_path / "socket")
    for owner, answer in ((os.geteuid(), b"J"), (os.geteuid() + 1, b"")):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        server, ready = Server(SmallRooms(), run_argv, owner_uid=owner), asyncio.Event()
        serving = asyncio.create_task(server.serve(listener, on_ready=ready.set))
        await ready.wait()
        reader, writer = await asyncio.open_unix_connection(address)
        if answer:
            writer.write(frames.pack(frames.CALL, b'{"id": 1, "op": "ping"}'))
        assert (await reader.read(frames.HEADER_BYTES))[4:5] == answer
        writer.close()
        server.leave("the test is over")
        await serving
        Path(address).unlink()


def test_a_second_daemon_steps_back(daemon: Daemon) -> None:
    """One per user; the loser ends well and the winner does not notice."""
    ended = start_and_wait(daemon.env)
    assert (ended.returncode, ended.stdout) == (0, "taken\n")
    assert "listens already" in ended.stderr
    with daemon.connect() as peer:
        assert peer.call("ping")["data"]["pid"] == daemon.pid


def test_the_socket_of_a_killed_daemon_is_replaced(env: Env) -> None:
    """What a crash leaves behind is in nobody's way."""
    with running(env) as first:
        first.signal(signal.SIGKILL)
        first.wait()
    assert socket_file(env).exists()
    with running(env) as second, second.connect() as peer:
        assert peer.call("ping")["data"]["pid"] == second.pid


def test_a_daemon_whose_socket_was_removed_makes_room(env: Env) -> None:
    """Cleaners of temp folders do that; the next daemon asks the unreachable one to leave."""
    with running(env) as first:
        socket_file(env).unlink()
        with running(env) as second, second.connect() as peer:
            assert first.wait() == 0
            assert peer.call("ping")["data"]["pid"] == second.pid
            assert "asking it to leave" in second.log()
        assert "leaving: SIGTERM" in first.log()


def test_a_leaving_daemon_spares_the_socket_of_another(env: Env) -> None:
    """It removes only the file that it made."""
    with running(env) as daemon:
        socket_file(env).unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(socket_file(env)))
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0
        assert socket_file(env).exists()


def test_it_listens_in_a_folder_with_a_very_long_name(tmp_path: Path) -> None:
    """A path that no socket address can hold is reached all the same."""
    env = make_env(tmp_path)
    env["RALLY_RUNTIME_DIR"] = str(tmp_path / ("long" * 40))
    with running(env) as daemon, daemon.connect() as peer:
        assert peer.call("ping")["ok"]
        knocked = knock(env)
        assert knocked is not None
        knocked.close()


def test_it_leaves_after_idling(env: Env) -> None:
    """Nobody's daemon does not stay for ever; it takes its socket with it."""
    with running(env, RALLY_IDLE_EXIT="1s") as daemon:
        assert daemon.wait() == 0
        assert not socket_file(env).exists()
        assert "leaving: idle for 1 s" in daemon.log()


def test_a_wrong_idle_exit_is_said_at_the_start(env: Env) -> None:
    """It does not guess what was meant."""
    ended = start_and_wait({**env, "RALLY_IDLE_EXIT": "soon"})
    assert ended.returncode == 1
    assert "RALLY_IDLE_EXIT is not a duration: 'soon'" in ended.stderr


def test_sigterm_lets_the_running_command_finish(env: Env, tmp_path: Path) -> None:
    """Who was being served is served; who comes later is sent away at once; rooms are closed."""
    mark = tmp_path / "closed"
    with running(env, CLOSE_MARK=str(mark)) as daemon:
        with daemon.connect() as peer, daemon.connect() as idle:
            peer.send_argv("wait", "stream")
            assert peer.receive() == (frames.OUT, b"first\n")
            assert idle.call("ping")["ok"]
            daemon.signal(signal.SIGTERM)
            assert idle.rest() == [(frames.LEAVING, b"")]
            with pytest.raises(FileNotFoundError):
                daemon.connect()
            daemon.signal(signal.SIGUSR1)
            assert peer.rest() == [(frames.OUT, b"last\n"), (frames.EXIT, b"0")]
        assert daemon.wait() == 0
        assert mark.exists()
        assert "leaving: SIGTERM" in daemon.log()
        assert "stopped" in daemon.log()


def test_a_successor_may_begin_while_the_old_one_finishes(env: Env) -> None:
    """Place and lock are free as soon as the daemon has begun to leave."""
    with running(env) as first, first.connect() as peer, first.connect() as idle:
        peer.send_argv("wait", "stream")
        peer.receive()
        idle.call("ping")
        first.signal(signal.SIGTERM)
        idle.rest()
        with running(env) as second, second.connect() as other:
            assert other.call("ping")["data"]["pid"] == second.pid
            first.signal(signal.SIGUSR1)
            assert peer.rest()[-1] == (frames.EXIT, b"0")
            assert first.wait() == 0
            assert other.call("ping")["ok"]


def test_a_command_that_never_ends_does_not_keep_it(env: Env) -> None:
    """After a grace it is cancelled; its client sees no exit code, and no word that it never ran."""
    with running(env) as daemon, daemon.connect() as peer, daemon.connect() as caller:
        peer.send_argv("wait", "stream")
        peer.receive()
        caller.send_call(1, "block")
        caller.send_call(2, "await-sign", sign="call-began")
        caller.receive_json()
        daemon.signal(signal.SIGTERM)
        assert peer.rest() == []
        assert caller.rest() == []
        assert daemon.wait() == 0
        assert "gave up 2 requests" in daemon.log()


def test_a_leaving_daemon_begins_no_calls(env: Env) -> None:
    """A connection that is still busy is told so for each new request."""
    with running(env) as daemon, daemon.connect() as caller, daemon.connect() as idle:
        caller.send_call(1, "block", name="argv")
        caller.send_call(2, "await-sign", sign="argv-began")
        caller.receive_json()
        idle.call("ping")
        daemon.signal(signal.SIGTERM)
        idle.rest()
        caller.send_call(3, "echo")
        assert caller.receive_json()["error"]["code"] == "unavailable"
        daemon.signal(signal.SIGUSR1)
        assert caller.receive_json()["id"] == 1
        assert caller.rest() == [(frames.LEAVING, b"")]


def test_who_waits_at_the_door_of_a_leaving_daemon_is_answered(env: Env) -> None:
    """Each gets its whole answer or the word that nothing was begun: never silence."""
    with running(env) as daemon:
        daemon.signal(signal.SIGSTOP)
        peers = [Peer(env) for _ in range(50)]
        for peer in peers:
            peer.send_argv("room", "pid")
        daemon.signal(signal.SIGTERM)
        daemon.signal(signal.SIGCONT)
        for peer in peers:
            assert peer.rest()[-1] in ((frames.EXIT, b"0"), (frames.LEAVING, b""))
            peer.sock.close()
        assert daemon.wait() == 0


def test_it_stops_when_it_is_asked_to(daemon: Daemon) -> None:
    """The call `stop` is answered before the daemon goes."""
    with daemon.connect() as peer:
        assert peer.call("stop")["data"]["pid"] == daemon.pid
        assert peer.rest() == [(frames.LEAVING, b"")]
    assert daemon.wait() == 0


def test_who_stops_it_is_let_go_when_the_rooms_are_closed(env: Env, tmp_path: Path) -> None:
    """Whoever copies or moves a ledger after `daemon stop` has it whole, and to itself."""
    mark = tmp_path / "closed"
    with running(env, CLOSE_MARK=str(mark)) as daemon, daemon.connect() as peer:
        with daemon.connect() as busy:
            busy.send_argv("wait", "stream")
            busy.receive()
            peer.call("stop")
            assert not mark.exists()
            daemon.signal(signal.SIGUSR1)
            assert busy.rest()[-1] == (frames.EXIT, b"0")
        peer.rest()
        assert mark.exists()
        assert daemon.wait() == 0


def test_it_takes_its_socket_from_systemd(env: Env, tmp_path: Path) -> None:
    """Handed over as descriptor 3; it says when it is ready, and leaves the file to systemd."""
    folder = Path(env["RALLY_RUNTIME_DIR"])
    folder.mkdir(mode=0o700)
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices,
    ):
        notices.settimeout(PATIENCE_S)
        notices.bind(str(tmp_path / "notify"))
        listener.bind(str(socket_file(env)))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-c", AS_SYSTEMD_DOES, str(listener.fileno()), str(SMALL_DAEMON)],
            env={**env, "LISTEN_FDS": "1", "NOTIFY_SOCKET": notices.getsockname()},
            pass_fds=[listener.fileno()],
        )
        try:
            assert notices.recv(64) == b"READY=1"
            with Peer(env) as peer:
                assert peer.call("ping")["data"]["systemd"] is True
                peer.send(frames.DRAIN, b"99.0.0")
                assert peer.rest()[0][0] == frames.VERSION
            process.send_signal(signal.SIGTERM)
            assert notices.recv(64) == b"STOPPING=1"
            assert process.wait(PATIENCE_S) == 0
            assert socket_file(env).exists()
        finally:
            process.kill()
            process.wait()


async def test_a_connection_puts_the_idle_exit_off(tmp_path: Path) -> None:
    """Whoever is connected may ask again; once the last one has gone, the time runs."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    listener.listen()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "socket"))
    server = Server(SmallRooms(), run_argv)
    serving = asyncio.create_task(server.serve(listener, idle_s=0.001))
    for _ in range(50):
        writer.write(frames.pack(frames.CALL, b'{"id": 1, "op": "ping"}'))
        header = await reader.readexactly(frames.HEADER_BYTES)
        assert header[4:] == frames.JSON
        await reader.readexactly(int.from_bytes(header[:4], "big"))
    assert not serving.done()
    writer.close()
    await asyncio.wait_for(serving, 20)


def test_running_out_of_descriptors_is_survived(daemon: Daemon) -> None:
    """Who is connected is served, who waits is accepted later, and the log says it once."""
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (30, 30))
    peers = [daemon.connect() for _ in range(60)]
    assert peers[0].call("ping")["ok"]
    peers[-1].send_call(1, "ping")
    for peer in peers[:-1]:
        peer.sock.close()
    assert peers[-1].receive_json()["ok"]
    peers[-1].sock.close()
    assert daemon.log().count("cannot accept connections: Too many open files") >= 1

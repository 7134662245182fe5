"""`rally hold`: a command that runs while a claim is held (contract X4)."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys

import pytest
from runner_room import HERE, PATIENCE_S, RALLY, Room, is_alive

HOLD = ("hold", "--tool", "claude:1", "--path", "src/gen")
# Answers each signal in its own way, after it has said that it is ready to.
LISTENER = (
    "import os, signal, sys\n"
    "def told(number, _): os.write(1, f'got {signal.Signals(number).name}\\n'.encode())\n"
    "for name in sys.argv[1:]: signal.signal(getattr(signal, name), told)\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))\n"
    "os.write(1, b'ready\\n')\n"
    "while True: signal.pause()\n"
)


def held(room: Room) -> list[dict[str, object]]:
    claims = room.ask("room")["active_claims"]
    assert isinstance(claims, list)
    return claims


def test_the_claim_is_held_while_the_command_runs_and_then_released(room: Room) -> None:
    """The command finds the fence, and everybody else finds the claim."""
    check = "rally check before-write --strict --tool claude:1 --path src/gen/x"
    program = f'test -n "$RALLY_FENCE" && rally room --json && {check} --fence "$RALLY_FENCE" >&2'
    done = room.run(*HOLD, "--resource", "port:1", "--", "sh", "-c", program)
    assert done.returncode == 0, done
    assert b'"paths":["src/gen"]' in done.stdout
    assert b'"resources":["port:1"]' in done.stdout
    assert b'"subject":"hold: sh"' in done.stdout
    assert held(room) == []
    assert [fact["kind"] for fact in room.facts()] == ["claim", "release"]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 77, 255])
def test_the_exit_code_is_the_commands(room: Room, code: int) -> None:
    """Whatever it is, and the claim is released."""
    assert room.run(*HOLD, "sh", "-c", f"exit {code}").returncode == code
    assert held(room) == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV"])
def test_a_command_that_a_signal_ended_gives_128_and_its_number(room: Room, name: str) -> None:
    """As a shell says it; and the claim is released."""
    number = getattr(signal, name)
    assert room.run(*HOLD, "--", "sh", "-c", f"kill -{number} $$").returncode == 128 + number
    assert held(room) == []


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [("nonesuch", 127, b"command not found"), ("./plain", 126, b"Permission denied"),
     ("./broken", 126, b"Exec format error")],
)  # fmt: skip
def test_a_command_that_cannot_be_started_releases_the_claim(
    room: Room, command: str, code: int, text: bytes
) -> None:
    """127 not found, 126 not executable, as a shell says it."""
    (room.root / "plain").write_text("x")
    broken = room.root / "broken"
    broken.write_bytes(b"\x00\x01")
    broken.chmod(0o755)
    done = room.run(*HOLD, "--", command)
    assert done.returncode == code
    assert text in done.stderr
    assert held(room) == []


def test_refused_the_command_is_not_started(room: Room) -> None:
    """Exit 3 with who holds it; so is a claim on nothing, and nobody."""
    room.say("claim", "--path", "src", tool="other:1")
    code, error = room.error(*HOLD[:1], "--json", *HOLD[1:], "touch", "started")
    assert (code, error["code"]) == (3, "claim-conflict")
    assert error["details"]["conflicts"][0]["owner"] == "other:1"
    hint = "rally hold --tool claude:1 --path src/gen --wait 5m -- touch started --json"
    assert error["hint"] == hint  # all words behind the command are the command's
    assert room.run("hold", "--tool", "claude:1", "--", "touch", "started").returncode == 2
    assert room.run("hold", "--path", "x", "--", "touch", "started").returncode == 2
    assert room.run(*HOLD, "--ttl", "0s", "--", "touch", "started").returncode == 2
    assert room.run(*HOLD).returncode == 2
    assert not (room.root / "started").exists()


def test_two_of_one_tool_take_turns(room: Room) -> None:
    """Each process is an owner of its own, as with flock(1), unless a session is named."""
    go = room.fifo("go")
    first = room.start(*HOLD, "--", "sh", "-c", f"echo in; read line < {go}")
    assert first.line() == b"in"
    assert room.run(*HOLD, "--", "true").returncode == 3
    second = room.start(*HOLD, "--wait", "60s", "--", "echo", "later")
    assert room.run(*HOLD, "--mode", "shared", "--", "true").returncode == 3
    go.write("on\n")
    assert second.line() == b"later"
    assert (first.wait(), second.wait()) == (0, 0)
    go.close()


def test_the_owners_own_claim_does_not_stand_in_the_way(room: Room) -> None:
    """With the session that RALLY_SESSION_ID names, both are the same owner (contract C5)."""
    room.say("claim", "--path", "src", "--session-id", "s1", tool="claude:1")
    session = {"RALLY_SESSION_ID": "s1"}
    assert room.run(*HOLD, "--", "true", env=session).returncode == 0
    assert room.run(*HOLD, "--", "true").returncode == 3
    assert [claim["paths"] for claim in held(room)] == [["src"]]


def test_standard_input_output_and_other_descriptors_are_the_commands(room: Room) -> None:
    """As if it had been called directly; a word `-` behind the command is the command's."""
    done = room.run(*HOLD, "cat", "-", stdin=b"a line\n")
    assert (done.returncode, done.stdout) == (0, b"a line\n")
    script = f"{RALLY} {' '.join(HOLD)} -- sh -c 'echo third >&3' 3>kept"
    assert room.start_program(["sh", "-c", script]).wait() == 0
    assert (room.root / "kept").read_text() == "third\n"


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
def test_signals_are_passed_on(room: Room, name: str) -> None:
    """Once each, and `hold` outlives them; SIGTERM too, with the exit code that came of it."""
    hold = room.start(*HOLD, "--", sys.executable, "-c", LISTENER, name)
    assert hold.line() == b"ready"
    hold.send(getattr(signal, name))
    assert hold.line() == f"got {name}".encode()
    hold.send(signal.SIGTERM)
    assert hold.line() is None
    assert hold.wait() == 42
    assert held(room) == []


def test_what_was_ignored_stays_ignored(room: Room) -> None:
    """`nohup rally hold …`: neither `hold` nor its command hears of the hang-up."""
    program = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, flush=True)"
    done = room.start_program(
        [
            "sh",
            "-c",
            f"trap '' HUP; exec {RALLY} {' '.join(HOLD)} -- {sys.executable} -c '{program}'",
        ]
    )
    assert done.line() == b"True"
    assert done.wait() == 0


def test_no_signal_is_blocked_in_the_command(room: Room) -> None:
    """It could neither be interrupted nor end its own children."""
    program = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    done = room.run(*HOLD, "--", sys.executable, "-c", program)
    assert done.stdout == b"set()\n"


class Terminal:
    """A pseudo-terminal in whose foreground a command runs."""

    def __init__(self, room: Room, *words: str) -> None:
        self.master, slave = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "terminal_hold.py"), *words],
            cwd=room.root, env=room.env, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.shown = b""

    def until(self, text: bytes) -> None:
        """Read on until this is shown."""
        while text not in self.shown:
            ready, _, _ = select.select([self.master], [], [], PATIENCE_S)
            if not ready:
                os.killpg(os.tcgetpgrp(self.master), signal.SIGKILL)
                self.end()
            assert ready, self.shown
            self.shown += os.read(self.master, 4_096)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def end(self) -> int:
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self.master)


# A Python without sigtimedwait(2), as on macOS: who sent a signal can then only be guessed.
GUESSING = [
    sys.executable, "-c",
    ("import signal, sys; del signal.sigtimedwait; from rally.cli.app import main; "
     "sys.exit(main(sys.argv[1:]))"),
]  # fmt: skip


@pytest.mark.parametrize("program", [[RALLY], GUESSING], ids=["asking", "guessing"])
def test_ctrl_c_reaches_the_command_once(room: Room, program: list[str]) -> None:
    """The terminal sends it to the whole group; `hold` must not send it again."""
    terminal = Terminal(room, *program, *HOLD, "--", sys.executable, "-c", LISTENER, "SIGINT")
    terminal.until(b"ready")
    terminal.type(b"\x03")
    terminal.until(b"got SIGINT")
    (hold,) = held(room)
    pid = int(str(hold["session_id"]).split("-")[1])
    os.kill(pid, signal.SIGTERM)
    assert terminal.end() == 42
    assert terminal.shown.count(b"got SIGINT") == 1
    assert held(room) == []


def test_a_signal_to_hold_alone_is_passed_on_in_the_foreground_too(room: Room) -> None:
    """The kernel says who sent it, so `kill -INT` is not taken for the keyboard's."""
    terminal = Terminal(room, RALLY, *HOLD, "--", sys.executable, "-c", LISTENER, "SIGINT")
    terminal.until(b"ready")
    (hold,) = held(room)
    pid = int(str(hold["session_id"]).split("-")[1])
    os.kill(pid, signal.SIGINT)
    terminal.until(b"got SIGINT")
    os.kill(pid, signal.SIGTERM)
    assert terminal.end() == 42


def test_without_asking_the_kernel_signals_are_passed_on_too(room: Room) -> None:
    """And the end of the command is noticed."""
    hold = room.start_program([*GUESSING, *HOLD, "--", sys.executable, "-c", LISTENER, "SIGINT"])
    assert hold.line() == b"ready"
    hold.send(signal.SIGINT)
    assert hold.line() == b"got SIGINT"
    hold.send(signal.SIGTERM)
    assert hold.wait() == 42
    assert held(room) == []


def test_ctrl_z_stops_both_and_the_command_goes_on_with_the_job(room: Room) -> None:
    """Both are in the terminal's foreground group, so job control is the shell's and nobody else's."""
    terminal = Terminal(room, RALLY, *HOLD, "--", sys.executable, "-c", LISTENER, "SIGCONT")
    terminal.until(b"ready")
    (hold,) = held(room)
    pid = int(str(hold["session_id"]).split("-")[1])
    assert os.getpgid(pid) == os.tcgetpgrp(terminal.master)
    terminal.type(b"\x1a")
    terminal.until(b"stopped")
    terminal.until(b"got SIGCONT")
    os.kill(pid, signal.SIGTERM)
    assert terminal.end() == 42


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_giving_up_the_wait_leaves_the_queue(room: Room, number: int, code: int) -> None:
    """The command was never started, and nothing stays claimed or queued."""
    room.say("claim", "--path", "src", tool="other:1")
    waiting = room.start(*HOLD, "--wait", "60s", "--", "touch", "started")
    while not room.ask("room")["waiting"]:
        assert waiting.process.poll() is None
    waiting.send(number)
    assert waiting.wait() == code
    assert room.ask("room")["waiting"] == []
    assert [claim["tool"] for claim in held(room)] == ["other:1"]
    assert not (room.root / "started").exists()


def test_the_lease_is_renewed_while_the_command_runs(room: Room) -> None:
    """A command longer than its lease keeps the claim: others are refused after the first lease."""
    go = room.fifo("go")
    hold = room.start(*HOLD, "--ttl", "2s", "--", "sh", "-c", f"echo in; read line < {go}")
    assert hold.line() == b"in"
    first_end = held(room)[0]["lease_expires_at"]
    while str(held(room)[0]["lease_expires_at"]) <= str(first_end):
        pass
    assert [fact["kind"] for fact in room.facts()][:2] == ["claim", "renew"]
    go.write("on\n")
    assert hold.wait() == 0
    assert hold.errors() == ""
    go.close()


def test_a_lost_lease_is_told_and_the_command_runs_on(room: Room) -> None:
    """Somebody with the right to ended the claim; the exit code is still the command's."""
    go = room.fifo("go")
    hold = room.start(*HOLD, "--ttl", "1s", "--", "sh", "-c", f"echo in; read line < {go}; exit 5")
    assert hold.line() == b"in"
    claim = str(held(room)[0]["event_id"])
    room.say("release", "--ref", claim, "--force", "--reason", "mine now", tool="human")
    room.say("claim", "--path", "src", tool="other:1")
    assert hold.process.stderr is not None
    warning = hold.process.stderr.readline().decode()
    assert f"the lease of {claim} is over and others may write" in warning
    go.write("on\n")
    assert hold.wait() == 5
    assert [one["tool"] for one in held(room)] == ["other:1"]
    go.close()


def test_killed_its_lease_lapses(room: Room) -> None:
    """Nobody releases for it; the next one gets it when the time is over."""
    pids = room.fifo("pids")
    hold = room.start(*HOLD, "--ttl", "1s", "--", "sh", "-c", f"echo $$ > {pids}; exec sleep 1000")
    child = int(pids.read())
    hold.send(signal.SIGKILL)
    hold.wait()
    assert is_alive(child)
    os.kill(child, signal.SIGKILL)
    assert room.run(*HOLD, "--wait", "30s", "--", "true").returncode == 0
    pids.close()


def test_with_json_standard_output_is_one_object(room: Room) -> None:
    """O1: claim, fence and exit code; what the command prints goes to standard error, also when it
    prints JSON. The code is passed on as well."""
    done = room.run(*HOLD, "--json", "--", "sh", "-c", "echo '{}'; echo err >&2; exit 9")
    assert done.returncode == 9
    answer = json.loads(done.stdout)
    assert answer["data"]["hold"]["exit_code"] == 9
    assert done.stderr.splitlines() == [b"{}", b"err"]


def test_with_json_an_interrupted_wait_is_an_object_too(room: Room) -> None:
    """O2: the error envelope, with the code of the signal."""
    room.say("claim", "--path", "src", tool="other:1")
    waiting = room.start(*HOLD[:1], "--json", *HOLD[1:], "--wait", "60s", "--", "true")
    while not room.ask("room")["waiting"]:
        assert waiting.process.poll() is None
    waiting.send(signal.SIGTERM)
    assert waiting.wait() == 143
    assert waiting.process.stdout is not None
    error = json.loads(waiting.process.stdout.read())["error"]
    assert (error["code"], error["exit_code"]) == ("interrupted", 143)


def test_without_a_daemon_it_holds_too(room: Room) -> None:
    """RALLY_DAEMON=off: claimed, released, refused while held."""
    room.env["RALLY_DAEMON"] = "off"
    go = room.fifo("go")
    hold = room.start(*HOLD, "--", "sh", "-c", f"echo in; read line < {go}")
    assert hold.line() == b"in"
    assert room.run(*HOLD, "--", "true").returncode == 3
    go.write("on\n")
    assert hold.wait() == 0
    assert held(room) == []
    go.close()

"""The runners: what `watch` fires and how often, agents in tmux, the units, and `hold`."""

from __future__ import annotations

import configparser
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from contract_room import DIRECT, PATIENCE_S, REPOSITORY, Doc, Room, World

PAST = "2020-01-01T00:00:00Z"
EVENTS = {"activity", "fired", "finished", "failed", "skipped", "heartbeat", "stopped"}
READER = str(REPOSITORY / "tests" / "sessions" / "reader.py")


def due(room: Room, tool: str = "t", **fields: Any) -> str:
    """A standby of a tool that is here, to be woken now."""
    room.data("enter", "--tool", tool)
    fields.setdefault("wake_after", PAST)
    return str(room.say("standby", tool, **fields)["event_id"])


def events(text: str) -> list[Doc]:
    """The JSON lines of a watcher."""
    found = [json.loads(line) for line in text.splitlines()]
    assert {one["event"] for one in found} <= EVENTS
    return found


def watch(room: Room, *words: str, exits: int = 0) -> list[Doc]:
    """What `watch --once` did."""
    answer = room.run("watch", "--once", "--json", *words)
    assert (answer.code, answer.err) == (exits, ""), answer
    return events(answer.out)


def named(found: list[Doc], name: str) -> list[Doc]:
    return [one for one in found if one["event"] == name]


class Watcher:
    """A `watch` that stays, and the events that it prints; it ends with the block."""

    def __init__(self, room: Room, *words: str) -> None:
        self.process = room.start("watch", "--json", *words)
        self.seen: list[Doc] = []
        self._deadline = time.monotonic() + PATIENCE_S
        self._unread = b""

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def until(self, name: str, count: int = 1) -> Doc:
        """The event of that name and number."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        while len(named(self.seen, name)) < count:
            left = self._deadline - time.monotonic()
            assert select.select([descriptor], [], [], max(left, 0))[0], self.seen
            piece = os.read(descriptor, 65_536)
            assert piece, self.seen
            whole, _, self._unread = (self._unread + piece).rpartition(b"\n")
            self.seen += events(whole.decode())
        return named(self.seen, name)[count - 1]

    def end(self) -> list[Doc]:
        """SIGTERM, and all that was printed."""
        self.process.send_signal(signal.SIGTERM)
        return self.rest()

    def rest(self) -> list[Doc]:
        """All that was printed, to the end."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert (self.process.returncode, err) == (0, b"")
        self.seen += events((self._unread + out).decode())
        assert self.seen[-1]["event"] == "stopped"
        return self.seen


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def variables(path: Path) -> dict[str, str]:
    """What a command wrote with `env`."""
    pairs = (line.split("=", 1) for line in lines(path) if line.startswith("RALLY_"))
    return dict(pairs)


# --- X1: watch ------------------------------------------------------------------------------------


def test_a_due_standby_is_fired_once_with_its_suggested_command(room: Room) -> None:
    """X1, P6: the firing is a claim of the label on `wake:<id>`, and stands in the ledger."""
    standby = due(room)
    (wanted,) = room.data("wake-due")["due"]
    found = watch(room, "--tool", "cron:1")
    assert [one["event"] for one in found] == ["fired", "finished", "stopped"]
    assert found[0]["standby_event_id"] == standby
    assert found[0]["command"] == wanted["suggested_command"] == "rally next --tool t --json"
    (claim,) = room.facts("--kind", "claim")
    assert (claim["tool"], claim["resources"]) == ("cron:1", [f"wake:{standby}"])
    assert room.data("room")["active_claims"] == []
    assert [one["event"] for one in watch(room, "--tool", "cron:2")] == ["stopped"]


def test_commands_find_the_documented_variables(warm: Room) -> None:
    """X1: for a wake whose and which it is, for activity from where to where; never the other's."""
    watch(warm, "--on-activity", "true")
    standby = due(warm, run="r", step="s")
    show = "env > $0.env; rally room --json > $0.room; echo noise; pwd > $0.cwd"
    found = watch(
        warm, "--on-wake", show.replace("$0", "wake"), "--on-activity", show.replace("$0", "act")
    )
    assert len(named(found, "finished")) == 2
    wake, activity = variables(warm.root / "wake.env"), variables(warm.root / "act.env")
    common = {"RALLY_ROOM": str(warm.root), "RALLY_WATCH": "watch"}
    woken = {"RALLY_TOOL": "t", "RALLY_STANDBY_ID": standby, "RALLY_RUN": "r", "RALLY_STEP": "s"}
    assert wake.items() >= {**common, **woken}.items()
    assert activity.items() >= {**common, "RALLY_FROM_SEQ": "1", "RALLY_TO_SEQ": "2"}.items()
    assert not {"RALLY_FROM_SEQ", "RALLY_TO_SEQ"} & set(wake)
    assert not set(woken) & set(activity)
    assert lines(warm.root / "wake.cwd") == [str(warm.root)]
    held = json.loads((warm.root / "wake.room").read_text())["data"]["room"]["active_claims"]
    assert [f"wake:{standby}"] in [one["resources"] for one in held]


def test_activity_is_told_once_for_each_batch_and_a_label_keeps_its_place(warm: Room) -> None:
    """X1: the first call starts at the head; what a watcher's own commands say starts nothing."""
    act = "echo $RALLY_FROM_SEQ $RALLY_TO_SEQ >> $RALLY_WATCH; rally say note --tool a --subject c"
    warm.say("note", "a", subject="before")
    watch(warm, "--tool", "l1", "--on-activity", act)
    first = warm.say("note", "a", subject="x")["seq"]
    last = warm.say("note", "a", subject="y")["seq"]
    watch(warm, "--tool", "l1", "--on-activity", act)
    watch(warm, "--tool", "l1", "--on-activity", act)
    watch(warm, "--tool", "l2", "--on-activity", act)
    again = warm.say("note", "a", subject="z")["seq"]
    (told,) = named(watch(warm, "--tool", "l1", "--on-activity", act), "activity")
    assert (told["from_seq"], told["to_seq"]) == (again, again)
    assert lines(warm.root / "l1") == [f"{first} {last}", f"{again} {again}"]
    assert lines(warm.root / "l2") == []
    watch(warm, "--tool", "l2", "--kind", "risk", "--on-activity", act)
    assert lines(warm.root / "l2") == []


def test_overlapping_calls_fire_a_standby_once(warm: Room) -> None:
    """X1: six at once, of one label and of several, behind the daemon and without it."""
    due(warm)
    calls = [
        (warm.directly if turn % 2 else warm).start(
            "watch",
            "--once",
            "--json",
            "--tool",
            f"l{turn // 2 % 2}",
            "--on-wake",
            "echo x >> fired",
        )
        for turn in range(6)
    ]
    found = [
        one for call in calls for one in events(call.communicate(timeout=PATIENCE_S)[0].decode())
    ]
    assert [call.returncode for call in calls] == [0] * 6
    assert lines(warm.root / "fired") == ["x"]
    assert len(named(found, "fired")) == 1


def test_what_another_holds_is_skipped(warm: Room) -> None:
    """X1: the claim on the resource excludes other watchers, whoever took it."""
    standby = due(warm)
    warm.say("claim", "other", resource=f"wake:{standby}")
    found = watch(warm)
    assert named(found, "fired") == []
    assert named(found, "skipped")


def test_once_retries_nothing_and_the_fifth_failure_is_a_risk(warm: Room) -> None:
    """X1: each call is one attempt; after five there is one `risk` fact and no more attempts."""
    due(warm)
    for attempt in range(1, 6):
        (failed,) = named(watch(warm, "--on-wake", "echo x >> tried; exit 7"), "failed")
        assert (failed["attempt"], failed["exit_code"]) == (attempt, 7)
        if attempt == 4:
            assert warm.facts("--kind", "risk") == []
    assert named(watch(warm, "--on-wake", "echo x >> tried"), "fired") == []
    assert lines(warm.root / "tried") == ["x"] * 5
    assert len(warm.facts("--kind", "risk")) == 1


def test_a_watcher_that_stays_pauses_longer_each_time(warm: Room) -> None:
    """X1: a second, then twice as long; what chance adds keeps watchers apart."""

    def pause_s(failed: Doc) -> float:
        begin, end = (datetime.fromisoformat(failed[name]) for name in ("at", "retry_at"))
        return (end - begin).total_seconds()

    due(warm)
    with Watcher(warm, "--on-wake", "exit 1") as watcher:
        first, second = watcher.until("failed", 1), watcher.until("failed", 2)
        again = watcher.until("fired", 2)
        watcher.end()
    assert 0.9 <= pause_s(first) < 2.0 <= pause_s(second) + 0.1 < 4.0
    assert again["at"] >= first["retry_at"]


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(warm: Room) -> None:
    """X1: a time-out is a failure; nothing is left running."""
    due(warm)
    os.mkfifo(warm.root / "alive")
    reader = os.open(warm.root / "alive", os.O_RDONLY | os.O_NONBLOCK)
    try:
        words = ("--timeout", "1s", "--on-wake", "exec > alive; echo up; sleep 600 & wait")
        assert len(named(watch(warm, *words), "failed")) == 1
        assert os.read(reader, 100) == b"up\n"
        assert os.read(reader, 100) == b""  # nobody has the other end any more
    finally:
        os.close(reader)


def test_a_watcher_that_stays_wakes_in_time_and_hears_of_activity(room: Room) -> None:
    """X1: it sleeps until the next due time or the next fact."""
    room.data("enter", "--tool", "t")
    tell = "echo $RALLY_TO_SEQ >> told"
    with Watcher(room, "--on-wake", "true", "--on-activity", tell) as watcher:
        watcher.until("heartbeat")
        seq = room.say("note", "t", subject="x")["seq"]
        assert watcher.until("activity")["to_seq"] == seq
        watcher.until("finished")
        standby = room.say("standby", "t", wake_after="+1s")["event_id"]
        assert watcher.until("fired")["standby_event_id"] == standby
        watcher.end()
    assert lines(room.root / "told")[0] == str(seq)


def test_sigterm_starts_nothing_and_waits_for_what_runs(warm: Room) -> None:
    """X1: exit 0, and the last event is `stopped`."""
    due(warm, "t1")
    due(warm, "t2")
    os.mkfifo(warm.root / "go")
    with Watcher(warm, "--max-concurrent", "1", "--on-wake", "cat go; touch done") as watcher:
        watcher.until("fired")
        watcher.process.send_signal(signal.SIGTERM)
        warm.data("room")  # takes far longer than a signal
        assert watcher.process.poll() is None
        (warm.root / "go").write_text("")
        found = [one for one in watcher.rest() if one["event"] in ("fired", "finished", "stopped")]
    assert [one["event"] for one in found] == ["fired", "finished", "stopped"]
    assert (warm.root / "done").exists()


def test_a_dry_run_tells_and_does_nothing(warm: Room) -> None:
    """X1: no command, no fact, and the label's place stays where it was."""
    watch(warm, "--on-activity", "echo x >> told")
    standby = due(warm)
    head = warm.head()
    both = ("--on-wake", "touch woken", "--on-activity", "echo x >> told")
    assert standby in json.dumps(watch(warm, "--dry-run", *both))
    assert (warm.head(), os.listdir(warm.root)) == (head, [".rally"])
    watch(warm, *both)
    assert lines(warm.root / "told") == ["x"]


def test_a_wrong_word_for_watch_is_a_usage_error(warm: Room) -> None:
    """X1, O2: with the value in the message; nothing is fired or written."""
    for flag, value in (
        ("--kind", "no-such"), ("--interval", "0s"), ("--max-interval", "-1s"), ("--duration", "0s"),
        ("--timeout", "soon"), ("--max-concurrent", "0"), ("--tool", "a b"), ("--print-unit", "upstart"),
    ):  # fmt: skip
        answer = warm.run("watch", "--once", "--json", f"{flag}={value}")
        assert answer.code == 2, answer
        assert value in answer.error["message"]
    assert list(warm.root.iterdir()) == []


# --- X2: agents in tmux ---------------------------------------------------------------------------


class Terminals:
    """A tmux server of its own for the rooms of this module."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.folder = tempfile.mkdtemp(prefix="rx")  # short: a socket's name is, too
        world.env["TMUX_TMPDIR"] = self.folder

    def tmux(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", *words], env=self.world.env, capture_output=True, text=True, check=check,
            timeout=PATIENCE_S,
        )  # fmt: skip
        return done.stdout

    def close(self) -> None:
        self.tmux("kill-server", check=False)
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def terminals(world: World) -> Iterator[Terminals]:
    one = Terminals(world)
    yield one
    one.close()


def start(room: Room, name: str, *command: str, **fields: str) -> Doc:
    """A managed agent."""
    words = [word for key, value in fields.items() for word in (f"--{key}", value)]
    command_json = ("--command-json", json.dumps(command))
    return room.data("run", "stub", "--name", name, *command_json, *words)


def shown(room: Room, target: str) -> str:
    """A session's screen, once there is something on it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (screen := room.data("capture", target)["lines"]):
        assert time.monotonic() < deadline
    return "".join(screen)


def sessions(room: Room) -> list[str]:
    return [one["name"] for one in room.data("sessions")["sessions"]]


def test_an_agent_is_started_listed_captured_and_stopped(warm: Room, terminals: Terminals) -> None:
    """X2: in the room's root, with its name and tool; a target is either of them."""
    warm.data("enter", "--tool", "lead:1")
    sub = warm.root / "sub"
    sub.mkdir()
    told = "echo $(pwd) $RALLY_TOOL $RALLY_ROOM; exec cat"
    words = ("--tool", "stub:7", "--command-json", json.dumps(["sh", "-c", told]))
    warm.data("run", "stub", "--name", "n1", *words, cwd=sub)
    assert shown(warm, "n1").split() == [str(warm.root), "stub:7", str(warm.root)]
    assert shown(warm, "stub:7") == shown(warm, "n1")
    (session,) = warm.data("sessions")["sessions"]
    assert (session["name"], session["tool"]) == ("n1", "stub:7")
    assert warm.facts("--kind", "session")
    assert "n1" in warm.refused(3, "name-taken", "run", "stub", "--name", "n1", *words)["message"]
    assert warm.data("attach", "stub:7")["name"] == "n1"
    assert warm.run("attach", "n1").code == 2  # there is no terminal
    warm.directly.data("stop", "n1")
    assert sessions(warm) == []
    warm.refused(2, "unknown-session", "stop", "n1")


def test_a_text_arrives_as_one_bracketed_paste(warm: Room, terminals: Terminals) -> None:
    """X2: control characters are out, everything else is there byte for byte, then Enter."""
    start(warm, "n1", sys.executable, READER, "got", "r")
    terminals.tmux("wait-for", "r-ready")
    text = 'it\'s "two" $HOME `x`\nlines\t\N{SNOWMAN};'
    data = warm.data("inject", "n1", "--text", f"\x1b[201~{text}\x07\x9b\u202e", "--no-enter")
    assert (data["reached_target"], data["queued"]) == (True, False)
    assert data["ack"]["received"] is False
    warm.data("inject", "n1", "--text", "-", stdin=b"x" * 65_536)
    terminals.tmux("wait-for", "r-enter")
    pastes = (warm.root / "got").read_bytes().replace(b"\r", b"\n").split(b"\x1b[200~")[1:]
    assert pastes[0] == b"[201~" + text.encode() + b"\x1b[201~"
    assert pastes[1] == b"x" * 65_536 + b"\x1b[201~\n"
    for wrong in (["--text", ""], ["--text", "x", "--handoff", "y"], [], ["--handoff", "none"]):
        assert warm.ask("inject", "n1", *wrong, exits=2).error["hint"]
    too_long = warm.ask("inject", "n1", "--text", "-", stdin=b"x" * 65_537, exits=2).error
    assert too_long["code"] == "too-long"
    warm.data("stop", "n1")


ACKNOWLEDGES = """
import subprocess, sys
for line in sys.stdin:
    if "rally say receipt" in line and "rejected" not in line:
        subprocess.run(["sh", "-c", line], check=True)
"""


def test_inject_tells_reached_queued_and_acknowledged_apart(
    warm: Room, terminals: Terminals
) -> None:
    """X2: an acknowledgement is a receipt of the target; what is not there waits in the inbox."""
    wish = ("--require-ack", "--timeout")
    session = start(warm, "n1", sys.executable, "-c", ACKNOWLEDGES, tool="stub:1")
    handoff = warm.say("handoff", "lead:1", target="stub:1", subject="x")["event_id"]
    data = warm.data("inject", "stub:1", "--handoff", handoff, *wish, "30s")
    receipt = warm.facts("--kind", "receipt")[-1]["event_id"]
    seen = {"received": True, "state": "acked", "event_id": receipt, "timed_out": False}
    assert (data["reached_target"], data["queued"], data["ack"]) == (True, False, seen)
    terminals.tmux("copy-mode", "-t", session["pane"])
    data = warm.data("inject", "n1", "--text", "look")
    assert (data["reached_target"], data["queued"]) == (False, True)
    assert data["reason"] == "copy-mode"
    warm.data("stop", "n1")
    data = warm.data("inject", "stub:1", "--text", "later", "--tool", "lead:1")
    assert (data["reached_target"], data["queued"]) == (False, True)
    waiting = [one["subject"] for one in warm.data("inbox", "--tool", "stub:1")["items"]]
    assert waiting[-2:] == ["look", "later"]


def test_no_answer_in_time_is_said_and_no_error(warm: Room, terminals: Terminals) -> None:
    """X2, O2: exit 0, `timed_out`; a pane that is there already can be adopted; two are ambiguous."""
    for name in ("own1", "own2"):
        terminals.tmux("new-session", "-d", "-s", name, "cat")
        warm.data("adopt", name, "--name", name, "--tool", "stub:9")
    wish = ("--require-ack", "--timeout", "1s")
    data = warm.data("inject", "own1", "--text", "hello", *wish)
    assert data["reached_target"] is True
    assert data["ack"] == {"received": False, "state": None, "event_id": None, "timed_out": True}
    for words in (["inject", "stub:9", "--text", "x"], ["capture", "stub:9"], ["stop", "stub:9"]):
        error = warm.refused(2, "ambiguous-session", *words)
        assert error["details"]["sessions"] == ["own1", "own2"]
    warm.data("stop", "own1")
    assert sessions(warm) == ["own2"]
    warm.data("stop", "own2")


def test_an_agent_in_a_worktree_is_in_the_same_room(warm: Room, terminals: Terminals) -> None:
    """X2: a tree of its own, which is never removed while it has changes."""
    warm.git("init", "--quiet")
    warm.git("commit", "--quiet", "--allow-empty", "--message", "one")
    told = ["sh", "-c", "rally whoami --json > who; pwd; exec cat"]
    words = ("--worktree", "--command-json", json.dumps(told))
    tree = warm.data("run", "stub", "--name", "n1", *words)["worktree"]
    assert shown(warm, "n1") == tree
    assert json.loads((Path(tree) / "who").read_text())["data"]["whoami"]["room"] == str(warm.root)
    warm.data("stop", "n1")
    assert (Path(tree) / "who").exists()
    assert warm.git("status", "--porcelain") == ""


def test_what_cannot_start_leaves_no_session(warm: Room, terminals: Terminals) -> None:
    """X2, O3: no tmux, no program, or one that ends at once: exit 1; a wrong wish: exit 2."""
    sleep = '["sleep", "60"]'
    no_tmux = {"PATH": str(Path(warm.world.command).parent)}
    cases = [
        (1, ["stub", "--command-json", sleep], no_tmux),
        (1, ["stub", "--command-json", '["no-such-program"]'], None),
        (1, ["stub", "--command-json", '["sh", "-c", "exit 3"]'], None),
        (2, ["no-such-agent"], None),
        (2, ["stub", "--command-json", "[]"], None),
        (2, ["stub", "--command-json", '"sleep"'], None),
        (2, ["stub", "--name", "a b", "--command-json", sleep], None),
        (2, ["stub", "--worktree", "--command-json", sleep], None),  # outside git
    ]
    for exits, words, env in cases:
        error = warm.ask("run", *words, exits=exits, env=env).error
        assert error["message"], words
        assert error["hint"], words
    warm.data("run", "stub", "--command-json", sleep, "--dry-run")
    assert sessions(warm) == []
    assert "stub" not in terminals.tmux("list-sessions", check=False)


# --- X3: units ------------------------------------------------------------------------------------


def test_user_units_are_shipped() -> None:
    """X3: the daemon by its socket; a watcher that stays, and one that a timer starts."""
    units = {}
    for name in ("rallyd.socket", "rallyd.service", "rally-watch@.service", "rally-watch@.timer"):
        units[name] = configparser.ConfigParser(strict=False, interpolation=None)
        assert units[name].read(REPOSITORY / "systemd" / name)
    assert "rallyd.sock" in units["rallyd.socket"]["Socket"]["ListenStream"]
    assert "rally" in units["rallyd.service"]["Service"]["ExecStart"]
    assert " watch " in units["rally-watch@.service"]["Service"]["ExecStart"]
    once = units["rally-watch@.timer"]["Timer"]["Unit"].replace("@%i", "@")
    assert " watch --once " in (REPOSITORY / "systemd" / once).read_text()


@pytest.mark.parametrize("kind", ["systemd", "launchd", "cron"])
def test_a_unit_is_printed_and_nothing_written(warm: Room, kind: str) -> None:
    """X3: ready text for this room."""
    answer = warm.run("watch", "--print-unit", kind)
    assert (answer.code, answer.err) == (0, "")
    assert "watch" in answer.out
    assert list(warm.root.iterdir()) == []


# --- X4: hold -------------------------------------------------------------------------------------


def hold(room: Room, script: str, *words: str, **more: Any) -> subprocess.Popen[bytes]:
    """A `hold` of `p` by `a` around a shell script."""
    return room.start(
        "hold", "--tool", "a", "--path", "p", *words, "--", "sh", "-c", script, **more
    )


@pytest.mark.parametrize("code", [0, 42])
def test_the_claim_lives_as_long_as_the_command(room: Room, code: int) -> None:
    """X4: RALLY_FENCE is the claim's; the exit code is the command's; nothing is left."""
    script = f"rally room --json; echo $RALLY_FENCE; exit {code}"
    process = hold(room, script, "--resource", "port:1")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (code, b"")
    (claim,) = json.loads(out.splitlines()[0])["data"]["room"]["active_claims"]
    assert (claim["tool"], claim["paths"], claim["resources"]) == ("a", ["p"], ["port:1"])
    assert int(out.splitlines()[1]) == claim["seq"]
    assert room.data("room")["active_claims"] == []


def test_a_refused_hold_never_starts_its_command(room: Room) -> None:
    """X4, C3: exit 3, with the conflict; also after waiting in vain."""
    room.say("claim", "b", path="p")
    for wait in ([], ["--wait", "1s"]) if room.mode != DIRECT else ([],):
        words = ["--tool", "a", "--path", "p/x", *wait, "--json", "--", "touch", "ran"]
        answer = room.run("hold", *words)
        assert (answer.code, answer.error["code"]) == (3, "claim-conflict")
    assert not (room.root / "ran").exists()


def test_a_hold_waits_for_its_turn(room: Room) -> None:
    """X4, C8: the command starts when the path is free."""
    claim = room.say("claim", "b", path="p")["event_id"]
    process = hold(room, "echo ran", "--wait", "30s")
    if room.mode != DIRECT:
        deadline = time.monotonic() + PATIENCE_S
        while not room.data("room")["waiting"]:
            assert time.monotonic() < deadline
    room.say("release", "b", ref=claim)
    assert process.communicate(timeout=PATIENCE_S) == (b"ran\n", b"")


HANDLES = """
import signal, sys
number = int(sys.argv[1])
if sys.argv[2:]:
    signal.signal(number, lambda *_: sys.exit(42))
print("up", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_command(warm: Room, number: signal.Signals) -> None:
    """X4: it decides what they mean; one that it dies of is 128 and the signal's number."""
    for words, codes in ((["handled"], {42}), ([], {128 + number, -number})):
        command = [sys.executable, "-c", HANDLES, str(int(number)), *words]
        if number == signal.SIGINT and not words:
            command = ["sh", "-c", "echo up; exec sleep 600"]  # Python has its own way with Ctrl-C
        process = warm.start("hold", "--tool", "a", "--path", "p", "--", *command)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(number)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode in codes
    assert warm.data("room")["active_claims"] == []


def test_a_hold_renews_while_it_runs_and_lapses_when_it_is_killed(warm: Room) -> None:
    """X4, C6: the lease outlasts its ttl many times over; after kill -9 it is over with the lease."""
    process = hold(warm, "echo $$; exec sleep 600", "--ttl", "1s")
    assert process.stdout is not None
    command = int(process.stdout.readline())
    try:
        began = time.monotonic()
        follow = warm.start("log", "--follow", "--kind", "renew", "--json")
        assert follow.stdout is not None
        while time.monotonic() < began + 1.5:
            assert json.loads(follow.stdout.readline())["tool"] == "a"
        follow.terminate()
        follow.communicate(timeout=PATIENCE_S)
        warm.no_say(3, "claim-conflict", "claim", "b", path="p")
        process.kill()
        warm.say("claim", "b", path="p", wait="30s")
    finally:
        os.kill(command, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)

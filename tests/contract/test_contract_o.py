"""Output and exit codes: one envelope, honest codes, text for people that nobody can poison."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import termios
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from contract_room import DAEMON, DIRECT, Room, World

HOSTILE = (
    "\x1b[31mred\x1b]0;title\x07\x1b[2J \u202eevil\u2066\u2069\u200f \x9b1m\x85 zero\u200bwidth\ufeff"
    " back\\slash 'single' \"double\" $HOME `id` $(id) ${x} ;|&<>*?[] ~ # ! %s {} \x7f \U000e0041"
)
HOSTILE_LINES = f"{HOSTILE}\r\n# heading\terror: forged\u2028line\u2029paragraph\x0b\x0c\x08"

# Every command of the sections that these tests cover, in a form that succeeds in the scene below.
COMMANDS: dict[str, list[str]] = {
    "enter": ["enter", "--tool", "b"],
    "leave": ["leave", "--tool", "gone"],
    "say": ["say", "note", "--tool", "b", "--subject", "x"],
    "check": ["check", "before-write", "--tool", "b", "--path", "src/x"],
    "wait": ["wait", "--tool", "b", "--until", "free:nowhere"],
    "next": ["next", "--tool", "b"],
    "inbox": ["inbox", "--tool", "b"],
    "room": ["room"],
    "log": ["log"],
    "show": ["show", "1"],
    "whoami": ["whoami", "--tool", "a"],
    "status": ["status"],
    "dag": ["dag", "--run", "r"],
    "task": ["task", "list", "--run", "r"],
    "wake-due": ["wake-due"],
    "lead": ["lead", "show"],
    "mission": ["mission"],
    "check-ci": ["check-ci"],
    "init": ["init"],
    "verify": ["verify"],
    "daemon": ["daemon", "status"],
    "completion": ["completion", "bash"],
}


def fill(room: Room) -> Room:
    """A little of everything, so that no answer is empty."""
    room.data("enter", "--tool", "a", "--role", "builder", "--path", "src")
    room.data("enter", "--tool", "gone")
    room.say("claim", "a", path=["src", "do cs/it's.md"], subject="claimed")
    room.say("handoff", "a", target="b", subject="asked", ack_within="10m")
    room.say("blocker", "a", subject="stuck", path="db", severity="high")
    room.say("decision", "a", subject="decided", path="src")
    room.say("risk", "a", subject="risky")
    room.say("standby", "c", until="free:src", reason="waits")
    room.say("artifact", "a", subject="made", run="r", step="s1", evidence="e", target="b")
    room.data("task", "add", "--tool", "a", "--run", "r", "--id", "t1", "--intent", "do",
              "--owns", "lib")  # fmt: skip
    room.data("mission", "--tool", "a", "--set", "win")
    room.data("lead", "take", "--tool", "a")
    return room


@pytest.fixture(scope="module")
def scene(world: World) -> Room:
    return fill(world.room())


def everything_shown(room: Room) -> Iterator[tuple[str, str]]:
    """What every reading command prints as text."""
    shows = [["show", str(fact["seq"])] for fact in room.facts()]
    # Direct mode draws with the same code, and costs ten times as much.
    few = 6 if room.mode == DIRECT else 1
    dags = [["dag", "--run", "r", "--format", form] for form in ("text", "mermaid", "dot", "svg")]
    questions = [
        ["room"], ["room", "--tool", "a"], ["log"], ["inbox", "--tool", "b"],
        ["inbox", "--tool", "a", "--sent"], ["next", "--tool", "a"], ["next", "--tool", "b"],
        ["next", "--tool", "c"], ["wake-due"], ["check-ci"], ["mission"], ["lead"],
        ["whoami", "--tool", "a"], ["task", "list", "--run", "r"], ["status"],
        ["check", "before-write", "--tool", "b", "--path", "src/x", "--path", "db"],
        ["check", "before-complete", "--tool", "a"], ["enter", "--tool", "b", "--path", "src"],
        ["say", "claim", "--tool", "b", "--path", "src"],
    ]  # fmt: skip
    for words in [*shows, *dags, *questions][::few]:
        answer = room.run(*words)
        assert answer.code in (0, 3), answer
        assert answer.out + answer.err, words
        yield " ".join(words), answer.out + answer.err


def assert_inert(text: str, where: object = "") -> None:
    """Nothing in it moves a cursor, changes the reading direction, hides, or cannot be encoded."""
    for char in text:
        active = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        assert char == "\n" or not active, (where, char, text)


# --- O1, O2: the envelope -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [DAEMON, DIRECT])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_answers_one_object_named_after_it(
    scene: Room, command: str, mode: str
) -> None:
    """O1: one JSON object on stdout, nothing on stderr, the main result at `data[command]`."""
    asked = scene.by_daemon if mode == DAEMON else scene.directly
    answer = asked.ask(*COMMANDS[command])
    assert answer.envelope["command"] == command
    assert answer.envelope["data"][command] == answer.data


def test_the_json_flag_may_stand_before_the_command(room: Room) -> None:
    """O1: the options of every command, before or after the verb."""
    assert json.loads(room.run("--json", "room").out)["command"] == "room"
    assert json.loads(room.run("task", "--json", "list", "--run", "r").out)["command"] == "task"


@pytest.mark.parametrize(
    ("words", "action"),
    [
        ("task list --run r", "list"),
        ("task add --tool a --run r --id t2 --intent x --read-only", "add"),
        ("lead show", "show"),
        ("daemon status", "status"),
    ],
)
def test_a_group_says_which_action_it_was(scene: Room, words: str, action: str) -> None:
    """O1: `<cmd>` is the first word; for a group `data.<cmd>` has `action`."""
    assert scene.data(*words.split())["action"] == action


def test_what_was_said_comes_back_with_replayed_and_the_fence_of_a_claim(room: Room) -> None:
    """O1: `data.say = {fact, replayed, fence?}`."""
    said = room.data("say", "claim", "--tool", "a", "--path", "x")
    assert set(said) >= {"fact", "replayed", "fence"}
    assert said["fence"] == said["fact"]["seq"]
    assert "fence" not in room.data("say", "note", "--tool", "a", "--subject", "x")


def test_a_follower_gets_one_fact_a_line(room: Room) -> None:
    """O1: `log --follow --json` prints JSON lines; an interrupt ends it with 130 (O3)."""
    room.by_daemon.say("note", "a", subject="before")
    with room.start("log", "--follow", "--json", "--limit", "5") as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["subject"] == "before"
            room.by_daemon.say("note", "a", subject="after \u202e")
            line = process.stdout.readline()
            assert json.loads(line)["subject"] == "after \u202e"
            assert "\u202e".encode() not in line
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
            assert (process.returncode, out, err) == (130, b"", b"")
        finally:
            process.kill()


USAGE_ERRORS: list[tuple[str, str, str]] = [
    ("frobnicate", "usage", "frobnicate"),
    ("romo", "usage", "romo"),
    ("room --frob", "usage", "--frob"),
    ("room surplus", "usage", "surplus"),
    ("room --limit ten", "usage", "ten"),
    ("room --limit", "usage", "--limit"),
    ("say", "usage", "KIND"),
    ("say nope --tool a", "unknown-kind", "nope"),
    ("say note --subject x", "missing-tool", "--tool"),
    ("say note --tool a", "missing-field", "--subject"),
    ("say note --tool a! --subject x", "bad-tool", "a!"),
    ("say claim --tool a", "claims-nothing", ""),
    ("say claim --tool a --path ../x", "path-outside-room", "../x"),
    ("say claim --tool a --path x --ttl 5", "bad-duration", "5"),
    ("say claim --tool a --path x --mode mine", "bad-value", "mine"),
    ("say note --tool a --subject x --data {", "bad-value", "{"),
    ("say standby --tool a --until moon:full", "bad-condition", "moon:full"),
    ("say standby --tool a --wake-after noon", "bad-time", "noon"),
    ("say receipt --tool a --ref nix --state done", "unknown-id", "nix"),
    ("say release --tool a --path x", "nothing-to-release", "x"),
    ("show nix", "unknown-id", "nix"),
    ("check before-write --path x", "missing-tool", "--tool"),
    ("check sideways --tool a", "usage", "sideways"),
    ("task take --tool a", "missing-field", "--run"),
    ("dag", "missing-field", "--run"),
    ("dag --run r --format png", "bad-value", "png"),
    ("room --limit -1", "bad-value", "-1"),
    ("wait --tool a", "missing-field", "--until"),
    ("next", "missing-tool", "--tool"),
    ("daemon frob", "usage", "frob"),
    ("lead give --tool a", "missing-field", "--to"),
    ("completion ksh", "usage", "ksh"),
]


@pytest.mark.parametrize(("words", "code", "value"), USAGE_ERRORS)
def test_a_usage_error_has_the_envelope_and_names_the_value(
    scene: Room, words: str, code: str, value: str
) -> None:
    """O2, O3: the error envelope on stdout, exit 2, the offending value, something to type next."""
    error = scene.refused(2, code, *words.split())
    assert value in error["message"], error
    assert error["hint"], error


@pytest.mark.parametrize(("words", "value"), [(w, v) for w, _, v in USAGE_ERRORS[::4]])
def test_without_json_an_error_is_two_lines_on_stderr(scene: Room, words: str, value: str) -> None:
    """O2: `error: …` and `hint: …`, nothing on stdout, never a traceback."""
    answer = scene.run(*words.split())
    assert answer.code == 2
    assert answer.out == ""
    assert re.fullmatch(r"error: .+\nhint: .+\n", answer.err), answer
    assert value in answer.err


def test_a_near_miss_of_a_command_is_named(scene: Room) -> None:
    """O2: the hint is a command that would work."""
    assert "rally room" in scene.ask("romo", exits=2).error["hint"]
    assert "rally check before-write" in scene.ask("check", "befor-write", exits=2).error["hint"]


def test_a_verdict_is_an_answer_and_no_error(room: Room) -> None:
    """O2, O3: a strict check that stops keeps `ok: true` and its data, and exits 4."""
    room.by_daemon.say("claim", "a", path="src")
    check = room.check("b", "src", strict=True, exits=4)
    assert check["allow"] is False
    assert room.check("b", "src")["allow"] is False
    room.by_daemon.say("blocker", "a", subject="x")
    assert room.data("check-ci", "--strict", exits=4)["findings"]


def test_exit_codes_tell_done_usage_and_refused_apart(room: Room) -> None:
    """O3: 0 done (also for a warning), 2 usage, 3 refused."""
    warned = room.ask("say", "claim", "--tool", "a", "--path", "x")
    assert (warned.code, warned.warned) == (0, ["not-entered"])
    assert room.run("say", "claim", "--tool", "b", "--path", "x").code == 3
    assert room.run("say", "claim", "--tool", "b", "--path", "").code == 2


def test_a_failure_of_the_machine_is_exit_one(room: Room) -> None:
    """O3: a room that cannot be made."""
    (room.root / ".rally").write_text("in the way")
    error = room.ask("say", "note", "--tool", "a", "--subject", "x", exits=1).error
    assert ".rally" in error["message"]
    text = room.run("say", "note", "--tool", "a", "--subject", "x")
    assert (text.code, text.out) == (1, "")
    assert text.err.startswith("error: ")


def test_an_interrupt_is_exit_130(room: Room) -> None:
    """O3: Ctrl-C while waiting; nothing on the screen that looks like a crash."""
    room.by_daemon.say("claim", "a", path="x")
    follower = room.by_daemon.start("log", "--follow", "--json")
    with follower, room.start("wait", "--tool", "b", "--until", "free:x") as process:
        try:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
            follower.kill()
    # Killed before the first line of rally ran, the interpreter itself answers: -2, or 1 and a
    # complaint about its own start.
    if process.returncode != 130:
        assert process.returncode == -signal.SIGINT or b"init_import_site" in err, err
    else:
        assert b"Traceback" not in err


# --- O4: text for people --------------------------------------------------------------------------


def on_terminal(room: Room, *argv: str, columns: int = 80, **env: str) -> tuple[int, str]:
    """Run a command whose standard output is a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = room.start(*argv, stdout=theirs, env={"TERM": "xterm-256color", **env})
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass  # Linux says EIO when the other side is closed
    finally:
        os.close(ours)
        _, err = process.communicate(timeout=20)
    assert err == b""
    return process.returncode, shown.decode().replace("\r\n", "\n")


READABLE = [
    "room", "log", "next --tool a", "inbox --tool b", "inbox --tool a --sent", "wake-due",
    "dag --run r", "task list --run r", "check before-write --tool b --path src/x --path db",
    "check-ci", "whoami --tool a", "status", "show 3", "mission", "lead", "verify",
    "enter --tool b --path src", "check before-complete --tool a", "room --help", "--help",
]  # fmt: skip


@pytest.mark.parametrize("words", READABLE)
def test_text_is_plain_when_piped_and_ends_in_a_line_break(scene: Room, words: str) -> None:
    """O4: no escapes, no trailing blanks, no blank line at either end."""
    answer = scene.run(*words.split())
    assert answer.code == 0
    assert "\x1b" not in answer.out
    assert answer.out.endswith("\n")
    assert answer.out.strip("\n") + "\n" == answer.out
    assert all(line == line.rstrip() for line in answer.out.splitlines())


def test_piped_text_is_the_same_every_time_and_in_both_modes(scene: Room) -> None:
    """O4: plain and stable when piped, whatever the width of the terminal around it."""
    for words in (["log"], ["show", "3"], ["dag", "--run", "r"], ["lead"], ["mission"]):
        first = scene.by_daemon.run(*words)
        again = scene.by_daemon.run(*words, env={"TERM": "dumb"})
        direct = scene.directly.run(*words)
        ages = r"\b\d+(ms|s|m)( ago)?\b"
        assert (
            re.sub(ages, "", first.out)
            == re.sub(ages, "", again.out)
            == re.sub(ages, "", direct.out)
        )


@pytest.mark.parametrize("mode", [DAEMON, DIRECT])
def test_colour_is_for_terminals_that_want_it(scene: Room, mode: str) -> None:
    """O4: colour only on a terminal; `NO_COLOR` and `--no-color` are honoured."""
    asked = scene.by_daemon if mode == DAEMON else scene.directly
    assert "\x1b[" in on_terminal(asked, "room")[1]
    assert "\x1b[" not in on_terminal(asked, "room", NO_COLOR="1")[1]
    assert "\x1b[" not in on_terminal(asked, "room", "--no-color")[1]
    assert "\x1b[" not in on_terminal(asked, "--no-color", "room")[1]
    assert "\x1b[" not in on_terminal(asked, "room", TERM="dumb")[1]


@pytest.mark.parametrize("columns", [60, 100, 160])
def test_text_fits_the_terminal(scene: Room, columns: int) -> None:
    """O4: the width of the terminal is honoured (commands to paste are never cut)."""
    for words in (["room"], ["log"], ["inbox", "--tool", "b"], ["task", "list", "--run", "r"]):
        _, shown = on_terminal(scene, *words, "--no-color", columns=columns)
        for line in shown.splitlines():
            assert len(line) <= columns or "rally " in line, (words, line)


def test_columns_of_a_table_line_up(scene: Room) -> None:
    """O4: aligned; every cell of the claims table begins under its heading."""
    lines = scene.run("room").out.splitlines()
    start = lines.index("claims (1)")
    heading, row = lines[start + 1 : start + 3]
    for title, cell in (("owner", "a"), ("subject", "claimed")):
        assert row[heading.index(title) :].startswith(cell), (heading, row)


@pytest.mark.parametrize("mode", [DAEMON, DIRECT])
def test_a_closed_pipe_ends_quietly(scene: Room, mode: str) -> None:
    """O4: `| head` sees what it wants, the command ends with 0 and says nothing."""
    asked = scene.by_daemon if mode == DAEMON else scene.directly
    for words in ("log --limit 0", "room --json", "--help"):
        reader, writer = os.pipe()
        os.close(reader)
        process = asked.start(*words.split(), stdout=writer)
        os.close(writer)
        _, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, b""), words


# --- O5: hostile text -----------------------------------------------------------------------------


def poison(room: Room) -> None:
    """Say hostile things in every field that takes free text."""
    h, lines = HOSTILE, HOSTILE_LINES
    data = json.dumps({HOSTILE_LINES: [HOSTILE_LINES, {"deep": HOSTILE_LINES}]})
    room.say("claim", "a", path="src", subject=h, summary=lines, reason=lines, uri=lines, data=data)
    room.say("handoff", "a", target="b", subject=h, summary=lines, evidence=[lines, h])
    room.say("blocker", "a", subject=h, path="db", reason=lines)
    room.say("blocker", "a", subject=h, run="r", step="s1", target="human")
    room.say("decision", "a", subject=h, path="src", uri=lines)
    room.say("risk", "a", subject=h)
    room.say("standby", "c", reason=lines, until="free:lib", subject=h)
    room.say("artifact", "a", subject=h, run="r", step="s1", evidence=lines, target="b")
    room.data("task", "add", "--tool", "a", "--run", "r", "--id", "t1", "--intent", h,
              "--owns", "lib", "--validation", "true", "--output", h)  # fmt: skip
    room.data("mission", "--tool", "a", "--set", h)
    room.data("lead", "take", "--tool", "a")
    room.say("retract", "a", ref="6", reason=lines)


def test_nothing_that_an_agent_wrote_reaches_a_terminal_raw(room: Room) -> None:
    """O5: controls, escapes and bidirectional characters of every field are made visible."""
    poison(room.by_daemon)
    for words, shown in everything_shown(room):
        assert_inert(shown, words)
    for words in (["room"], ["log"], ["next", "--tool", "b"]):
        shown = on_terminal(room, *words)[1]
        assert_inert(re.sub(r"\x1b\[[0-9;]*m", "", shown), words)


def test_in_json_the_text_is_whole_and_its_dangerous_characters_are_escaped(room: Room) -> None:
    """O5: the value survives, the bytes are harmless on a terminal."""
    poison(room.by_daemon)
    room.by_daemon.say("note", "a", subject=HOSTILE, summary=HOSTILE_LINES)
    for words in (["log", "--limit", "0"], ["room"], ["inbox", "--tool", "b"], ["show", "1"],
                  ["check", "before-write", "--tool", "b", "--path", "src"]):  # fmt: skip
        answer = room.ask(*words)
        assert_inert(answer.out, words)
    note = room.data("log", "--kind", "note")["facts"][0]
    assert (note["subject"], note["summary"]) == (HOSTILE, HOSTILE_LINES)


IDENTITIES = ["run", "step", "thread", "key", "resource", "parent-step", "session-id", "status"]


@pytest.mark.parametrize("bad", ["a\nb", "a\x1b[31m", "a\u202eb", "a\rb", "\x07", "a\u2028b"])
@pytest.mark.parametrize("field", IDENTITIES)
def test_an_identity_is_one_line_without_control_characters(
    scene: Room, field: str, bad: str
) -> None:
    """O5, T4: identities that could forge a line are refused at the door, or are shown harmless."""
    answer = scene.run("say", "note", "--tool", "a", "--subject", "x", f"--{field}", bad, "--json")
    if answer.code == 0:
        shown = scene.run("show", answer.data["fact"]["event_id"])
        assert_inert(shown.out, field)
    else:
        assert answer.code == 2
        assert answer.error["code"] in ("bad-text", "bad-value"), answer
        assert_inert(answer.out)
        assert_inert(
            scene.run("say", "note", "--tool", "a", "--subject", "x", f"--{field}", bad).err
        )


@pytest.mark.parametrize(
    "words",
    [
        ["\x1b[31mverb\u202e"],
        ["room", "--\x1b[31m\u202e"],
        ["room", "\x1b[31m\u202e\nerror: forged"],
        ["say", "\x1b[31m\u202e\n", "--tool", "a"],
        ["say", "note", "--tool", "a\x1b[31m\u202e\n", "--subject", "x"],
        ["say", "claim", "--tool", "a", "--path", "../\x1b[31m\u202e\n"],
        ["say", "claim", "--tool", "a", "--path", "x", "--ttl", "\x1b[31m\u202e\n"],
        ["say", "claim", "--tool", "a", "--path", "x", "--mode", "\x1b[31m\u202e\n"],
        ["say", "note", "--tool", "a", "--subject", "x", "--data", "\x1b[31m\u202e\n"],
        ["say", "standby", "--tool", "a", "--until", "\x1b[31m\u202e\n"],
        ["say", "standby", "--tool", "a", "--wake-after", "\x1b[31m\u202e\n"],
        ["say", "release", "--tool", "a", "--ref", "\x1b[31m\u202e\n"],
        ["show", "\x1b[31m\u202e\n"],
        ["dag", "--run", "r", "--format", "\x1b[31m\u202e\n"],
        ["log", "--kind", "\x1b[31m\u202e\n"],
        ["room", "--limit", "\x1b[31m\u202e\n"],
        ["room", "--room", "/\x1b[31m\u202e\n"],
        ["task", "\x1b[31m\u202e\n"],
    ],
)
def test_an_error_quotes_the_offending_value_harmlessly(scene: Room, words: list[str]) -> None:
    """O5, O2: also what the caller typed is only shown, never obeyed by the terminal."""
    answer = scene.run(*words)
    assert answer.code == 2, answer
    assert_inert(answer.err)
    assert answer.err.count("\n") == 2, answer
    assert_inert(scene.ask(*words, exits=2).out)


AWKWARD_PATHS = [
    "with space/a b.py",
    "it's/a'b.py",
    'quote"d.py',
    "dollar $HOME/$(id)/`id`.py",
    "semi;colon & pipe|.py",
    "back\\slash.py",
    "-dash/--json",
    "#hash !bang ~tilde (paren)",
    "ümlaut/日本.py",
    "%percent {brace}",
]


def test_the_hint_of_a_refused_claim_can_be_pasted(warm: Room) -> None:
    """O5, O2, C8: the hinted line waits for exactly the path that was refused."""
    for path in AWKWARD_PATHS:
        warm.say("claim", "a", path=path, ttl="1s")
    hints = []
    for path in AWKWARD_PATHS:
        refused = warm.run("say", "claim", "--tool", "b", "--path", path, "--subject", "it's mine")
        if refused.code == 3:  # a slow machine may have let the lease go by
            hints.append((path, refused.err.split("hint: ", 1)[1]))
    assert hints
    for path, hint in hints:
        done = warm.sh(f"{hint.rstrip()} --json")
        assert done.code == 0, done
        assert done.data["fact"]["paths"] == [path]


@pytest.mark.parametrize("path", AWKWARD_PATHS)
def test_every_command_that_next_and_check_suggest_can_be_pasted(warm: Room, path: str) -> None:
    """O5, O6, P3: what is suggested is quoted so that a shell reads it back unchanged."""
    fact = warm.say("claim", "a", path=path)
    wish = warm.data("next", "--tool", "a")
    for line in wish["suggested_commands"]:
        done = warm.sh(f"{line} --json")
        assert done.code == 0, (line, done)
    assert warm.data("room")["active_claims"] == []
    warm.say("claim", "a", path=path)
    stop = warm.check("b", path)["findings"][0]
    assert stop["code"] == "claimed-path"
    assert warm.sh(stop["hint"]).code == 0
    mine = warm.data("check", "before-complete", "--tool", "a")["findings"][0]
    assert warm.sh(mine["hint"]).code == 0
    info = warm.check("a", path)["findings"][0]
    assert info["code"] == "unclaimed-path"
    assert warm.sh(info["hint"]).code == 0
    held = warm.data("room")["active_claims"]
    assert [one["paths"] for one in held] == [fact["paths"]]


def test_text_answers_show_the_same_commands_as_the_json(warm: Room) -> None:
    """O4, O5: a line that starts with `rally ` in a text answer is a whole command."""
    warm.say("claim", "a", path="it's here/$(id)")
    for words in (["next", "--tool", "a"], ["check", "before-write", "--tool", "b", "--path",
                                            "it's here/$(id)"]):  # fmt: skip
        lines = [line.strip() for line in warm.run(*words).out.splitlines()]
        pasted = [line for line in lines if line.startswith("rally ")]
        assert pasted
        for line in pasted:
            assert shlex.split(line)[0] == "rally"
            assert warm.sh(line).code == 0, line


# --- O6: help -------------------------------------------------------------------------------------


def helps(room: Room) -> dict[str, str]:
    """The help of every command, groups looked into, found from the outside."""
    top = room.ask("frobnicate", exits=2).error["details"]["choices"]
    found = _pages(room, ["", *top])
    inner = []
    for name in top:
        commands = re.search(r"^Commands:\n((?:  \S.*\n|    .*\n)+)", found[name], re.MULTILINE)
        lines = commands[1].splitlines() if commands else []
        inner += [f"{name} {line.split()[0]}" for line in lines if re.match(r"  \S", line)]
    return found | _pages(room, inner)


def _pages(room: Room, names: list[str]) -> dict[str, str]:
    def page(name: str) -> str:
        shown = room.run(*name.split(), "--help")
        assert (shown.code, shown.err) == (0, ""), shown
        return shown.out

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(names, pool.map(page, names), strict=True))


@pytest.fixture(scope="module")
def pages(world: World) -> dict[str, str]:
    return helps(world.room(DIRECT))


def test_the_help_lists_every_command_with_one_line(pages: dict[str, str]) -> None:
    """O6: `rally --help` shows every command."""
    for name in COMMANDS:
        assert re.search(rf"^  {re.escape(name)}  +\S", pages[""], re.MULTILINE), name


def test_every_help_has_an_example_and_the_exit_codes(pages: dict[str, str]) -> None:
    """O6: an example that can be pasted and the exit codes; it fits 80 columns but for these."""
    assert len(pages) > len(COMMANDS) + 10
    for name, page in pages.items():
        assert page.startswith(f"Usage: rally {name}".rstrip()), name
        assert re.search(r"^Exit codes: 0 ", page, re.MULTILINE), name
        assert re.search(r"^Example: ", page, re.MULTILINE), name
        for line in page.splitlines():
            assert len(line) <= 80 or line.startswith("Example: "), (name, line)
            assert not line.startswith("     ") or "  " in line, (name, line)


def test_every_example_is_understood(pages: dict[str, str], world: World) -> None:
    """O6: each example can be pasted: whatever the room says to it, its words are right."""
    room = world.room()
    room.git("init", "-q")
    for name, page in pages.items():
        example = re.search(r"^Example: (.*)", page, re.MULTILINE)
        assert example
        first = name.split()[0] if name else ""
        if first in ("", *COMMANDS) and "daemon" not in name and "eval" not in example[1]:
            done = room.sh(f"{example[1]} --json")
            known = ("unknown-id", "unknown-task", "bad-range", "seat-taken", "not-lead",
                     "claim-conflict", "nothing-ready", "not-owner", "already-closed")  # fmt: skip
            assert done.code in (0, 4) or done.error["code"] in known, (example[1], done)


def test_the_flags_of_the_contract_are_in_the_help(pages: dict[str, str]) -> None:
    """O6: every flag is shown by the command that takes it."""
    wanted = {
        "": "--json --room --no-color --version --help",
        "say": "--tool --session-id --subject --summary --path --resource --run --step "
        "--parent-step --ref --target --thread --uri --evidence --status --severity --reason --key "
        "--data --json --role --tier --mode --ttl --wait --force --release --intent --ack-within "
        "--claim --state --wake-after --until --ref-standby --room",
        "enter": "--tool --session-id --role --tier --path",
        "check before-write": "--tool --path --strict --fence --run --step --require-claim",
        "check before-complete": "--tool",
        "check before-commit": "--tool --strict",
        "check range": "--tool --strict",
        "check-ci": "--strict",
        "room": "--tool --path --run --since --limit",
        "next": "--tool --run",
        "inbox": "--tool --sent",
        "dag": "--run --format",
        "wake-due": "--tool",
        "log": "--tool --kind --run --path --since --until --grep --limit --follow",
        "wait": "--until --any --run --timeout --tool",
        "lead give": "--to",
        "mission": "--set",
        "task add": "--run --id --intent --owns --read-only --depends-on --priority --validation "
        "--output",
        "task done": "--run --id --uri --evidence",
    }
    for name, names in wanted.items():
        for flag in names.split():
            assert re.search(rf"^  (-., )?{flag}\b", pages[name], re.MULTILINE), (name, flag)


def test_every_kind_has_its_own_help(world: World) -> None:
    """O6, F2: `rally say <kind> --help`, with an example of that kind."""
    room = world.room(DIRECT)
    for kind in ("claim", "handoff", "receipt", "standby", "retract"):
        page = room.run("say", kind, "--help").out
        assert re.search(rf"^Example: rally say {kind} ", page, re.MULTILINE), page


def test_help_for_programs_is_an_envelope_too(warm: Room) -> None:
    """O1, O6: `--help --json` and `--version --json` answer one object."""
    assert "Usage" in warm.data("room", "--help")["help"]
    assert re.match(r"\d+\.\d+", warm.data("--version")["version"])
    assert re.match(r"rally,? (version )?\d+\.\d+", warm.run("--version").out)


# --- O7: times and durations ----------------------------------------------------------------------

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def instants(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All values that are instants by their name."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from instants(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from instants(one, name)
    elif value is not None and (
        name.endswith("_at") or name in ("since", "wake_after", "ack_by", "last_seen")
    ):
        yield name, value


def test_times_are_utc_with_milliseconds(scene: Room) -> None:
    """O7: RFC 3339 with milliseconds and `Z`, wherever a time is answered."""
    scene.say("standby", "d", wake_after="2031-05-06T07:08:09+02:00")
    seen = set()
    for words in COMMANDS.values():
        for name, value in instants(scene.data(*words)):
            assert INSTANT.fullmatch(value), (words, name, value)
            seen.add(name)
    assert {"created_at", "lease_expires_at", "wake_after", "ack_by"} <= seen
    standby = scene.facts("--kind", "standby", "--tool", "d")[-1]
    assert standby["wake_after"] == "2031-05-06T05:08:09.000Z"


@pytest.mark.parametrize("written", ["90s", "30m", "2h", "1d", "+30m", "+1d"])
def test_durations_are_a_number_and_a_unit(warm: Room, written: str) -> None:
    """O7: `90s`, `30m`, `2h`, `1d`, a leading `+` allowed."""
    assert warm.say("claim", "a", path="x", ttl=written)


@pytest.mark.parametrize(
    "written", ["5", "1w", "-5m", "1.5h", "5 m", "m", "five", "5M", "٣s", "1h30m"]
)
def test_other_durations_are_usage_errors(warm: Room, written: str) -> None:
    """O7, T4: exit 2 with the value; nothing is written."""
    error = warm.no_say(2, "bad-duration", "claim", "a", path="x", ttl=written)
    assert (
        written in error["message"] or written.encode("unicode_escape").decode() in error["message"]
    )


def test_a_command_through_a_real_shell_is_the_same(warm: Room) -> None:
    """O1: the installed script, found on the path."""
    done = subprocess.run(["rally", "room", "--json"], cwd=warm.root, env=warm.environ(),
                          capture_output=True, check=True, timeout=30)  # fmt: skip
    assert json.loads(done.stdout)["ok"] is True


@pytest.mark.parametrize("words", ["room", "verify", "--help", "say note --tool a:1 --subject x"])
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&- <&-"])
def test_a_closed_standard_output_is_written_to_no_other_file(
    room: Room, words: str, closed: str
) -> None:
    """O2, O4: the next file that is opened would get its number; no traceback either."""
    answer = room.sh(f"rally {words} {closed}")
    assert (answer.code, answer.out) == (0, "")
    assert "Traceback" not in answer.err
    assert room.data("verify")["ok"]


@pytest.mark.parametrize("words", ["log --follow", "log --follow --json"])
def test_following_ends_with_its_reader(warm: Room, words: str) -> None:
    """O4: also where nothing is said any more that could not be written."""
    warm.say("note", "a:1", subject="one")
    warm.say("note", "a:1", subject="two")
    answer = warm.sh(f"rally {words} | head -n 1")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.count("\n") == 1


def test_a_full_output_file_is_named_as_such_in_both_modes(room: Room) -> None:
    """O2: what went wrong is the answer's way out, not rally."""
    answer = room.sh("rally room >/dev/full")
    assert answer.code == 1
    assert answer.err == "error: the answer cannot be written: No space left on device\n"


def test_the_hint_of_a_refused_claim_asks_for_all_of_it(warm: Room) -> None:
    """O2: what is pasted would otherwise be granted less than the caller needs."""
    warm.say("claim", "a:1", path="a")
    wants = (
        "--path a --path 'b c' --resource port:1 --run r --step s --ttl 5m --subject 'two words'"
    )
    words = ["say", "claim", "--tool", "b:1", *shlex.split(wants)]
    error = warm.refused(3, "claim-conflict", *words)
    assert error["hint"] == f"rally say claim --tool b:1 {wants} --wait 5m"


def test_a_kind_typed_as_a_command_is_sent_to_say(warm: Room) -> None:
    """O2: `release` looks most like `leave`, which would end every claim."""
    assert warm.ask("release", exits=2).error["hint"] == "rally say release"

"""Wrong words: exit 2, the offending word in the message, a flag or value that works in the hint."""

from __future__ import annotations

import pytest
from cli_scene import name_of
from cli_terminal import Terminal

# words, code, part of the message, the hint
WRONG = [
    (("sya", "note"), "usage", "'sya'", "rally say"),
    (("frobnicate",), "usage", "'frobnicate'", "rally --help"),
    (("--xyzzy",), "usage", "'--xyzzy'", "rally --help"),
    (("say",), "usage", "needs KIND", "rally say claim --tool claude:1"),
    (("say", "nte", "--tool", "a:1"), "unknown-kind", "'nte'", "rally say note"),
    (("say", "run", "--tool", "a:1"), "not-sayable", "'run'", "rally workstream start --help"),
    (("say", "note"), "missing-tool", "--tool", "--tool claude:1"),
    (("say", "note", "--tool", "a b"), "bad-tool", "'a b'", "--tool claude:1"),
    (("say", "note", "--tool", "all", "--subject", "s"), "bad-tool", "'all'", "--tool claude:1"),
    (("say", "note", "--tool", "a:1"), "missing-field", "--subject",
     "--subject 'what it is about'"),
    (("version",), "usage", "'version'", "rally --version"),
    (("help", "frobnicate"), "usage", "'frobnicate'", "rally --help"),
    (("say", "release", "--all", "--tool", "a:1"), "usage", "'--all'", "rally say --help"),
    (("say", "note", "two words", "--tool", "a:1"), "usage", "'two words'", "--subject 'two words'"),
    (("dag", "r1"), "usage", "'r1'", "--run r1"),
    (("inbox", "b:1"), "usage", "'b:1'", "--tool b:1"),
    (("task", "done", "one", "--run", "r"), "usage", "'one'", "--id one"),
    (("wait", "free:a"), "usage", "'free:a'", "--until free:a"),
    (("log", "claim"), "usage", "'claim'", "--kind claim"),
    (("log", "--kind", "clam"), "unknown-kind", "'clam'", "--kind claim"),
    (("log", "src/a"), "usage", "'src/a'", "--path src/a"),
    (("mission", "ship it"), "usage", "'ship it'", "--set 'ship it'"),
    (("say", "standby", "--tool", "a:1", "--until", "step:r1/one"), "missing-field", "needs --run",
     "--run r1 --until step:one"),
    (("say", "note", "--tool", "a:1", "--subjct", "s"), "usage", "'--subjct'", "--subject"),
    (("say", "note", "extra", "--tool", "a:1"), "usage", "'extra'", "--path extra"),
    (("say", "note", "--tool"), "usage", "--tool needs a value", "--tool claude:1"),
    (("say", "note", "--subject", "--tool", "a:1"), "usage", "--subject needs a value",
     "--subject 'what it is about'"),
    (("say", "note", "--tool", "a:1", "--subject", "--no-color"), "usage", "--subject needs", "--sub"),
    (("--room", "--no-color", "room"), "usage", "--room needs a value", "--room ."),
    (("say", "claim", "--tool", "a:1", "--path", "p", "--ttl", ""), "bad-duration", "''", "write 90s"),
    (("say", "standby", "--tool", "a:1", "--wake-after", ""), "bad-time", "''", "write 2030"),
    (("say", "note", "--ttl", "5m", "--tool", "a:1", "--subject", "s"), "bad-field", "--ttl",
     "rally say claim --help"),
    (("say", "claim", "--tool", "a:1"), "claims-nothing", "--path", "rally say claim --path src/"),
    (("say", "claim", "--tool", "a:1", "--path", ".."), "path-outside-room", "'..'", "paths are"),
    (("say", "claim", "--tool", "a:1", "--path", "p", "--ttl", "soon"), "bad-duration", "'soon'",
     "write 90s, 30m, 2h or 1d"),
    (("say", "claim", "--tool", "a:1", "--path", "p", "--mode", "shred"), "bad-value", "'shred'",
     "--mode shared"),
    (("say", "standby", "--tool", "a:1", "--until", "x"), "bad-condition", "'x'",
     "--until free:src/app.py"),
    (("say", "standby", "--tool", "a:1", "--wake-after", "noon"), "bad-time", "'noon'", "write 2030"),
    (("say", "note", "--tool", "a:1", "--subject", "s", "--data", "{"), "bad-value", "--data",
     """--data '{"port": 5432}'"""),
    (("say", "note", "--tool", "a:1", "--subject", "x" * 501), "too-long", "501", "shorten it"),
    (("say", "resolve", "--tool", "a:1", "--ref", "99"), "unknown-id", "'99'", "rally log"),
    (("say", "release", "--tool", "a:1", "--path", "p"), "nothing-to-release", "p", "rally room"),
    (("check",), "usage", "before-write", "rally check before-write --tool claude:1"),
    (("check", "before-wirte"), "usage", "'before-wirte'", "rally check before-write"),
    (("check", "before-write", "src/a b", "--tool", "a:1"), "usage", "'src/a b'", "--path 'src/a b'"),
    (("check", "before-write", "--strict=1"), "usage", "--strict takes no value", "--strict"),
    (("check", "before-write", "--fence", "one"), "usage", "'one'", "--fence 10"),
    (("check", "before-write", "--tool", "a:1", "--step", "s"), "missing-field", "--run", "--run RUN"),
    (("log", "--limit", "1e3"), "usage", "'1e3'", "--limit 10"),
    (("log", "--limit", "9" * 18), "usage", "9" * 18, "--limit 10"),
    (("log", "--limit", "-1"), "bad-value", "-1", "--limit 50"),
    (("room", "--since", "-1"), "bad-value", "-1", "rally log"),
    (("log", "--follow", "--until", "5"), "usage", "--until", "rally log --follow"),
    (("show",), "usage", "needs ID", "rally show 12"),
    (("show", "--tool", "a:1"), "usage", "'--tool'", "rally show --help"),  # not --room
    (("show", "nothing"), "unknown-id", "'nothing'", "rally log --limit 20"),
    (("dag",), "missing-field", "--run", "rally dag --run RUN"),
    (("dag", "--run", "r", "--format", "dott"), "bad-value", "'dott'", "--format dot"),
    (("wait", "--tool", "a:1", "--until", "free:x", "--timeout", ""), "bad-duration", "''", "write"),
    (("wait", "--tool", "a:1"), "missing-field", "--until", "--until free:src/app.py"),
    (("inbox",), "missing-tool", "--tool", "--tool claude:1"),
    (("next",), "missing-tool", "--tool", "--tool claude:1"),
    (("enter",), "missing-tool", "--tool", "--tool claude:1"),
    (("task",), "usage", "add, list, take, done, drop", "rally task take"),
    (("task", "tkae"), "usage", "'tkae'", "rally task take"),
    (("task", "list"), "missing-field", "--run", "--run RUN"),
    (("lead", "give", "--tool", "a:1"), "missing-field", "--to", "rally lead give --to"),
    (("mission", "--set", " ", "--tool", "a:1"), "bad-value", "--set", "rally mission --set"),
    (("leave", "--tool", "a:1"), "room-not-found", "none to leave", "rally enter"),
    (("room", "--room", "/no/such/folder"), "room-not-found", "/no/such/folder", "--room takes"),
    (("room", "--room"), "usage", "--room needs a value", "--room ."),
    (("room", "--json=yes"), "usage", "--json takes no value", "--json"),
    (("check", "before-commit", "--tool", "a:1"), "usage", "inside the daemon", "RALLY_DAEMON=off"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "code", "message", "hint"), WRONG, ids=name_of
)  # fmt: skip
async def test_wrong_words_are_named_and_put_right(
    rally: Terminal, argv: tuple[str, ...], code: str, message: str, hint: str
) -> None:
    """O2: exit 2; the same answer in text and in JSON, whatever was wrong, and nothing is written."""
    text = await rally(*argv)
    assert (text.code, text.out) == (2, "")
    error_line, hint_line = text.err.splitlines()
    assert error_line.startswith("error: ")
    assert message in error_line
    assert hint_line.startswith(f"hint: {hint}")
    result = await rally("--json", *argv)
    assert result.code == 2
    assert result.error["code"] == code
    assert message in result.error["message"]
    assert result.error["hint"].startswith(hint)
    assert (await rally.json("room"))["head"] == 0


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (("--json", "sya"), "sya"),
        (("sya", "--json"), "sya"),
        (("--room", ".", "--json", "say"), "say"),
        (("--json", "--frob"), "rally"),
        (("check", "--json"), "check"),
        (("check", "--frob", "--json"), "check"),
    ],
)
async def test_json_is_honoured_also_where_nothing_was_understood(
    rally: Terminal, argv: tuple[str, ...], command: str
) -> None:
    """O2: usage errors use the same envelope; the command is the word that was typed."""
    result = await rally(*argv)
    assert result.code == 2
    assert result.envelope["command"] == command


async def test_json_behind_a_double_dash_is_not_rallys(rally: Terminal) -> None:
    """Words behind -- belong to somebody else."""
    result = await rally("sya", "--", "--json")
    assert result.out == ""
    assert result.err.startswith("error: ")


async def test_json_as_the_value_of_a_flag_is_a_value(rally: Terminal) -> None:
    """A subject may be called --json, written in one word; in two, its value was forgotten."""
    result = await rally("say", "note", "--tool", "a:1", "--subject=--json")
    assert result.code == 0
    assert result.out.startswith("note-")
    result = await rally("say", "note", "--tool", "a:1", "--subject", "--json")
    assert (result.code, result.err, result.error["code"]) == (2, "", "usage")
    result = await rally("say", "note", "--tool", "a:1", "--subject", "--yes", "--summary", "-x")
    assert result.code == 0  # what no option of the command is called stays a value


async def test_a_refused_wish_creates_no_room(rally: Terminal) -> None:
    """R2: only what is written makes a room."""
    assert (await rally("say", "claim", "--tool", "a:1", "--path", "../x")).code == 2
    assert not (rally.cwd / ".rally").exists()
    assert (await rally("say", "claim", "--tool", "a:1", "--path", "x")).code == 0
    assert (rally.cwd / ".rally").exists()

"""JSON answers: one envelope for everything, errors included (contract O1, O2)."""

from __future__ import annotations

import json

import pytest
from cli_scene import EVIL, QUESTIONS, RUN, name_of, set_scene
from cli_terminal import Terminal

# One command line of each verb that succeeds in the scene, and keys that its answer must have.
ANSWERS = [
    (("enter", "--tool", "x:1"), {"tool", "room", "cursor", "do", "do_not", "know", "respond_to",
                                  "attention", "lead", "mission"}),
    (("say", "note", "--tool", "x:1", "--subject", "s"), {"fact", "replayed"}),
    (("say", "claim", "--tool", "x:1", "--path", "p"), {"fact", "replayed", "fence"}),
    (("check", "before-write", "--tool", "x:1", "--path", "p"),
     {"phase", "tool", "allow", "mode", "findings"}),
    (("check", "before-complete", "--tool", "x:1"), {"phase", "tool", "allow", "mode", "findings"}),
    (("check-ci",), {"mode", "findings"}),
    (("next", "--tool", "x:1"), {"action", "score", "reason", "actionable", "requires_human",
                                 "stop_reason", "suggested_claims", "suggested_commands",
                                 "completion", "alternatives"}),
    (("inbox", "--tool", "codex:api"), {"tool", "items", "total"}),
    (("inbox", "--tool", "claude:1", "--sent"), {"tool", "items", "total"}),
    (("room",), {"head", "active_claims", "lapsed_claims", "active_blockers", "open_handoffs",
                 "current_decisions", "open_risks", "standbys", "recent_artifacts", "tools", "lead",
                 "mission", "waiting", "totals"}),
    (("dag", "--run", RUN), {"run_id", "nodes", "edges", "counts", "facts_scanned"}),
    (("wake-due",), {"due"}),
    (("wait", "--tool", "x:1", "--until", "free:nowhere"), {"conditions"}),
    (("log",), {"facts"}),
    (("show", "1"), {"fact"}),
    (("whoami", "--tool", "x:1"), {"tool", "room"}),
    (("status",), {"rooms"}),
    (("lead", "show"), {"action", "lead"}),
    (("lead",), {"action", "lead"}),
    (("lead", "drop", "--tool", "claude:1"), {"action", "lead", "fact"}),
    (("mission",), {"mission"}),
    (("mission", "--set", "m", "--tool", "x:1"), {"mission", "fact"}),
    (("task", "add", "--tool", "x:1", "--run", "r", "--id", "i", "--intent", "t", "--read-only"),
     {"action", "task", "fact"}),
    (("task", "list", "--run", RUN), {"action", "tasks"}),
    (("task", "drop", "--run", RUN, "--id", "one", "--tool", "codex:api"),
     {"action", "task", "fact"}),
    (("task", "done", "--run", RUN, "--id", "one", "--tool", "codex:api"),
     {"action", "task", "fact"}),
    (("leave", "--tool", "codex:api"), {"fact"}),
]  # fmt: skip


@pytest.mark.parametrize("place", ["before", "after", "equals"])
@pytest.mark.parametrize(("argv", "keys"), ANSWERS, ids=name_of)
async def test_every_verb_answers_one_envelope_wherever_json_stands(
    rally: Terminal, argv: tuple[str, ...], keys: set[str], place: str
) -> None:
    """O1: one object on standard output, nothing on standard error, the result at data[command]."""
    await set_scene(rally)
    room = ("--room", str(rally.cwd))
    words = {
        "before": ("--json", *room, *argv),
        "after": (*argv, "--json", *room),
        "equals": (*argv, f"--room={rally.cwd}", "--no-color", "--json"),
    }[place]
    result = await rally(*words)
    assert result.code == 0, result.out
    assert result.envelope["command"] == argv[0]
    assert keys <= set(result.data)
    assert result.envelope["warnings"] == [] or set(result.envelope["warnings"][0]) == {
        "code",
        "message",
    }


async def test_a_command_inside_a_group_says_which(rally: Terminal) -> None:
    """O1: for a group data.<cmd> has `action`."""
    data = await rally.json("lead", "take", "--tool", "a:1")
    assert (data["action"], data["lead"]["tool"]) == ("take", "a:1")
    given = await rally.json("lead", "give", "--tool", "a:1", "--to", "b:1")
    assert (given["action"], given["lead"]["tool"]) == ("give", "b:1")


async def test_a_claim_carries_its_fence_and_a_repetition_says_so(rally: Terminal) -> None:
    """O1, F6: data.say is fact, replayed and the fence of a claim."""
    words = ("say", "claim", "--tool", "a:1", "--path", "src", "--key", "k")
    first, again = await rally.json(*words), await rally.json(*words)
    assert (first["fence"], first["replayed"]) == (1, False)
    assert (again["fact"], again["fence"], again["replayed"]) == (first["fact"], 1, True)


async def test_warnings_have_a_code_and_a_message(rally: Terminal) -> None:
    """O1: a warning is {code, message}, and in JSON nothing else tells of it."""
    result = await rally("say", "note", "--tool", "a:1", "--subject", "s", "--json")
    (warning,) = result.envelope["warnings"]
    assert warning["code"] == "not-entered"
    assert "a:1" in warning["message"]


@pytest.mark.parametrize("argv", QUESTIONS, ids=name_of)
async def test_json_is_as_harmless_as_text(rally: Terminal, argv: tuple[str, ...]) -> None:
    """O5: in JSON too, no byte of an agent's text acts on the terminal; the value is unchanged."""
    await set_scene(rally)
    result = await rally(*argv, "--json")
    assert all(char.isprintable() for char in result.out.removesuffix("\n"))
    assert result.envelope["command"] == argv[0]


async def test_hostile_text_comes_back_unchanged(rally: Terminal) -> None:
    """Escaping is JSON's own: a reader gets exactly what was said."""
    fact = await rally.say("a:1", "note", "--subject", EVIL)
    assert fact["subject"] == EVIL
    assert (await rally.json("show", "1"))["fact"]["subject"] == EVIL


async def test_words_that_are_no_utf8_are_an_ordinary_error(rally: Terminal) -> None:
    """Undecodable arguments arrive as lone surrogates, which no JSON could carry."""
    result = await rally("say", "note", "--tool", "a:1", "--subject", "bad\udcff", "--json")
    assert (result.code, result.error["code"]) == (2, "bad-text")
    unknown = await rally("frob\udcff", "--json")
    assert (unknown.code, unknown.error["code"]) == (2, "usage")
    assert "frob\\udcff" in json.loads(unknown.out)["command"]
    text = await rally("frob\udcff")
    assert (text.code, text.out) == (2, "")


async def test_refusals_carry_their_details(rally: Terminal) -> None:
    """O2, C3: exit 3, the holder and the lease in details.conflicts."""
    await rally.say("a:1", "claim", "--path", "src", "--subject", "mine")
    result = await rally("say", "claim", "--tool", "b:1", "--path", "src/x", "--json")
    assert (result.code, result.error["code"]) == (3, "claim-conflict")
    (conflict,) = result.error["details"]["conflicts"]
    assert {"path", "held", "owner", "claim_id", "since", "lease_expires_at", "subject"} <= set(
        conflict
    )
    assert result.error["hint"].startswith("rally say claim --tool b:1")


async def test_errors_as_text_are_two_lines_on_standard_error(rally: Terminal) -> None:
    """O2: `error:` and `hint:`, nothing on standard output."""
    await rally.say("a:1", "claim", "--path", "src")
    result = await rally("say", "claim", "--tool", "b:1", "--path", "src")
    assert (result.code, result.out) == (3, "")
    error, hint = result.err.splitlines()
    assert error.startswith("error: src is claimed by a:1")
    assert hint.startswith("hint: rally say claim")


async def test_a_format_of_a_graph_is_no_envelope_and_json_is(rally: Terminal) -> None:
    """P5: --format json is the same answer as --json; the others are what they say."""
    await set_scene(rally)
    as_format = await rally("dag", "--run", RUN, "--format", "json")
    assert as_format.data == (await rally("dag", "--run", RUN, "--json")).data
    assert (await rally("dag", "--run", RUN, "--format", "mermaid")).out.startswith("flowchart TD")
    assert (await rally("dag", "--run", RUN, "--format", "dot")).out.startswith("digraph")
    assert (await rally("dag", "--run", RUN, "--format", "svg")).out.startswith("<")


async def test_times_are_utc_with_milliseconds(rally: Terminal) -> None:
    """O7."""
    fact = await rally.say("a:1", "claim", "--path", "src", "--ttl", "+90s")
    assert fact["created_at"] == "2023-11-14T22:13:20.000Z"
    assert fact["lease_expires_at"] == "2023-11-14T22:14:50.000Z"


class BrokenRooms:
    """Rooms in a state that nobody foresaw. Not the real ones: what is foreseen cannot be it."""

    def __init__(self, rally: Terminal) -> None:
        self.clock = rally.clock

    async def call(self, *_: object, **__: object) -> None:
        raise ZeroDivisionError("first line\nsecond line")


async def test_what_nobody_foresaw_is_one_line_and_no_traceback(rally: Terminal) -> None:
    """O2: exit 1, code internal, in text and in JSON."""
    rally.rooms = BrokenRooms(rally)  # type: ignore[assignment]
    result = await rally("room", "--json")
    assert (result.code, result.error["code"]) == (1, "internal")
    text = await rally("room")
    assert text.code == 1
    assert text.err.startswith("error: rally met a state that it does not know: ZeroDivisionError")
    assert text.err.count("\n") == 2
    assert "second line" not in text.err
    rally.rooms = None  # type: ignore[assignment]


async def test_a_check_that_breaks_is_unavailable_and_never_an_allow(rally: Terminal) -> None:
    """K0: whatever went wrong inside, the code is one, and nothing says allow."""
    rally.rooms = BrokenRooms(rally)  # type: ignore[assignment]
    for argv in (("check", "before-write", "--tool", "a:1", "--path", "p"), ("check-ci",)):
        result = await rally(*argv, "--json")
        assert (result.code, result.error["code"]) == (1, "unavailable")
        assert result.error["details"]["cause"] == "internal"
        assert "allow" not in (await rally(*argv)).out
    rally.rooms = None  # type: ignore[assignment]


async def test_a_check_on_a_damaged_ledger_is_unavailable(rally: Terminal) -> None:
    """K0: the cause stays in the details, and so does the way to look into it."""
    folder = rally.cwd / ".rally"
    folder.mkdir()
    (folder / "ledger.db").write_bytes(b"this is no database, and never was one" * 100)
    words = ("check", "before-write", "--tool", "a:1", "--path", "p", "--strict")
    result = await rally(*words, "--json")
    assert (result.code, result.error["code"]) == (1, "unavailable")
    assert result.error["details"]["cause"] == "corrupt-ledger"
    other = await rally("room", "--json")
    assert (other.code, other.error["code"]) == (1, "corrupt-ledger")

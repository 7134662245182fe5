"""`say` and what every caller shares: who calls, standard input, where the room is."""

from __future__ import annotations

import pytest
from cli_terminal import Terminal

INPUT_BYTES_MAX = 1024 * 1024


async def test_the_environment_may_say_who_calls(rally: Terminal) -> None:
    """F3: RALLY_TOOL and RALLY_SESSION_ID stand in for the flags; the flags win."""
    env = {"RALLY_TOOL": "a:1", "RALLY_SESSION_ID": "s1"}
    said = await rally.json("say", "claim", "--path", "p", env=env)
    assert (said["fact"]["tool"], said["fact"]["session_id"]) == ("a:1", "s1")
    other = await rally.json("say", "note", "--subject", "s", "--tool", "b:1", env=env)
    assert other["fact"]["tool"] == "b:1"
    for argv in (("enter",), ("next",), ("inbox",), ("whoami",),
                 ("check", "before-write", "--path", "p"), ("check", "before-complete"),
                 ("wait", "--until", "free:q")):  # fmt: skip
        data = await rally.json(*argv, env=env)
        assert data.get("tool", "a:1") == "a:1"


async def test_the_environment_filters_nothing(rally: Terminal) -> None:
    """Where --tool selects, an agent that has named itself still sees everybody."""
    await rally.say("b:1", "claim", "--path", "p")
    await rally.json("enter", "--tool", "b:1")
    await rally.say("b:1", "standby", "--wake-after", "+1s")
    rally.clock.advance(2_000)
    env = {"RALLY_TOOL": "a:1"}
    assert (await rally.json("room", env=env))["active_claims"]
    assert (await rally.json("log", env=env))["facts"]
    assert (await rally.json("wake-due", env=env))["due"]
    assert not (await rally.json("log", "--tool", "a:1"))["facts"]


async def test_the_room_may_be_named_before_or_after_the_verb(rally: Terminal) -> None:
    """R1: --room and RALLY_ROOM override where the command runs; the later flag wins."""
    one, two = rally.cwd / "one", rally.cwd / "two"
    one.mkdir()
    two.mkdir()
    words = ("say", "note", "--tool", "a:1", "--subject", "s")
    await rally.json("--room", str(one), *words)
    await rally.json(*words, "--room", "one")
    await rally.json("--room", str(two), *words, "--room", str(one))
    await rally.json(*words, env={"RALLY_ROOM": str(two)})
    assert (await rally.json("room", "--room", str(one)))["head"] == 3
    assert (await rally.json("room", env={"RALLY_ROOM": str(two)}))["head"] == 1
    assert (await rally.json("room"))["head"] == 0


async def test_a_dash_reads_standard_input(rally: Terminal) -> None:
    """F3: --summary - and --evidence -, without the line break that every program adds."""
    words = ("say", "artifact", "--tool", "a:1", "--subject", "s")
    fact = (await rally.json(*words, "--summary", "-", stdin="zwei\nZeilen ✓\n".encode()))["fact"]
    assert fact["summary"] == "zwei\nZeilen ✓"
    fact = (await rally.json(*words, "--evidence", "a", "--evidence", "-", stdin=b"b\r\n"))["fact"]
    assert fact["evidence"] == ["a", "b"]
    fact = (await rally.json(*words, "--summary=-", stdin=b"x"))["fact"]
    assert fact["summary"] == "x"


async def test_a_dash_elsewhere_is_a_dash(rally: Terminal) -> None:
    """Only two flags read standard input."""
    said = await rally.json("say", "note", "--tool", "a:1", "--subject", "-", stdin=b"not this")
    assert said["fact"]["subject"] == "-"


async def test_an_empty_input_is_told(rally: Terminal) -> None:
    """A pipe that broke before it must not pass unnoticed as evidence."""
    result = await rally(
        "say", "artifact", "--tool", "a:1", "--subject", "s", "--evidence", "-", "--json", stdin=b""
    )
    assert result.code == 0
    assert "evidence" not in result.data["fact"]
    assert "empty-input" in [one["code"] for one in result.envelope["warnings"]]


@pytest.mark.parametrize(
    ("flags", "stdin", "code", "message"),
    [
        (("--summary", "-"), b"x" * (INPUT_BYTES_MAX + 1), "usage", "1048576"),
        (("--summary", "-"), b"x" * INPUT_BYTES_MAX, "too-long", "16384"),
        (("--summary", "-"), b"ok\xff", "bad-text", "at byte 2"),
        (("--summary", "-"), b"a\x00b", "bad-text", "NUL"),
        (("--summary", "-", "--evidence", "-"), b"x", "usage", "--summary and --evidence"),
        (("--evidence", "-", "--evidence", "-"), b"x", "usage", "--evidence and --evidence"),
    ],
)
async def test_input_that_cannot_be_taken_is_refused_whole(
    rally: Terminal, flags: tuple[str, ...], stdin: bytes, code: str, message: str
) -> None:
    """F5: exit 2, and nothing is written."""
    words = ("say", "artifact", "--tool", "a:1", "--subject", "s", *flags, "--json")
    result = await rally(*words, stdin=stdin)
    assert (result.code, result.error["code"]) == (2, code)
    assert message in result.error["message"]
    assert (await rally.json("room"))["head"] == 0


async def test_strict_turns_a_stop_into_exit_4(rally: Terminal) -> None:
    """K1, O3, O2: the verdict is an answer, also under --strict."""
    await rally.say("a:1", "claim", "--path", "src")
    words = ("check", "before-write", "--tool", "b:1", "--path", "src/x")
    plain, strict = await rally(*words, "--json"), await rally(*words, "--strict", "--json")
    assert (plain.code, plain.data["allow"], plain.data["mode"]) == (0, False, "warn")
    assert (strict.code, strict.data["allow"], strict.data["mode"]) == (4, False, "strict")
    fine = await rally(
        "check", "before-write", "--tool", "a:1", "--path", "src", "--strict", "--json"
    )
    assert (fine.code, fine.data["allow"]) == (0, True)
    done = await rally("check", "before-complete", "--tool", "a:1", "--strict", "--json")
    assert (done.code, done.data["findings"][0]["code"]) == (4, "owned-active-claim")


async def test_every_flag_of_a_check_arrives(rally: Terminal) -> None:
    """K1: --fence, --require-claim, --run with --step."""
    await rally.say("a:1", "claim", "--path", "src", "--run", "r", "--step", "s")

    async def codes(*flags: str) -> set[str]:
        data = await rally.json("check", "before-write", "--tool", "a:1", *flags)
        return {finding["code"] for finding in data["findings"]}

    assert await codes("--path", "src", "--fence", "1") == set()
    assert "stale-fence" in await codes("--path", "src", "--fence", "7")
    assert "outside-claim" in await codes("--path", "docs", "--run", "r", "--step", "s")
    assert "unclaimed-path" in await codes("--path", "docs", "--require-claim")
    assert "missing-path" in await codes()


async def test_check_ci_is_strict_only_when_asked(rally: Terminal) -> None:
    """K6: exit 4 when strict and there is a finding."""
    assert (await rally("check-ci", "--strict")).code == 0
    await rally.say("a:1", "blocker", "--subject", "s")
    assert (await rally("check-ci")).code == 0
    assert (await rally("check-ci", "--strict")).code == 4


async def test_a_task_goes_its_whole_way(rally: Terminal) -> None:
    """W5 through the command line: add, take, done, and the refusals."""
    add = ("task", "add", "--tool", "a:1", "--run", "r", "--intent", "t", "--priority", "5")
    await rally.json(*add, "--id", "one", "--owns", "src/one", "--owns", "docs/one")
    await rally.json(*add, "--id", "two", "--read-only", "--depends-on", "one")
    again = await rally(*add, "--id", "one", "--owns", "src/one", "--json")
    assert (again.code, again.error["code"]) == (3, "task-exists")
    taken = await rally.json("task", "take", "--run", "r", "--tool", "b:1", "--ttl", "2h")
    assert taken["task"]["owns"] == ["src/one", "docs/one"]
    assert taken["fence"] == taken["fact"]["seq"]
    nothing = await rally("task", "take", "--run", "r", "--tool", "c:1", "--json")
    assert (nothing.code, nothing.error["code"]) == (3, "nothing-ready")
    stranger = await rally("task", "done", "--run", "r", "--id", "one", "--tool", "c:1", "--json")
    assert (stranger.code, stranger.error["code"]) == (3, "not-owner")
    landed = await rally.json("task", "done", "--run", "r", "--id", "one", "--tool", "b:1",
                              "--evidence", "-", stdin=b"12 passed\n")  # fmt: skip
    assert landed["fact"]["evidence"] == ["12 passed"]
    rows = (await rally.json("task", "list", "--run", "r"))["tasks"]
    assert next((row["id"], row["status"]) for row in rows) == ("one", "landed")

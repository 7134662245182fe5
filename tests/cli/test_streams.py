"""`wait` and `log --follow`: answers that come when something happens."""

from __future__ import annotations

import asyncio
import json

from cli_terminal import Result, Terminal

from rally.cli.call import ArgvCall
from rally.cli.plan import OutputClosedError
from rally.cli.verbs import run_argv

PATIENCE_S = 20.0


class Following:
    """A command that goes on, in a task of its own, whose lines can be waited for."""

    def __init__(self, rally: Terminal, *argv: str) -> None:
        self._more = asyncio.Event()
        self._text = b""
        self.drained = 0
        call, _ = rally.call()
        call.out = self._take
        call.drain = self._drain
        self.task = asyncio.create_task(run_argv(list(argv), call, rally.rooms))

    def _take(self, data: bytes) -> None:
        self._text += data
        self._more.set()

    async def _drain(self) -> None:
        self.drained += 1

    async def lines(self, count: int) -> list[str]:
        """The first `count` lines, as soon as they are there."""
        async with asyncio.timeout(PATIENCE_S):
            while self._text.count(b"\n") < count:
                self._more.clear()
                await self._more.wait()
        return self._text.decode().splitlines()

    async def stop(self) -> None:
        """Go away, as a client does that closes its connection."""
        self.task.cancel()
        await asyncio.wait({self.task})
        assert self.task.cancelled()


async def test_a_followed_log_tells_the_last_facts_and_then_each_new_one(rally: Terminal) -> None:
    """P7, O1: JSON lines of one fact each, in order, none twice, none left out."""
    for number in range(4):
        await rally.say("a:1", "note", "--subject", f"old {number}")
    follow = Following(rally, "log", "--follow", "--limit", "2", "--json")
    assert [json.loads(line)["seq"] for line in await follow.lines(2)] == [3, 4]
    for number in range(3):
        await rally.say("b:1", "note", "--subject", f"new {number}")
    facts = [json.loads(line) for line in await follow.lines(5)]
    assert [fact["seq"] for fact in facts] == [3, 4, 5, 6, 7]
    assert facts[-1]["subject"] == "new 2"
    assert follow.drained == 5
    await follow.stop()


async def test_a_followed_log_keeps_its_filters(rally: Terminal) -> None:
    """What was asked not to be shown does not come in by following."""
    await rally.say("a:1", "claim", "--path", "src")
    follow = Following(
        rally,
        "log",
        "-f",
        "--json",
        "--tool",
        "a:1",
        "--kind",
        "note",
        "--kind",
        "claim",
        "--path",
        "src",
    )
    await follow.lines(1)
    await rally.say("b:1", "note", "--subject", "of another tool", "--path", "src")
    await rally.say("a:1", "risk", "--subject", "of another kind", "--path", "src")
    await rally.say("a:1", "note", "--subject", "on another path", "--path", "docs")
    await rally.say("a:1", "note", "--subject", "the one", "--path", "src/x")
    lines = await follow.lines(2)
    assert [json.loads(line)["seq"] for line in lines] == [1, 5]
    await follow.stop()


async def test_a_followed_log_is_one_line_a_fact_for_people(rally: Terminal) -> None:
    """The columns stay where they are as facts come in."""
    await rally.say("a:1", "note", "--subject", "first\nsecond")
    follow = Following(rally, "log", "--follow")
    (line,) = await follow.lines(1)
    assert line == "     1  2023-11-14T22:13:20.000Z  note      a:1             first\\nsecond"
    await rally.say("a:1", "blocker", "--subject", "b", "--severity", "low")
    assert (await follow.lines(2))[1].endswith("blocker   a:1             low: b")
    await follow.stop()


async def test_a_followed_log_begins_after_since(rally: Terminal) -> None:
    """--since holds for both parts, also where it lies ahead."""
    for number in range(3):
        await rally.say("a:1", "note", "--subject", str(number))
    follow = Following(rally, "log", "--follow", "--since", "4", "--json")
    await rally.say("a:1", "note", "--subject", "not yet")
    await rally.say("a:1", "note", "--subject", "now")
    (line,) = await follow.lines(1)
    assert json.loads(line)["seq"] == 5
    await follow.stop()


async def test_a_followed_log_of_no_room_waits_for_it(rally: Terminal) -> None:
    """R2: reading creates nothing; when somebody makes the room, its facts are told."""
    follow = Following(rally, "log", "--follow", "--json")
    await rally.say("a:1", "note", "--subject", "here")
    (line,) = await follow.lines(1)
    assert json.loads(line)["subject"] == "here"
    await follow.stop()


async def test_a_reader_that_went_away_ends_the_stream_quietly(rally: Terminal) -> None:
    """O4: `rally log --follow | head -1` is no error."""
    await rally.say("a:1", "note", "--subject", "one")
    await rally.say("a:1", "note", "--subject", "two")

    def closed(_: bytes) -> None:
        raise OutputClosedError

    call: ArgvCall
    call, err = rally.call()
    call.out = closed
    assert await run_argv(["log", "--follow"], call, rally.rooms) == 0
    assert err == []


async def test_wait_returns_when_the_path_is_free(rally: Terminal) -> None:
    """P8: it sleeps until somebody lets go."""
    await rally.say("a:1", "claim", "--path", "src")
    words = ("wait", "--tool", "b:1", "--until", "free:src/x", "--timeout", "1h", "--json")
    follow = Following(rally, *words)
    await rally.say("a:1", "release", "--path", "src")
    (line,) = await follow.lines(1)
    assert await follow.task == 0
    data = Result(0, line.encode() + b"\n", b"").data
    assert data["conditions"] == [{"condition": "free:src/x", "holds": True}]


async def test_wait_for_any_is_content_with_one(rally: Terminal) -> None:
    """P8: --any, and what holds and what does not."""
    await rally.say("a:1", "claim", "--path", "src")
    words = ("wait", "--tool", "b:1", "--until", "free:src", "--until", "free:docs", "--any")
    data = await rally.json(*words)
    assert [one["holds"] for one in data["conditions"]] == [False, True]
    shown = (await rally(*words)).out
    assert "open   free:src" in shown
    assert "holds  free:docs" in shown


async def test_wait_that_is_over_is_refused(rally: Terminal) -> None:
    """P8: exit 3 timed-out, with what was missing."""
    await rally.say("a:1", "claim", "--path", "src")
    words = ("wait", "--tool", "b:1", "--until", "free:src", "--timeout", "0s")
    result = await rally(*words, "--json")
    assert (result.code, result.error["code"]) == (3, "timed-out")
    assert result.error["details"]["conditions"] == [{"condition": "free:src", "holds": False}]


async def test_wait_for_a_step_of_a_run(rally: Terminal) -> None:
    """S4: --run goes with step: conditions."""
    words = ("wait", "--tool", "b:1", "--run", "r", "--until", "step:s", "--json")
    follow = Following(rally, *words)
    await rally.say("a:1", "artifact", "--subject", "done", "--run", "r", "--step", "s")
    await follow.lines(1)
    assert await follow.task == 0


async def test_a_claim_that_waits_is_granted_when_its_turn_comes(rally: Terminal) -> None:
    """C8 through the command line."""
    await rally.say("a:1", "claim", "--path", "src")
    words = ("say", "claim", "--tool", "b:1", "--path", "src", "--wait", "1h", "--json")
    follow = Following(rally, *words)
    await rally.say("a:1", "release", "--path", "src")
    (line,) = await follow.lines(1)
    assert await follow.task == 0
    assert json.loads(line)["data"]["say"]["fact"]["tool"] == "b:1"

"""The server as a process: who it is, what it survives, and how it ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mcp_desk import PATIENCE_S, RALLY, Desk, answer_of, refusal_of, text_of

NOTE = {"kind": "note", "subject": "here"}


async def until_waiting(desk: Desk, count: int) -> None:
    """Return when so many claims wait in line; the room tells whoever follows it of each change."""
    from rally.client.connection import Connection

    async with asyncio.timeout(PATIENCE_S):
        async with await Connection.open(env=desk.env, cwd=str(desk.root)) as connection:
            while (await connection.call("room"))["totals"]["waiting"] != count:
                pass  # each question is a round trip through the daemon, which is what is awaited


# -- who it is


async def test_it_enters_with_the_first_thing_that_it_says(alone: Desk) -> None:
    """A host starts every server that it knows: looking and asking are nobody's presence."""
    async with alone.client() as client:
        for name in ("room", "next", "inbox", "check"):
            answer_of(await client.call_tool(name, {}))
        refusal_of(await client.call_tool("claim", {}))
        assert not (alone.root / ".rally").exists()
        answer = await client.call_tool("say", NOTE)
        assert "warnings" not in answer_of(answer)
        answer_of(await client.call_tool("say", NOTE))
    facts = await alone.facts()
    assert [fact["kind"] for fact in facts] == ["note", "enter", "note"]
    assert len({fact["session_id"] for fact in facts}) == 1
    assert {fact["tool"] for fact in facts} == {"mcp:tester"}


async def test_two_windows_of_one_client_are_two_owners(alone: Desk) -> None:
    """Each server has a session id of its own; the second is told of the first."""
    async with alone.client() as first, alone.client() as second:
        answer_of(await first.call_tool("claim", {"paths": ["a"]}))
        refused = await second.call_tool("claim", {"paths": ["a"]})
        error = refusal_of(refused)
        assert error["code"] == "claim-conflict"
        assert [one["code"] for one in error["warnings"]] == ["duplicate-tool"]
        assert text_of(refused).startswith("warning: ")
        again = refusal_of(await second.call_tool("claim", {"paths": ["a"]}))
        assert "warnings" not in again


async def test_the_environment_says_who_it_is_unless_a_flag_does(alone: Desk) -> None:
    """And who has entered under this session already does not enter again."""
    who = {"RALLY_TOOL": "claude:1", "RALLY_SESSION_ID": "s-1"}
    alone.rally("enter", **who)
    async with alone.client(**who) as client:
        said = answer_of(await client.call_tool("say", NOTE))["fact"]
        assert (said["tool"], said["session_id"]) == ("claude:1", "s-1")
    async with alone.client("--tool", "codex:2", "--session-id", "s-1", **who) as client:
        said = answer_of(await client.call_tool("say", NOTE))["fact"]
        assert (said["tool"], said["session_id"]) == ("codex:2", "s-1")
    kinds = [(fact["kind"], fact["tool"]) for fact in await alone.facts()]
    assert kinds == [("enter", "claude:1"), ("note", "claude:1"), ("enter", "codex:2"),
                     ("note", "codex:2")]  # fmt: skip
    async with alone.client(**who) as client:
        other = {"kind": "note", "subject": "a second server of the same session"}
        assert answer_of(await client.call_tool("say", other))["replayed"] is False


async def test_who_left_comes_back_with_the_next_word(alone: Desk) -> None:
    """`say leave` is no way to be silently absent for good."""
    async with alone.client() as client:
        for said in ({"kind": "enter"}, NOTE, {"kind": "leave"}, NOTE):
            answer_of(await client.call_tool("say", said))
    kinds = [fact["kind"] for fact in await alone.facts()]
    assert kinds == ["enter", "note", "leave", "enter", "note"]


# -- what it survives


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_claim_that_is_given_up_leaves_the_queue(desk: Desk, mode: str) -> None:
    """The client cancels: nobody waits any more, and the paths go to the next in line."""
    held = desk.rally("say", "claim", "--tool", "ben", "--path", "src")["fact"]["event_id"]
    async with desk.client(mode=mode) as client:
        waiting = asyncio.create_task(
            client.call_tool("claim", {"paths": ["src/a"], "wait_s": 600})
        )
        await until_waiting(desk, 1)
        waiting.cancel()
        await until_waiting(desk, 0)
        # The same connection goes on, and a wait that is not given up is granted.
        granted = asyncio.create_task(
            client.call_tool("claim", {"paths": ["src/a"], "wait_s": 600})
        )
        await until_waiting(desk, 1)
        desk.rally("say", "release", "--tool", "ben", "--ref", held)
        assert answer_of(await granted)["fact"]["paths"] == ["src/a"]
    claims = [fact for fact in await desk.facts() if fact["kind"] == "claim"]
    assert len(claims) == 2


async def test_it_outlives_the_daemon(desk: Desk) -> None:
    """A daemon that is replaced between two calls is not noticed, whatever is asked next."""
    async with desk.client() as client:
        answer_of(await client.call_tool("claim", {"paths": ["a"]}))
        for name, arguments in (
            ("say", NOTE),
            ("check", {"paths": ["a"]}),
            ("task", {"action": "add", "run": "r", "id": "t", "intent": "x", "owns": ["b"]}),
            ("task", {"action": "take", "run": "r"}),
        ):
            assert desk.rally("daemon", "stop")["stopped"] is True
            answer_of(await client.call_tool(name, arguments))
        assert desk.rally("daemon", "status")["running"] is True
    kinds = [fact["kind"] for fact in await desk.facts()]
    assert kinds == ["claim", "enter", "note", "task", "claim"]


async def test_a_room_that_was_removed_is_told_of_and_made_anew(desk: Desk) -> None:
    """As by any command; but an agent that held something is told that it holds it no more."""
    async with desk.client() as client:
        answer_of(await client.call_tool("claim", {"paths": ["a"]}))
        shutil.rmtree(desk.root / ".rally")
        assert answer_of(await client.call_tool("room", {}))["head"] == 0
        said = answer_of(await client.call_tool("say", NOTE))
        assert [one["code"] for one in said["warnings"]] == ["room-gone"]
        assert "warnings" not in answer_of(await client.call_tool("say", NOTE))
        room = answer_of(await client.call_tool("room", {}))
        assert (room["head"], room["totals"]["active_claims"]) == (3, 0)
        assert [row["tool"] for row in room["tools"]] == ["mcp:tester"]


async def test_a_damaged_ledger_is_a_refusal_and_no_allow(alone: Desk) -> None:
    """Contract K0: what cannot be answered is never an allow; the server lives on."""
    alone.rally("say", "note", "--tool", "a", "--subject", "x")
    (alone.root / ".rally" / "ledger.db").write_bytes(b"no database, whatever it is" * 400)
    async with alone.client() as client:
        for name, arguments in (("check", {"paths": ["a"]}), ("say", NOTE), ("room", {})):
            refused = refusal_of(await client.call_tool(name, arguments))
            assert refused["code"] == "corrupt-ledger"
            assert refused["exit_code"] == 1
        assert len((await client.list_tools()).tools) == 7
        assert len((await client.list_resources()).resources) == 1


HALF = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"check","arguments":\
{"paths":["\\ud83d"]}}}'
LATIN = b'{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"check","arguments":\
{"paths":["\xe4"]}}}'
DEEP = b'{"jsonrpc":"2.0","id":8,"method":"x","params":' + b'{"a":' * 400 + b"1" + b"}" * 401


def test_whatever_is_sent_it_answers_and_lives_on(alone: Desk) -> None:
    """Lines that are no messages, calls that make no sense, texts that are too long."""
    with alone.raw("--tool", "a") as server:
        server.hello()
        for line, number in ((b"garbage", None), (b"\xff\xfe", None), (b"[]", None), (b"", None),
                             (b'{"id": 5}', 5), (LATIN, 6), (HALF, 7), (DEEP, 8)):  # fmt: skip
            server.send(line)
            error = server.receive()
            assert (error["id"], error["error"]["code"]) == (number, -32700)
        calls: list[tuple[str, Any, str | int]] = [
            ("nothing", {}, -32602),
            ("check", "text", -32602),
            ("check", [], -32602),
            ("say", {**NOTE, "summary": "x" * 2_000_000}, "too-long"),
            ("say", {**NOTE, "subject": "x" * 501}, "too-long"),
            ("say", {**NOTE, "evidence": ["x"] * 101}, "too-long"),
            ("check", {"paths": ["a\0b"]}, "bad-text"),
            ("check", {"paths": ["../.."]}, "path-outside-room"),
            ("room", {"limit": 10**30}, "bad-text"),
            ("room", {"limit": -1}, "bad-value"),
            ("claim", {"paths": ["a"], "wait_s": 10**9}, "bad-duration"),
            ("task", {"action": "done", "run": "r", "id": "nobody"}, "unknown-task"),
        ]
        for number, (name, arguments, expected) in enumerate(calls, 10):
            server.call(number, name, arguments)
            answer = server.receive()
            assert answer["id"] == number
            if isinstance(expected, int):
                assert answer["error"]["code"] == expected
            else:
                assert answer["result"]["isError"] is True
                assert answer["result"]["structuredContent"]["code"] == expected
        server.call(99, "say", NOTE)
        assert server.receive()["result"]["isError"] is False
        assert server.end() == (0, b"", b"")


# -- how it ends


def test_it_ends_with_its_input_whatever_is_on_its_way(desk: Desk) -> None:
    """No process stays behind, nothing stays in the queue, nothing is on standard error."""
    desk.rally("say", "claim", "--tool", "ben", "--path", "src")
    with desk.raw() as server:
        server.hello()
        server.call(1, "claim", {"paths": ["src"], "wait_s": 600})
        asyncio.run(until_waiting(desk, 1))
        code, _, err = server.end()
        assert (code, err) == (0, b"")
        asyncio.run(until_waiting(desk, 0))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_at_once(alone: Desk, number: int, code: int) -> None:
    """Also while it waits for a line that never comes."""
    with alone.raw() as server:
        server.hello()
        server.call(1, "next", {})
        server.receive()
        server.process.send_signal(number)
        assert server.process.wait(PATIENCE_S) == code
        assert server.end() == (code, b"", b"")


def test_a_client_that_reads_no_more_ends_it_quietly(alone: Desk) -> None:
    """Its host died: no traceback."""
    with alone.raw() as server:
        server.hello()
        assert server.process.stdout is not None
        server.process.stdout.close()
        server.process.stdout = None
        server.call(1, "room", {})
        code, _, err = server.end()
        assert (code, err) == (0, b"")


def failed(desk: Desk, *words: str, **env: str) -> tuple[int, bytes, bytes]:
    """A start that comes to nothing; it reads no input."""
    done = subprocess.run(
        [RALLY, "mcp", *words], cwd=desk.root, env={**desk.env, **env}, check=False,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_without_the_sdk_it_says_what_to_install(alone: Desk, tmp_path: Path) -> None:
    """The extra is an extra: everything else works without it."""
    stand_in = tmp_path / "without" / "mcp_types"
    stand_in.mkdir(parents=True)
    gone = "raise ModuleNotFoundError(\"No module named 'mcp'\", name='mcp')\n"
    (stand_in / "__init__.py").write_text(gone)
    code, out, err = failed(alone, PYTHONPATH=str(stand_in.parent))
    assert (code, out) == (1, b"")
    assert err.decode() == (
        "error: rally mcp needs the MCP SDK: No module named 'mcp'\n"
        "hint: pip install 'agent-rally[mcp]'\n"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--tool", "a b"), b"error: --tool may hold only"),
        (("--session-id", "a\nb"), b"error: --session-id holds control characters"),
        (("--room", "/nowhere/at/all"), b"error: the room is no folder"),
        (("extra",), b"error: rally mcp takes no argument 'extra'"),
    ],
)
def test_a_wrong_start_is_a_usage_error(alone: Desk, words: tuple[str, ...], says: bytes) -> None:
    """Before anything is served."""
    code, out, err = failed(alone, *words)
    assert (code, out) == (2, b"")
    assert err.startswith(says)


def test_it_has_no_envelope_of_its_own(alone: Desk) -> None:
    """Standard output is the protocol's; `--json` is refused in the form it asks for."""
    code, out, err = failed(alone, "--json")
    assert (code, err) == (2, b"")
    assert b'"code":"usage"' in out


def test_a_person_who_types_it_is_told_what_it_is(alone: Desk) -> None:
    """It would wait for JSON for ever."""
    leader, follower = os.openpty()
    process = subprocess.Popen(
        [RALLY, "mcp"], cwd=alone.root, env=alone.env, stdin=follower,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(follower)
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"rally mcp speaks the Model Context Protocol")
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)
        os.close(leader)

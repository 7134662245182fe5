"""Tools and resources: small to read, the same answers as `--json`, refusals that can be read."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp_desk import Desk, answer_of, refusal_of, text_of

from rally.mcp.agent import tool_of
from rally.mcp.tools import TOOL_BY_NAME, TOOLS, read_arguments
from rally.model.errors import UsageError
from rally.model.kinds import FIELD_BY_NAME
from rally.model.text import check_tool

SCHEMA_BYTES_MAX = 4_000
NAMES = ["claim", "check", "say", "next", "room", "inbox", "task"]


def test_the_whole_schema_is_under_4_kb_as_it_is_sent(alone: Desk) -> None:
    """Every agent pays for it before its first word; the line of the protocol is measured."""
    with alone.raw() as server:
        server.hello()
        server.send({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        line = server.line()
    assert len(line) < SCHEMA_BYTES_MAX
    tools = json.loads(line)["result"]["tools"]
    assert [tool["name"] for tool in tools] == NAMES
    assert len(tools) <= 7
    assert all(tool["description"] and tool["inputSchema"]["type"] == "object" for tool in tools)


def test_the_schema_is_what_all_hosts_read() -> None:
    """Some refuse a list without a type of its items, others a choice without a type."""
    for tool in TOOLS:
        for schema in tool.schema()["properties"].values():
            assert schema["type"] in ("string", "array", "integer", "boolean")
            assert (schema["type"] == "array") == ("items" in schema)
            assert schema.keys() <= {"type", "items", "enum", "description"}


def test_what_say_takes_is_in_the_table_of_fields() -> None:
    """One table for the command line and for the tool."""
    names = {param.name for param in TOOL_BY_NAME["say"].params} - {"kind"}
    assert names <= FIELD_BY_NAME.keys()
    required = {"subject", "target", "ref", "state", "reason", "ref_standby", "paths"}
    assert required <= names


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_takes_part_through_tools_alone(alone: Desk, mode: str) -> None:
    """From the claim to the artifact, in both eras of the protocol."""
    async with alone.client(mode=mode) as client:
        said = answer_of(await client.call_tool("claim", {"paths": ["src/a.py"], "subject": "x"}))
        assert said["fact"]["paths"] == ["src/a.py"]
        assert (said["fact"]["tool"], said["replayed"]) == ("mcp:tester", False)
        asked = {"paths": ["src/a.py"], "fence": said["fence"]}
        checked = answer_of(await client.call_tool("check", asked))
        assert checked["allow"] is True
        action = answer_of(await client.call_tool("next", {}))
        assert action["action"] == "continue_claim"
        made = {"kind": "artifact", "subject": "x", "evidence": ["pytest: 3 passed"]}
        assert answer_of(await client.call_tool("say", made))["fact"]["kind"] == "artifact"
        release = {"kind": "release", "paths": ["src"]}
        assert answer_of(await client.call_tool("say", release))["fact"]["kind"] == "release"
        room = answer_of(await client.call_tool("room", {}))
        assert room["totals"]["active_claims"] == 0
        assert answer_of(await client.call_tool("inbox", {}))["total"] == 0
    kinds = [fact["kind"] for fact in await alone.facts()]
    assert sorted(kinds) == ["artifact", "claim", "enter", "release"]


async def test_the_answers_are_those_of_the_command_line(alone: Desk) -> None:
    """Structured: what `--json` has at `data.<command>`; text: what a person reads."""
    alone.rally("say", "handoff", "--tool", "b", "--target", "a", "--subject", "look")
    async with alone.client("--tool", "a", "--session-id", "s1") as client:
        for name, words in (
            ("check", ["check", "before-write", "--path", "x"]),
            ("next", ["next"]),
            ("inbox", ["inbox"]),
        ):
            got = await client.call_tool(name, {"paths": ["x"]} if name == "check" else {})
            told = alone.rally(*words, "--tool", "a", "--session-id", "s1")
            mine = answer_of(got)
            for item in [*mine.get("items", ()), *told.get("items", ())]:
                item.pop("age_s")
            assert mine == told
        shown = text_of(await client.call_tool("inbox", {}))
        assert "look" in shown
        assert "{" not in shown


async def test_a_refusal_is_a_result_that_says_what_and_why(alone: Desk) -> None:
    """With code, message, hint and details; a stop of a check is an answer."""
    alone.rally("say", "claim", "--tool", "ben", "--path", "src", "--subject", "mine")
    async with alone.client("--tool", "ada") as client:
        refused = refusal_of(await client.call_tool("claim", {"paths": ["src/a.py"]}))
        assert (refused["code"], refused["exit_code"]) == ("claim-conflict", 3)
        assert refused["details"]["conflicts"][0]["owner"] == "ben"
        stopped = await client.call_tool("check", {"paths": ["src/a.py"]})
        assert answer_of(stopped)["allow"] is False
        assert text_of(stopped).startswith("stop\n")


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("check", {"paths": 5}, "check: paths must be a list of texts, not 5"),
        ("check", {"paths": ["a", 1]}, "check: paths must be a list of texts, not ['a', 1]"),
        ("check", {"path": ["a"]}, "check has no argument 'path'; it has: paths, phase"),
        ("check", {"fence": 1.5}, "check: fence must be a whole number, not 1.5"),
        ("room", {"limit": True}, "room: limit must be a whole number, not True"),
        ("inbox", {"sent": "yes"}, "inbox: sent must be true or false, not 'yes'"),
        ("say", {"kind": "claim"}, "say: kind is 'claim'; it must be one of enter, leave"),
        ("say", {"subject": "x"}, "say needs kind"),
        ("task", {"action": "take"}, "task needs run"),
        ("claim", {"paths": ["a"], "wait_s": -1}, "wait_s is -1; it must be 0 or more"),
        ("check", {"x" * 9_000: 1}, "check has no argument 'xxx"),
        ("say", {"kind": {"a": "b" * 9_000}}, "say: kind must be text, not {'a': 'bbb"),
    ],
)
def test_wrong_arguments_are_named(name: str, arguments: dict[str, Any], says: str) -> None:
    """Whoever sent them reads what would do, in a line that stays short."""
    with pytest.raises(UsageError) as refused:
        read_arguments(TOOL_BY_NAME[name], arguments)
    assert refused.value.message.startswith(says)
    assert len(refused.value.message) < 400
    assert refused.value.hint


def test_null_is_not_given_and_one_text_is_a_list_of_one() -> None:
    """Both are what models write."""
    request = read_arguments(TOOL_BY_NAME["check"], {"paths": "a.py", "fence": None})
    assert request.params == {"phase": "before-write", "paths": ["a.py"]}


async def test_tasks_are_taken_and_landed(alone: Desk) -> None:
    """The packet comes with the task."""
    async with alone.client("--tool", "ada") as client:
        task = {"run": "r1", "id": "api", "intent": "add it", "owns": ["src/api/"]}
        added = answer_of(await client.call_tool("task", {"action": "add", **task}))
        assert added["action"] == "add"
        taken = answer_of(await client.call_tool("task", {"action": "take", "run": "r1"}))
        assert taken["task"]["id"] == "api"
        assert "src/api" in taken["packet"]
        assert taken["fence"]
        again = refusal_of(await client.call_tool("task", {"action": "take", "run": "r1"}))
        assert again["code"] == "nothing-ready"
        done = {"action": "done", "run": "r1", "id": "api", "evidence": ["tested"]}
        assert answer_of(await client.call_tool("task", done))["fact"]["kind"] == "artifact"
        listed = answer_of(await client.call_tool("task", {"action": "list", "run": "r1"}))
        assert [row["status"] for row in listed["tasks"]] == ["landed"]


async def test_room_and_runs_are_resources(alone: Desk) -> None:
    """As JSON; the template takes any run's name."""
    task = ["--intent", "x", "--owns", "src"]
    alone.rally("task", "add", "--tool", "a", "--run", "r 1/ä", "--id", "one", *task)
    async with alone.client() as client:
        listed = (await client.list_resources()).resources
        assert [str(one.uri) for one in listed] == ["rally://room", "rally://run/r%201%2F%C3%A4"]
        templates = (await client.list_resource_templates()).resource_templates
        assert [one.uri_template for one in templates] == ["rally://run/{run}"]
        for uri, key, value in (
            ("rally://room", "room", str(alone.root)),
            (str(listed[1].uri), "run_id", "r 1/ä"),
            ("rally://run/nobody", "nodes", []),
        ):
            content = (await client.read_resource(uri)).contents[0]
            assert content.mime_type == "application/json"
            assert json.loads(getattr(content, "text", ""))[key] == value
        for uri, message in (
            ("rally://rooms", "no such resource: 'rally://rooms'; rally://room, rally://run/{run}"),
            ("rally://run/", "no such resource"),
            ("rally://run/%00", "--run"),
            ("rally://run/%ff", "--run is not valid UTF-8"),
        ):
            with pytest.raises(MCPError) as refused:
                await client.read_resource(uri)
            assert refused.value.error.message.startswith(message)
    # Looking entered nobody.
    assert [fact["kind"] for fact in await alone.facts()] == ["task"]


@pytest.mark.parametrize(
    ("client", "tool"),
    [
        ("claude-code", "mcp:claude-code"),
        ("Visual Studio Code", "mcp:Visual-Studio-Code"),
        ("\x1b[31m\u202e…", "mcp:31m"),
        ("", "mcp:client"),
        ("日本", "mcp:client"),
        ("x" * 500, "mcp:" + "x" * 124),
    ],
)
def test_a_client_gives_its_name_to_the_agent(client: str, tool: str) -> None:
    """Whatever it is called, a tool id comes of it (contract F4)."""
    assert tool_of(client) == tool
    assert check_tool(tool) == tool


def test_the_page_names_the_tools_and_configures_what_there_is() -> None:
    """What is pasted from docs/mcp.md is well-formed and starts this server."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "mcp.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `rally .*? \| (.*) \|$", page, re.MULTILINE)
    assert [name for name, _ in rows] == NAMES
    for name, takes in rows:
        known = {param.name for param in TOOL_BY_NAME[name].params}
        named = set(re.findall(r"`(\w+)`", takes)) - {"claim"}
        assert named <= known
        assert named == known or "what goes with it" in takes
    found = [
        json.loads(text)["mcpServers"] for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    ]
    found += [
        tomllib.loads(text)["mcp_servers"]
        for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    ]
    assert len(found) == 4
    for servers in found:
        assert servers["rally"]["command"] == "rally"
        assert servers["rally"]["args"][0] == "mcp"

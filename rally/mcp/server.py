"""`rally mcp`: the tools and resources of a room, served by the official SDK over standard input.

Standard output holds the protocol alone. A refusal is the result of a tool, with `isError` and the
`error` object of `--json`, because the model is to read it; only what no tool is behind (an unknown
tool or resource) is an error of the protocol. The process ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote

import mcp_types as types
import orjson
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from rally import __version__
from rally.cli import envelope
from rally.cli.run import unknown_state
from rally.cli.screen import Screen
from rally.cli.text.check import show_check
from rally.cli.text.inbox import show_inbox
from rally.cli.text.next_action import show_next
from rally.cli.text.room import show_room
from rally.cli.text.say import show_say
from rally.cli.text.task import show_task
from rally.mcp.agent import Agent
from rally.mcp.lines import answered, standard_input
from rally.mcp.tools import ARGUMENTS_BYTES_MAX, TOOL_BY_NAME, TOOLS, Request, read_arguments
from rally.model.clock import SystemClock
from rally.model.errors import RallyError, UsageError
from rally.model.visible import json_safe

INSTRUCTIONS = (
    "Other agents share this repository. claim what you will write, check before each write, say "
    "artifact with evidence and release when done, next when unsure what to do."
)
ROOM_URI = "rally://room"
RUN_URI = "rally://run/"
JSON_TYPE = "application/json"
_RUNS_LISTED = 20
_TEXT_COLUMNS = 100
_TEXT_CHARS_MAX = 4_000

# Hosts ask their person before a tool that is not known to only read.
_QUESTION = types.ToolAnnotations(read_only_hint=True)

Context = ServerRequestContext[Any, Any]

_SHOWN: dict[str, Callable[[dict[str, Any], Screen], str]] = {
    "claim": show_say,
    "say": show_say,
    "check": show_check,
    "next": show_next,
    "room": show_room,
    "inbox": show_inbox,
    "task": show_task,
}


class Door:
    """The requests of one client, carried out for one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._clock = SystemClock()

    def server(self) -> Server[Any]:
        """The SDK's server with everything that it answers."""
        return Server(
            "rally",
            version=__version__,
            instructions=INSTRUCTIONS,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
        )

    async def list_tools(
        self, _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """All of them; they never change."""
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=tool.name,
                    description=tool.help,
                    input_schema=tool.schema(),
                    annotations=_QUESTION if tool.is_question else None,
                )
                for tool in TOOLS
            ]
        )

    async def call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """One call: an answer, or a refusal that the model can read.

        Raises:
            MCPError: there is no such tool.
        """
        tool = TOOL_BY_NAME.get(params.name)
        if tool is None:
            known = ", ".join(TOOL_BY_NAME)
            raise MCPError(
                code=types.INVALID_PARAMS, message=f"no such tool: {params.name[:60]!a}; {known}"
            )
        client = context.session.client_params
        self._agent.meet(client.client_info.name if client else None)
        try:
            arguments = params.arguments or {}
            _check_size(arguments)
            data, warnings = await self._agent.ask(read_arguments(tool, arguments))
        except RallyError as error:
            return _refusal(error, self._agent.take_news())
        except Exception as error:
            return _refusal(unknown_state(error), self._agent.take_news())
        return self._answer(tool.name, data, [*self._agent.take_news(), *warnings])

    def _answer(
        self, name: str, data: dict[str, Any], warnings: list[dict[str, str]]
    ) -> types.CallToolResult:
        screen = Screen(_TEXT_COLUMNS, is_piped=True, colour=False, now_ms=self._clock.now_ms())
        text = _SHOWN[name](data, screen)
        if len(text) > _TEXT_CHARS_MAX:
            text = text[:_TEXT_CHARS_MAX] + "…\n"
        # First, so that no long answer cuts them off.
        text = envelope.warning_text(warnings).decode() + text
        structured = {**data, "warnings": warnings} if warnings else data
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], structured_content=structured
        )

    async def list_resources(
        self, _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """The room, and the runs that were last spoken of."""
        listed = [
            types.Resource(
                uri=ROOM_URI, name="room", mime_type=JSON_TYPE, description="The room now."
            )
        ]
        with suppress(RallyError):  # the room says so when it is read
            for run in await self._runs():
                uri = RUN_URI + quote(run, safe="")
                listed.append(types.Resource(uri=uri, name=f"run {run}", mime_type=JSON_TYPE))
        return types.ListResourcesResult(resources=listed)

    async def _runs(self) -> list[str]:
        begun = Request("log", {"kinds": ["run", "task"], "limit": 200}, is_caller=False)
        facts = (await self._agent.ask(begun))[0]["facts"]
        return list(dict.fromkeys(fact["run"] for fact in reversed(facts)))[:_RUNS_LISTED]

    async def list_templates(
        self, _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """Any run by its name."""
        run = types.ResourceTemplate(
            uri_template=RUN_URI + "{run}", name="run", mime_type=JSON_TYPE,
            description="Steps of a run, and how they stand.",
        )  # fmt: skip
        return types.ListResourceTemplatesResult(resource_templates=[run])

    async def read_resource(
        self, _: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """The answer of `room` or `dag`, as JSON.

        Raises:
            MCPError: there is no such resource, or the room's error, its `error` object in `data`.
        """
        uri = str(params.uri)
        if uri == ROOM_URI:
            request = Request("room", {}, is_caller=False)
        elif uri.startswith(RUN_URI) and len(uri) > len(RUN_URI):
            run = unquote(uri.removeprefix(RUN_URI), errors="surrogateescape")
            request = Request("dag", {"run": run}, is_caller=False)
        else:
            raise MCPError(
                code=types.INVALID_PARAMS,
                message=f"no such resource: {uri[:60]!a}; {ROOM_URI}, {RUN_URI}{{run}}",
            )
        try:
            data, _warnings = await self._agent.ask(request)
        except RallyError as error:
            code = types.INVALID_PARAMS if isinstance(error, UsageError) else types.INTERNAL_ERROR
            raise MCPError(code=code, message=error.message, data=error.as_json()) from None
        text = json_safe(orjson.dumps(data)).decode()
        content = types.TextResourceContents(uri=params.uri, mime_type=JSON_TYPE, text=text)
        return types.ReadResourceResult(contents=[content])


def _check_size(arguments: Mapping[str, Any]) -> None:
    try:
        size = len(orjson.dumps(arguments))
    except (TypeError, ValueError):  # lone surrogates, numbers beyond 64 bits, too deep
        raise UsageError(
            "bad-text",
            "the arguments hold a text that is no UTF-8, or a number of more than 64 bits",
            hint="send UTF-8",
        ) from None
    if size > ARGUMENTS_BYTES_MAX:
        raise UsageError(
            "too-long", f"the arguments have {size} bytes, at most {ARGUMENTS_BYTES_MAX} are allowed",
            hint="put it into a file and name that with uri",
        )  # fmt: skip


def _refusal(error: RallyError, news: list[dict[str, str]]) -> types.CallToolResult:
    text = (envelope.warning_text(news) + envelope.failure_text(error)).decode()
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content={**error.as_json(), **({"warnings": news} if news else {})},
        is_error=True,
    )


async def serve(agent: Agent) -> int:
    """Serve until standard input ends; the exit code."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # A thread of the SDK sits in a read that nothing interrupts. Whatever is on its way is
        # withdrawn by the end of the connection, as by any other death.
        loop.add_signal_handler(number, os._exit, 128 + number)
    server = Door(agent).server()
    try:
        async with stdio_server(standard_input()) as streams, answered(*streams) as messages:
            await server.run(messages, streams[1], server.create_initialization_options())
    except* (BrokenPipeError, ConnectionError):
        pass  # the client is gone
    finally:
        await agent.way.close()
    return 0

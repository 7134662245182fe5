"""Lines that are no message get an answer too: the SDK passes over them, and their sender would wait.

What does arrive: half of a surrogate pair, where a host cut a text in the middle of an emoji, bytes of
another encoding, and documents that are nested deeper than the SDK reads.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import ReadStream, WriteStream

Item = SessionMessage | Exception


def standard_input() -> anyio.AsyncFile[str]:
    """What the client sends. Bytes that are no UTF-8 make a line no message (contract F5); the SDK's own
    reader would put other characters in their place."""
    raw = os.fdopen(0, "rb", closefd=False)
    return anyio.wrap_file(TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape"))


@asynccontextmanager
async def answered(
    incoming: ReadStream[Item], outgoing: WriteStream[SessionMessage]
) -> AsyncIterator[ReadStream[Item]]:
    """The messages of a stream; lines that are none are answered with an error and left out."""
    sender, messages = anyio.create_memory_object_stream[Item]()

    async def relay() -> None:
        async with sender:
            async for item in incoming:
                if isinstance(item, Exception):
                    await outgoing.send(SessionMessage(_refusal(item)))
                else:
                    await sender.send(item)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(relay)
        yield messages
        tasks.cancel_scope.cancel()


def _refusal(error: Exception) -> types.JSONRPCError:
    why = "not a message of this protocol: not JSON in UTF-8, or none that it knows"
    return types.JSONRPCError(
        jsonrpc="2.0",
        id=_number(error),
        error=types.ErrorData(code=types.PARSE_ERROR, message=why),
    )


def _number(error: Exception) -> types.RequestId | None:
    """Whose answer it is; the standard library reads some documents that the SDK does not."""
    if not isinstance(error, ValidationError):
        return None
    line = error.errors(include_url=False)[0]["input"]
    try:
        document = json.loads(line) if isinstance(line, str) else line
    except (ValueError, RecursionError):
        return None
    number = document.get("id") if isinstance(document, dict) else None
    return number if isinstance(number, str) or type(number) is int else None

"""The one form of every JSON answer (contract O1, O2), and of errors and warnings as text.

Each is whole output: bytes that end in a line break. Everything passes through `model.visible`, so
nothing that an agent wrote reaches a terminal as an escape, in JSON neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from rally.model.errors import RallyError
from rally.model.visible import json_safe, visible

PRODUCT = "rally"


def json_line(document: Any) -> bytes:
    """One JSON document on one line."""
    try:
        raw = orjson.dumps(document)
    except TypeError:
        # Words that were no UTF-8 arrive as lone surrogates, which JSON cannot carry.
        raw = orjson.dumps(_encodable(document))
    return json_safe(raw) + b"\n"


def answer(command: str, data: Any, warnings: Sequence[dict[str, str]] = ()) -> bytes:
    """The envelope of a result; it is found at `data[command]`."""
    return json_line(
        {
            "ok": True,
            "product": PRODUCT,
            "command": command,
            "schema": f"rally.{command}.v1",
            "data": {command: data},
            "warnings": list(warnings),
        }
    )


def failure(command: str, error: RallyError) -> bytes:
    """The envelope of an error."""
    return json_line(
        {
            "ok": False,
            "product": PRODUCT,
            "command": command,
            "schema": "rally.error.v1",
            "error": error.as_json(),
        }
    )


def failure_text(error: RallyError) -> bytes:
    """An error for people: what is wrong, and what to type next."""
    hint = f"hint: {visible(error.hint)}\n" if error.hint else ""
    return _encoded(f"error: {visible(error.message)}\n{hint}")


def warning_text(warnings: Sequence[dict[str, str]]) -> bytes:
    """Warnings for people, one line each."""
    return _encoded("".join(f"warning: {visible(one['message'])}\n" for one in warnings))


def _encoded(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(one) for one in value]
    return value

"""The `C` frame: a request from a program, checked before anything believes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from rally.model.errors import Failure, RallyError, UsageError
from rally.wire.frames import FRAME_BYTES_MAX, JSON, pack

# The largest integer that every JSON reader keeps exact.
_ID_MAX = 2**53 - 1


class Call(BaseModel):
    """One request.

    Attributes:
        id: the client's number for it, unique among its unanswered ones.
        op: what is asked.
        params: the question's own fields, checked by whoever answers it.
        cwd: absolute folder from which the room is found.
        env: `RALLY_*` variables of the caller.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[StrictInt, Field(ge=0, le=_ID_MAX)]
    op: Annotated[StrictStr, Field(min_length=1, max_length=64)]
    params: dict[str, Any] = {}
    cwd: Annotated[StrictStr, Field(pattern="^/")] = "/"
    env: dict[str, StrictStr] = {}


def read_call(payload: bytes) -> Call:
    """Read a `C` frame.

    Raises:
        UsageError: `usage`, it is not a request; `details.id` is its number where that could be
            read.
    """
    try:
        return Call.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "request"
        raise UsageError(
            "usage",
            f"not a request: {place}: {first['msg']}",
            hint='send {"id": 1, "op": "room", "params": {}, "cwd": "/absolute", "env": {}}',
            details={"id": _readable_id(payload)},
        ) from None


def _readable_id(payload: bytes) -> int | None:
    try:
        number = orjson.loads(payload)["id"]
    except (ValueError, TypeError, KeyError):
        return None
    return number if type(number) is int and 0 <= number <= _ID_MAX else None


def result_frame(
    number: int, data: dict[str, Any], warnings: Sequence[dict[str, str]] = ()
) -> bytes:
    """The frame of a complete answer; an error's, where the answer is too long for a frame."""
    content = {"id": number, "ok": True, "data": data, "warnings": list(warnings)}
    return _frame(number, content)


def event_frame(number: int, event: dict[str, Any]) -> bytes:
    """The frame of one event of a subscription."""
    return _frame(number, {"id": number, "event": event})


def error_frame(number: int | None, error: RallyError) -> bytes:
    """The frame of a refusal, usage error or failure."""
    return pack(JSON, orjson.dumps({"id": number, "ok": False, "error": error.as_json()}))


def _frame(number: int, content: dict[str, Any]) -> bytes:
    body = orjson.dumps(content)
    if len(body) <= FRAME_BYTES_MAX:
        return pack(JSON, body)
    return error_frame(
        number,
        Failure(
            "unavailable",
            f"the answer has {len(body)} bytes, at most {FRAME_BYTES_MAX} fit into one frame",
            hint="ask for less: limit, since, until",
        ),
    )

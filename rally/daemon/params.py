"""The parameters of each operation as the socket accepts them.

What comes over the socket is anybody's JSON; here it becomes values of the right types, or a usage
error that names the field. Whether the values make sense is judged where they are used, as for every
other door.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, StrictBool, StrictInt, StrictStr, ValidationError

from rally.model.errors import UsageError


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    room: StrictStr | None = None
    tool: StrictStr | None = None
    session_id: StrictStr | None = None


class SayParams(_Params):
    """`say` and `enter`: the fields of `model.kinds.SAY_FIELDS`, checked by the intake."""

    model_config = ConfigDict(extra="allow")


class CheckParams(_Params):
    phase: StrictStr
    paths: list[StrictStr] = []
    fence: StrictInt | None = None
    run: StrictStr | None = None
    step: StrictStr | None = None
    strict: StrictBool = False
    require_claim: StrictBool = False


class ViewParams(_Params):
    """room, log, check-ci, inbox, wake-due, dag, next, whoami, leave, show, subscribe."""

    id: StrictStr | StrictInt | None = None
    paths: list[StrictStr] = []
    kinds: list[StrictStr] = []
    run: StrictStr | None = None
    since: StrictInt | None = None
    until: StrictInt | None = None
    limit: StrictInt | None = None
    grep: StrictStr | None = None
    strict: StrictBool = False
    sent: StrictBool = False
    want: list[StrictStr] = []


class WaitParams(_Params):
    until: list[StrictStr] = []
    any: StrictBool = False
    run: StrictStr | None = None
    timeout: StrictStr | None = None


class SeatParams(_Params):
    """lead and mission."""

    action: StrictStr | None = None
    to: StrictStr | None = None
    text: StrictStr | None = None


class StepEntry(BaseModel):
    """A step that `task list` is to show although nobody registered it."""

    model_config = ConfigDict(extra="forbid")

    id: StrictStr
    depends_on: list[StrictStr] = []


class TaskEntry(StepEntry):
    """One task of `task start`."""

    intent: StrictStr
    owns: list[StrictStr] = []
    read_only: StrictBool = False
    priority: StrictInt | None = None
    validation: StrictStr | None = None
    output: StrictStr | None = None
    commands: list[StrictStr] = []
    tier: StrictStr | None = None


class TaskParams(_Params):
    action: StrictStr
    run: StrictStr | None = None
    id: StrictStr | None = None
    intent: StrictStr | None = None
    owns: list[StrictStr] = []
    read_only: StrictBool = False
    depends_on: list[StrictStr] = []
    priority: StrictInt | None = None
    validation: StrictStr | None = None
    output: StrictStr | None = None
    ttl: StrictStr | None = None
    uri: StrictStr | None = None
    evidence: list[StrictStr] = []
    summary: StrictStr | None = None
    subject: StrictStr | None = None
    reason: StrictStr | None = None
    workstream: StrictStr | None = None
    description: StrictStr | None = None
    thread: StrictStr | None = None
    digest: StrictStr | None = None
    tasks: list[TaskEntry] = []
    steps: list[StepEntry] = []
    offset: StrictInt | None = None


class MemoryParams(_Params):
    action: StrictStr
    key: StrictStr | None = None
    value: StrictStr | None = None
    if_version: StrictInt | None = None


class SessionParams(_Params):
    """What runners tell of managed sessions; `tool` is who runs them, `target` the agent's."""

    action: StrictStr
    agent: StrictStr | None = None
    name: StrictStr | None = None
    target: StrictStr | None = None
    avoid: list[StrictStr] = []
    dry_run: StrictBool = False
    id: StrictStr | None = None
    status: StrictStr | None = None
    reason: StrictStr | None = None
    data: dict[str, Any] = {}


_BY_OPERATION: dict[str, type[_Params]] = {
    "say": SayParams,
    "enter": SayParams,
    "check": CheckParams,
    "wait": WaitParams,
    "lead": SeatParams,
    "mission": SeatParams,
    "task": TaskParams,
    "memory": MemoryParams,
    "session": SessionParams,
}


def check_params(op: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of an operation with the right types, those that were given.

    Raises:
        UsageError: `usage`, naming the field that is wrong.
    """
    try:
        checked = _BY_OPERATION.get(op, ViewParams).model_validate(params)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "params"
        raise UsageError(
            "usage", f"{op}: {place}: {first['msg']}",
            hint="the fields are those of rally/daemon/params.py",
            details={"operation": op, "field": place},
        ) from None  # fmt: skip
    return checked.model_dump(exclude_unset=True)

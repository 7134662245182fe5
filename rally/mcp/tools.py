"""The seven tools: what they are called, what they take, and which operation each one is.

One table makes both the schema that agents read and the check of what they send. The schema is paid
for by every agent before its first word, so there are few tools, no output schemas, and no description
where the name says it; a test holds the whole below 4 kB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rally.model.errors import UsageError
from rally.model.kinds import SAY_FIELDS, SAYABLE, Field
from rally.model.text import nearest

ROOM_LIMIT_DEFAULT = 20
# Under the daemon's frame, with room for what is put around it.
ARGUMENTS_BYTES_MAX = 1024 * 1024
_SHOWN_CHARS_MAX = 60

_TYPES: dict[str, type[Any]] = {"text": str, "number": int, "flag": bool}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "number": {"type": "integer"},
    "flag": {"type": "boolean"},
}
_WORDS = {
    "text": "text", "texts": "a list of texts", "number": "a whole number", "flag": "true or false",
}  # fmt: skip


class Param(NamedTuple):
    """One argument of a tool.

    Attributes:
        form: a key of `_SCHEMAS`.
        help: for the schema; empty where the name says it.
        choices: what a text must be one of; empty: anything.
    """

    name: str
    form: str = "text"
    help: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """The argument as JSON Schema."""
        schema = dict(_SCHEMAS[self.form])
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.help:
            schema["description"] = self.help
        return schema


class Request(NamedTuple):
    """An operation of the room.

    Attributes:
        is_caller: it takes who calls.
        writes: it says something, so its caller should be in the room.
        once: asked again, it would do something again.
    """

    op: str
    params: dict[str, Any]
    is_caller: bool = True
    writes: bool = False
    once: bool = False


class Tool(NamedTuple):
    """One tool; `request` makes its arguments, checked, an operation."""

    name: str
    help: str
    params: tuple[Param, ...]
    request: Callable[[dict[str, Any]], Request]
    is_question: bool = False

    def schema(self) -> dict[str, Any]:
        """Its arguments as JSON Schema."""
        required = [param.name for param in self.params if param.required]
        return {
            "type": "object",
            "properties": {param.name: param.schema() for param in self.params},
            **({"required": required} if required else {}),
        }


def _claim(given: dict[str, Any]) -> Request:
    wait_s = given.pop("wait_s", 0)
    if wait_s < 0:
        raise UsageError(
            "bad-value", f"wait_s is {wait_s}; it must be 0 or more", hint='{"wait_s": 60}'
        )
    if wait_s:
        given["wait"] = f"{wait_s}s"
    return Request("say", {"kind": "claim", **given}, writes=True)


def _say(given: dict[str, Any]) -> Request:
    return Request("say", given, writes=True)


def _check(given: dict[str, Any]) -> Request:
    return Request("check", {"phase": "before-write", **given})


def _room(given: dict[str, Any]) -> Request:
    return Request("room", {"limit": ROOM_LIMIT_DEFAULT, **given}, is_caller=False)


def _task(given: dict[str, Any]) -> Request:
    action = given["action"]
    return Request("task", given, writes=action != "list", once=action in ("take", "done", "drop"))


def _plain(op: str) -> Callable[[dict[str, Any]], Request]:
    return lambda given: Request(op, given)


_RUN, _STEP = Param("run"), Param("step")
_PATHS = Param("paths", "texts", "files, folders, globs from the root")
_BARE_PATHS = Param("paths", "texts")


def _param_of(field: Field) -> Param:
    form = "flag" if field.form == "switch" else "texts" if field.many else "text"
    return Param(field.name, form, _SAY_HELP.get(field.name, ""), field.choices)


_SAY_HELP = {
    "ref": "fact id",
    "until": "step:ID, fact:ID or free:PATH",
    "wake_after": "+30m",
    "ack_within": "10m",
    "release": "artifact: end your claim on it",
    "claim": "handoff: claim to give",
}
# Those of a claim, which is a tool of its own, and what only people and scripts are known to use.
_UNSAID = frozenset(
    (
        *("mode", "ttl", "wait", "resources", "thread", "role", "tier", "force", "status", "key"),
        *("data", "parent_steps"),
    )
)
_KINDS = tuple(kind for kind in SAYABLE if kind != "claim")

TOOLS: tuple[Tool, ...] = (
    Tool(
        "claim",
        "Lease paths or resources before you edit. A refusal names the holder.",
        (
            _PATHS, Param("resources", "texts", "such as port:5432"), Param("subject"),
            Param("ttl", help="30m"), Param("wait_s", "number", "queue so long"),
            Param("mode", choices=("exclusive", "shared")), _RUN, _STEP,
        ),
        _claim,
    ),
    Tool(
        "check",
        "Ask before each write; write only if allow is true.",
        (
            _BARE_PATHS, Param("phase", choices=("before-write", "before-complete")),
            Param("fence", "number", "of your claim"), _RUN, _STEP, Param("require_claim", "flag"),
        ),
        _check,
        is_question=True,
    ),
    Tool(
        "say",
        "Write one fact. Needed: release ref or paths; handoff subject, target; receipt ref, state; "
        "resolve ref; retract ref, reason; wake ref_standby; others subject.",
        (
            Param("kind", choices=_KINDS, required=True),
            *(_param_of(field) for field in SAY_FIELDS if field.name not in _UNSAID),
        ),
        _say,
    ),
    Tool("next", "The one thing to do now.", (_RUN,), _plain("next"), is_question=True),
    Tool(
        "room",
        "Claims, blockers, handoffs, decisions, agents.",
        (
            _BARE_PATHS, _RUN, Param("tool"),
            Param("limit", "number", f"default {ROOM_LIMIT_DEFAULT}, 0 all"),
        ),
        _room,
        is_question=True,
    ),
    Tool(
        "inbox",
        "Open handoffs to you.",
        (Param("sent", "flag", "yours instead"), Param("limit", "number")),
        _plain("inbox"),
        is_question=True,
    ),
    Tool(
        "task",
        "Tasks of a run. take: the next ready one, its paths claimed, its prompt.",
        (
            Param("action", choices=("list", "take", "done", "drop", "add"), required=True),
            Param("run", required=True), Param("id"), Param("evidence", "texts"), Param("uri"),
            Param("summary"), Param("reason"), Param("intent"), Param("owns", "texts"),
            Param("read_only", "flag"), Param("depends_on", "texts"), Param("validation"),
        ),
        _task,
    ),
)  # fmt: skip

TOOL_BY_NAME = {tool.name: tool for tool in TOOLS}


def read_arguments(tool: Tool, arguments: Mapping[str, Any]) -> Request:
    """The operation that a call of a tool is.

    Args:
        arguments: as they came, anybody's JSON; null counts as not given.

    Raises:
        UsageError: `usage` (an argument is unknown, missing or of another type), `bad-value`.
    """
    params = {param.name: param for param in tool.params}
    given: dict[str, Any] = {}
    for name, value in arguments.items():
        param = params.get(name)
        if param is None:
            near = nearest(name[:_SHOWN_CHARS_MAX], list(params))
            raise UsageError(
                "usage", f"{tool.name} has no argument {_shown(name)}; it has: {', '.join(params)}",
                hint=f"{tool.name}: {near}" if near else f"{tool.name}: {', '.join(params)}",
                details={"choices": list(params)},
            )  # fmt: skip
        if value is not None:
            given[name] = _checked(tool, param, value)
    for param in tool.params:
        if param.required and param.name not in given:
            example = param.choices[0] if param.choices else "r1"
            raise UsageError(
                "usage", f"{tool.name} needs {param.name}", hint=f'{{"{param.name}": "{example}"}}',
                details={"missing": [param.name]},
            )  # fmt: skip
    return tool.request(given)


def _checked(tool: Tool, param: Param, value: Any) -> Any:
    if param.form == "texts":
        # One text for a list of one is what people and models write.
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list) and all(isinstance(one, str) for one in values):
            return values
    # `type`, because True is an int.
    elif type(value) is _TYPES[param.form]:
        if param.choices and value not in param.choices:
            near = nearest(value[:_SHOWN_CHARS_MAX], param.choices)
            raise UsageError(
                "usage",
                f"{tool.name}: {param.name} is {_shown(value)}; it must be one of "
                f"{', '.join(param.choices)}",
                hint=f'{{"{param.name}": "{near or param.choices[0]}"}}',
                details={"choices": list(param.choices), "nearest": near},
            )
        return value
    raise UsageError(
        "usage", f"{tool.name}: {param.name} must be {_WORDS[param.form]}, not {_shown(value)}",
        hint=f"{tool.name}: {param.name}", details={"argument": param.name},
    )  # fmt: skip


def _shown(value: Any) -> str:
    shown = ascii(value)
    return shown if len(shown) <= _SHOWN_CHARS_MAX else shown[:_SHOWN_CHARS_MAX] + "…"

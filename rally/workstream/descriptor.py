"""The descriptor of a workstream (contract W1), as pydantic checks its shape.

Every complaint of a validator here carries the code under which lint reports it. What needs more than
one value to be judged (ids, boundaries, dependencies) or a look at the room is judged in `lint`.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from rally.facilitation.task_facts import (
    PRIORITY_DEFAULT,
    PRIORITY_MAX,
    READ_ONLY,
)
from rally.model.kinds import (
    IDENTITY_CHARS_MAX,
    LIST_ENTRIES_MAX,
    PATHS_MAX,
    SUBJECT_CHARS_MAX,
    SUMMARY_BYTES_MAX,
)
from rally.model.text import CONTROLS, NAME_ALPHABET

# A tool id of 128 characters has to hold a prefix, a colon and the task's id.
TASK_ID_CHARS_MAX = 120
# By this field editors find the schema of a file.
SCHEMA_FIELD = "$schema"
# More would be no plan that anybody reviews.
TASKS_MAX = 10_000
TIERS = ("host-native", "cross-host")
# Two joiners that words and signs of some scripts are written with.
_JOINERS = frozenset("\u200c\u200d")


def control_character(text: str, *, allowed: str = "") -> str | None:
    """The first character that is invisible or moves the text around it; None without one."""
    if text.isprintable():
        return None
    for char in text:
        if unicodedata.category(char) in CONTROLS and char not in allowed and char not in _JOINERS:
            return char
    return None


def _text(*, chars: int = 0, size: int = 0, allowed: str = "") -> Callable[[str], str]:
    def check(value: str) -> str:
        if not value.strip():
            raise PydanticCustomError("missing-field", "is empty")
        char = control_character(value, allowed=allowed)
        if char is not None:
            raise PydanticCustomError(
                "control-characters", "holds the control character {char}", {"char": ascii(char)}
            )
        if chars and len(value) > chars:
            raise PydanticCustomError(
                "too-long", "has {found} characters, at most {most} are allowed",
                {"found": len(value), "most": chars},
            )  # fmt: skip
        if size and len(value.encode()) > size:
            raise PydanticCustomError(
                "too-long", "has {found} bytes, at most {most} are allowed",
                {"found": len(value.encode()), "most": size},
            )  # fmt: skip
        return value

    return check


def _task_id(value: str) -> str:
    if not value:
        raise PydanticCustomError("missing-field", "is empty")
    if not NAME_ALPHABET.issuperset(value):
        raise PydanticCustomError(
            "bad-id", "may hold only A-Z a-z 0-9 . _ -: {value}", {"value": shown(value)}
        )
    if len(value) > TASK_ID_CHARS_MAX:
        raise PydanticCustomError(
            "too-long", "has {found} characters, at most {most} are allowed",
            {"found": len(value), "most": TASK_ID_CHARS_MAX},
        )  # fmt: skip
    return value


def _owns(value: Any) -> Any:
    if value == READ_ONLY:
        return None
    if value == "":
        raise PydanticCustomError("missing-field", "is empty")
    if not isinstance(value, list):
        raise PydanticCustomError(
            "bad-owns", 'is {value}; it must be "read-only" or a list of paths',
            {"value": shown(value)},
        )  # fmt: skip
    if not value:
        raise PydanticCustomError(
            "bad-owns", 'is an empty list; write "read-only" for a task that writes nothing'
        )
    if len(value) > PATHS_MAX:
        raise PydanticCustomError(
            "too-long", "has {found} paths, at most {most} are allowed",
            {"found": len(value), "most": PATHS_MAX},
        )  # fmt: skip
    return value


def _owned(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise PydanticCustomError(
            "bad-owns", "is {value}, which is no path", {"value": shown(value)}
        )
    char = control_character(value)
    if char is not None:
        raise PydanticCustomError(
            "control-characters", "holds the control character {char}", {"char": ascii(char)}
        )
    return value


def _tier(value: Any) -> str:
    if value == "":
        raise PydanticCustomError("missing-field", "is empty")
    if value not in TIERS:
        raise PydanticCustomError(
            "bad-tier", "is {value}; it must be one of {tiers}",
            {"value": shown(value), "tiers": ", ".join(TIERS)},
        )  # fmt: skip
    return str(value)


def shown(value: Any, most: int = 60) -> str:
    """A value of any kind in one short line of ASCII."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else ascii(value)
    return text if len(text) <= most else f"{text[:most]}…"


def _described(**rules: Any) -> WithJsonSchema:
    """The rules of a text that a JSON Schema can tell: editors complain of these as one types."""
    return WithJsonSchema({"type": "string", "minLength": 1, **rules})


Name = Annotated[
    StrictStr,
    AfterValidator(_text(chars=SUBJECT_CHARS_MAX)),
    _described(maxLength=SUBJECT_CHARS_MAX),
]
Prose = Annotated[StrictStr, AfterValidator(_text(size=SUMMARY_BYTES_MAX)), _described()]
Line = Annotated[StrictStr, AfterValidator(_text()), _described()]
Thread = Annotated[
    StrictStr,
    AfterValidator(_text(chars=IDENTITY_CHARS_MAX)),
    _described(maxLength=IDENTITY_CHARS_MAX),
]
Command = Annotated[StrictStr, AfterValidator(_text(allowed="\n\t")), _described()]
TaskId = Annotated[
    StrictStr,
    AfterValidator(_task_id),
    _described(pattern="^[A-Za-z0-9._-]+$", maxLength=TASK_ID_CHARS_MAX),
]
Owned = Annotated[str, BeforeValidator(_owned)]
Owns = Annotated[
    list[Owned] | None,
    BeforeValidator(_owns),
    WithJsonSchema(
        {
            "oneOf": [
                {"const": READ_ONLY},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            ]
        }
    ),
]
Tier = Annotated[Literal["host-native", "cross-host"], BeforeValidator(_tier)]


class _Described(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class TaskSpec(_Described):
    """One task."""

    id: TaskId = Field(description="letters, digits, . _ -")
    intent: Prose = Field(description="what is to be done, one line")
    owns: Owns = Field(description='the paths that the task may write, or "read-only"')
    validation: Command = Field(
        description="a shell command that ends with 0 when the task is done"
    )
    output: Line = Field(description="what the task is to produce")
    tier: Tier | None = Field(None, description="whether its agent may run on another host")
    depends_on: Annotated[list[StrictStr], Field(max_length=LIST_ENTRIES_MAX)] = Field(
        [], description="ids of tasks that must land first"
    )
    commands: list[Command] = Field([], description="shell commands that belong to the task")
    priority: Annotated[StrictInt, Field(ge=-PRIORITY_MAX, le=PRIORITY_MAX)] = Field(
        PRIORITY_DEFAULT, description="lower is taken first"
    )

    @property
    def read_only(self) -> bool:
        """Whether the task writes nothing."""
        return self.owns is None


class Descriptor(_Described):
    """A workstream: one fan-out of tasks."""

    workstream: Name = Field(description="its name")
    description: Prose = Field(description="what it is for")
    thread: Thread | None = Field(None, description="a conversation that it belongs to")
    tasks: Annotated[list[TaskSpec], Field(max_length=TASKS_MAX)] = Field(
        description="one or more tasks", json_schema_extra={"minItems": 1}
    )


def schema() -> dict[str, Any]:
    """The descriptor's JSON Schema (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Descriptor.model_json_schema(),
    }

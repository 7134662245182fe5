"""What an agent says it did: its last message, one JSON object (contract W3)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from rally.hosts.oneshot.shape import objects

# Further from the end there is no last message.
_SEARCHED_CHARS = 128 * 1024
_SHAPE = (("task", str, "a text"), ("changed_files", list, "a list"),
          ("validation_result", str, "a text"))  # fmt: skip

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "task": {"type": "string"},
            "changed_files": {"type": "array", "items": {"type": "string"}},
            "validation_result": {"type": "string"},
        },
        "required": ["task", "changed_files", "validation_result"],
        "additionalProperties": False,
    }
)


@dataclass(slots=True, frozen=True)
class Report:
    """The last message of an agent, of the right shape.

    Attributes:
        changed_files: as it wrote them.
        validation_result: `passed`, `failed: …`, `not run: …` or `none`, in its own words.
    """

    task: str
    changed_files: tuple[str, ...]
    validation_result: str

    def as_json(self) -> dict[str, Any]:
        """For answers and for the judge."""
        return {
            "task": self.task,
            "changed_files": list(self.changed_files),
            "validation_result": self.validation_result,
        }


def find_report(said: str) -> Report | str:
    """The report in a last message, or what is wrong with it.

    It is the last JSON object of the text, whatever stands before it or around it.
    """
    last: dict[str, Any] | None = None
    for found in objects(said[-_SEARCHED_CHARS:]):
        last = found
    if last is None:
        return "its last message holds no JSON object"
    for name, kind, spoken in _SHAPE:
        if name not in last:
            return f"its last JSON object has no {name!r}"
        if not isinstance(last[name], kind):
            return f"{name!r} of its last JSON object is not {spoken}"
    if not all(isinstance(one, str) for one in last["changed_files"]):
        return "'changed_files' of its last JSON object holds something that is no text"
    files = tuple(map(_clean, last["changed_files"]))
    return Report(_clean(last["task"]), files, _clean(last["validation_result"]))


def _clean(text: str) -> str:
    """JSON can spell what no UTF-8 and no file name can hold."""
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")

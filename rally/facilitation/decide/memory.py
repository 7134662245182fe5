"""Named values: the latest wins, and a writer may insist on the value that it saw."""

from __future__ import annotations

from rally.facilitation.decide.context import Context, Decision
from rally.facilitation.intake import Asked
from rally.model.errors import Refused
from rally.model.shell import word


def remember(context: Context, asked: Asked) -> Decision:
    """Give the key in `subject` another value; with `if_version` only if that is its version still.

    A value's version is the seq of its fact; 0 stands for a key without a value.

    Raises:
        Refused: `version-conflict`, naming the present version and its author.
    """
    expected = asked.options.get("if_version")
    current = context.state.memory.get(asked.content["subject"])
    version = current.seq if current is not None else 0
    if expected is None or expected == version:
        return Decision([context.begin(asked)])
    key = asked.content["subject"]
    author = f", set by {current.tool}" if current is not None else ", which means no value"
    raise Refused(
        "version-conflict",
        f"{key!a} has version {version}{author}; --if-version was {expected}",
        hint=f"rally memory get {word(key)}",
        details={"key": key, "version": version, "author": current.tool if current else None},
    )

"""From a descriptor's file to lint's report, as every command on workstreams begins."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import orjson

from rally.facilitation.places import Place
from rally.model import shell
from rally.model.errors import UsageError
from rally.workstream.descriptor import Descriptor
from rally.workstream.lint import Look, Report, lint
from rally.workstream.reading import DESCRIPTOR_BYTES_MAX, Document, read_document
from rally.workstream.survey import Claim, Survey


def read_file(file: str, *, cwd: str, stdin: bytes | None) -> Document:
    """A descriptor as it stands in a file.

    Args:
        file: relative to `cwd`, or absolute; `-` for standard input.
        stdin: what came on standard input, where it was read.

    Raises:
        UsageError: `unreadable`.
    """
    if file == "-":
        return read_document(stdin or b"", "standard input")
    try:
        with open(os.path.join(cwd, file), "rb") as opened:
            raw = opened.read(DESCRIPTOR_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            "unreadable", f"{file!a} cannot be read: {why}", hint="rally workstream schema"
        ) from None
    return read_document(raw, file.encode("ascii", "backslashreplace").decode())


def lint_file(
    file: str, place: Place, *, cwd: str, stdin: bytes | None, claims: Sequence[Claim] = ()
) -> Report:
    """What lint says of a descriptor's file, seen from a room.

    Args:
        claims: the live claims of the room, as facts; tasks whose paths overlap them are warned of.

    Raises:
        UsageError: `unreadable`.
    """
    document = read_file(file, cwd=cwd, stdin=stdin)
    survey = Survey(place, claims)
    return lint(document, Look(survey.canonical, survey.exists, survey.held if claims else None))


def clean_file(file: str, place: Place, *, cwd: str, stdin: bytes | None) -> Report:
    """The same, where only a clean descriptor will do.

    Raises:
        UsageError: `unreadable`; `not-clean`, with the violations in `details`.
    """
    report = lint_file(file, place, cwd=cwd, stdin=stdin)
    if report.clean:
        return report
    first, more = report.violations[0], len(report.violations) - 1
    others = f" (and {more} more)" if more else ""
    where = f"task {first.task}: " if first.task else ""
    name = file.encode("ascii", "backslashreplace").decode()
    raise UsageError(
        "not-clean",
        f"{name} does not lint clean: {where}{first.code}: {first.message}{others}",
        hint=f"rally workstream lint {shell.word(file)}",
        details={"violations": [one.as_json() for one in report.violations]},
    )


def start_params(report: Report, run: str) -> dict[str, Any]:
    """The parameters of the operation that registers a clean descriptor's run and tasks."""
    descriptor = report.descriptor
    assert descriptor is not None
    return {
        "action": "start",
        "run": run,
        "workstream": descriptor.workstream,
        "description": descriptor.description,
        "thread": descriptor.thread,
        "digest": digest(descriptor),
        "tasks": [
            {
                "id": spec.id, "intent": spec.intent, "owns": list(spec.owns or ()),
                "read_only": spec.read_only, "depends_on": list(spec.depends_on),
                "priority": spec.priority, "validation": spec.validation, "output": spec.output,
                "commands": list(spec.commands), "tier": spec.tier,
            }
            for spec in descriptor.tasks
        ],
    }  # fmt: skip


def digest(descriptor: Descriptor) -> str:
    """What two descriptors share that mean the same, however they are laid out."""
    raw = orjson.dumps(descriptor.model_dump(), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(raw).hexdigest()

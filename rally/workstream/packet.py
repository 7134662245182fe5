"""The packets of a descriptor (contract W3): one self-contained prompt per task."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rally.facilitation.packets import Assignment, packet
from rally.facilitation.task_facts import goal
from rally.model.errors import Failure, UsageError
from rally.model.text import check_tool
from rally.workstream.descriptor import Descriptor, TaskSpec
from rally.workstream.lint import Report

TOOL_PREFIX_DEFAULT = "agent"


class Packet(NamedTuple):
    """One task's prompt.

    Attributes:
        tool: the tool id of the agent that it is for.
    """

    task: str
    tool: str
    prompt: str


def packets(
    report: Report, run: str, *, task: str | None = None, prefix: str = TOOL_PREFIX_DEFAULT
) -> list[Packet]:
    """The packets of a clean descriptor, in its order.

    Args:
        report: what lint said of it.
        run: the run's id, checked already.
        task: of this task only.
        prefix: tool ids are `<prefix>:<task id>`.

    Raises:
        UsageError: `unknown-task`; `bad-tool`, for a prefix that makes no tool id.
    """
    descriptor = report.descriptor
    assert descriptor is not None
    wanted = [one for one in descriptor.tasks if task in (None, one.id)]
    if not wanted:
        raise UsageError(
            "unknown-task", f"the workstream has no task {task!a}",
            hint=f"--task {descriptor.tasks[0].id}",
        )  # fmt: skip
    made = []
    for spec in wanted:
        tool = _tool(prefix, spec.id)
        assignment = assignment_of(descriptor, spec, run, report.paths.get(spec.id, ()))
        made.append(Packet(spec.id, tool, packet(assignment, tool)))
    return made


def _tool(prefix: str, task_id: str) -> str:
    try:
        return check_tool(f"{prefix}:{task_id}", name="the tool id that --tool-prefix makes")
    except UsageError as error:
        raise UsageError(error.code, error.message, hint="--tool-prefix agent") from error


def assignment_of(
    descriptor: Descriptor, spec: TaskSpec, run: str, paths: Sequence[str]
) -> Assignment:
    """A described task as what its packet is built from."""
    return Assignment(
        run=run,
        task=spec.id,
        intent=spec.intent,
        owns=tuple(dict.fromkeys(paths)),
        depends_on=tuple(dict.fromkeys(spec.depends_on)),
        validation=spec.validation,
        output=spec.output,
        commands=tuple(spec.commands),
        tier=spec.tier or "",
        thread=descriptor.thread or "",
        goal=goal(descriptor.workstream, descriptor.description),
    )


def write_packets(made: Sequence[Packet], folder: str) -> list[str]:
    """Write each packet to `<folder>/<task id>.md`; the files, in the order of the packets.

    A file appears whole or not at all, and none does before all of them are written; writing again
    replaces them. What else is in the folder stays as it is.

    Raises:
        Failure: `unwritable`; where the disk is full, or a folder has the name of a file, no file has
            been changed.
    """
    files = [f"{folder.rstrip('/') or '/'}/{one.task}.md" for one in made]
    try:
        os.makedirs(folder, exist_ok=True)
        for file in files:
            if os.path.isdir(file):
                raise IsADirectoryError(errno.EISDIR, f"{os.path.basename(file)!a} is a folder")
        _write([(file, one.prompt.encode()) for file, one in zip(files, made, strict=True)])
        identities = {os.stat(file).st_ino for file in files}
    except OSError as error:
        raise Failure(
            "unwritable", f"the packets cannot be written to {folder!a}: {error.strerror}",
            hint="--out DIR",
        ) from error  # fmt: skip
    if len(identities) < len(files):
        raise Failure(
            "unwritable", f"two tasks' files have the same name in {folder!a}, which ignores case",
            hint="rename one of the tasks",
        )  # fmt: skip
    return files


def _write(contents: Sequence[tuple[str, bytes]]) -> None:
    building = [f"{file}.{os.getpid()}.tmp" for file, _ in contents]
    try:
        for name, (_, content) in zip(building, contents, strict=True):
            Path(name).write_bytes(content)
        for name, (file, _) in zip(building, contents, strict=True):
            os.replace(name, file)
    except BaseException:  # Ctrl-C, too
        for name in building:
            Path(name).unlink(missing_ok=True)
        raise

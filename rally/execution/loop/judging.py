"""Five checks of what an agent did; pure functions of the evidence.

Each is `pass`, `fail` or `unknown`, and says why. Only what is known to be wrong is a finding that the
agent can act on. What cannot be known stays unknown and is never made a pass: it is said, and where the
caller named somebody to ask (a judge), no answer keeps the task from landing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rally.execution.loop.report import Report
from rally.facilitation.packets import Assignment
from rally.model.paths import covers, is_pattern, names_file
from rally.model.visible import visible

PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"
CHECKS = ("validation", "output", "boundary", "intent", "claims")
_NAMED_MAX = 20
_COMMAND_CHARS_SHOWN = 200
_BEFORE = "\"'`([{<"
_AFTER = "\"'`,;:.)]}>"


@dataclass(slots=True, frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: one of `CHECKS`.
        why: what it rests on, one line each.
    """

    name: str
    status: str
    why: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For answers."""
        return {"check": self.name, "status": self.status, "evidence": list(self.why)}


@dataclass(slots=True, frozen=True)
class Ran:
    """A command that rally ran itself.

    Attributes:
        output: the end of what it printed.
        why: why it could not be started; empty when it ran.
    """

    command: str
    exit_code: int
    timed_out: bool
    duration_ms: int
    output: str
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether it ran, in time, and ended with 0."""
        return self.exit_code == 0 and not self.timed_out and not self.why

    @property
    def told(self) -> str:
        """How it ended, one line."""
        command = visible(self.command)
        if len(command) > _COMMAND_CHARS_SHOWN:
            command = f"{command[:_COMMAND_CHARS_SHOWN]}…"
        if self.why:
            return f"`{command}` did not run: {self.why}"
        if self.timed_out:
            return f"`{command}` was ended after {self.duration_ms} ms: its time was over"
        return f"`{command}` ended with {self.exit_code} after {self.duration_ms} ms"

    def as_json(self) -> dict[str, Any]:
        """For answers and for the judge."""
        return {
            "command": self.command, "exit_code": self.exit_code, "timed_out": self.timed_out,
            "duration_ms": self.duration_ms, "output": self.output,
        }  # fmt: skip


@dataclass(slots=True, frozen=True)
class Changes:
    """What differs from before the first attempt; paths relative to the room's root.

    Attributes:
        owned: within what the task owns.
        outside: outside of it, and claimed by nobody.
        others: outside of it, and claimed by somebody else while the agent worked: by path.
        ignored: reported as changed, and ignored by git, so that nothing shows whether it was.
        missing: paths that the task's output names and that are not there.
    """

    owned: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    ignored: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()

    @property
    def own(self) -> list[str]:
        """What counts as the agent's."""
        return sorted((*self.owned, *self.outside))


def validation(of: Assignment, ran: Ran | None) -> Check:
    """The validation really ran, and ended with 0."""
    if ran is None:
        return Check("validation", UNKNOWN, (f"task {of.task} has no validation",))
    if ran.passed:
        return Check("validation", PASS, (ran.told,))
    tail = ran.output.splitlines()[-_NAMED_MAX:]
    return Check("validation", FAIL, (ran.told, *map(visible, tail)))


def output(of: Assignment, changes: Changes) -> Check:
    """The paths that the output names are there. Nothing else of a free text can be checked."""
    named = paths_of(of)
    if changes.missing:
        why = [f"the output names {visible(path)}, which is not there" for path in changes.missing]
        return Check("output", FAIL, tuple(why))
    if not named:
        return Check("output", UNKNOWN, ("the output names no path that the task owns",))
    return Check("output", PASS, (f"there is {_listed(named)}",))


def paths_of(of: Assignment) -> list[str]:
    """The paths that a task's output names, as far as they are within what it owns.

    A word counts when a path that the task owns covers it, and when it looks like a path: it is one of
    those, has a slash in it, or ends like a file. With the whole room for a boundary none does.
    """
    owns = [path for path in of.owns if path != "."]
    found: dict[str, None] = {}
    for raw in of.output.split():
        word = raw.lstrip(_BEFORE).partition("(")[0].rstrip(_AFTER).removeprefix("./").rstrip("/")
        if not word or is_pattern(word) or word.startswith("/") or ".." in word.split("/"):
            continue
        if not ("/" in word or names_file(word) or word in owns):
            continue
        if any(covers(path, word) for path in owns):
            found[word] = None
    return list(found)


def boundary(of: Assignment, changes: Changes, report: Report | str) -> Check:
    """Only what the task owns was changed."""
    why = [f"{visible(path)} is not within what the task owns" for path in changes.outside]
    if isinstance(report, Report):
        why += [
            f"the report says that {visible(path)} was changed, which the task does not own"
            for path in report.changed_files
            if path not in changes.outside and not is_owned(of, path)
        ]
    if why:
        return Check("boundary", FAIL, _first(why))
    whose = sorted({tool for _, tool in changes.others})
    theirs = (f"{len(changes.others)} more belong to {', '.join(whose)}",) if whose else ()
    if not changes.owned:
        return Check("boundary", PASS, ("nothing was changed", *theirs))
    within = f"all within what the task owns: {_listed(changes.owned)}"
    return Check("boundary", PASS, (within, *theirs))


def leaves_room(path: str) -> bool:
    """Whether a path leads out of the room, which the whole room (`.`) does not cover."""
    return path == ".." or path.startswith("../")


def owner_of(path: str, owned: Iterable[tuple[str, str]]) -> str | None:
    """Whose path it is, of those that own patterns; None for nobody's."""
    if leaves_room(path):
        return None
    return next((owner for pattern, owner in owned if covers(pattern, path)), None)


def is_owned(of: Assignment, path: str) -> bool:
    """Whether the task owns a path."""
    return owner_of(path, ((own, of.task) for own in of.owns)) is not None


def claims(of: Assignment, changes: Changes, report: Report | str, ran: Ran | None) -> Check:
    """What the report claims is what the evidence shows."""
    if isinstance(report, str):
        return Check("claims", FAIL, (report,))
    why = []
    if report.task != of.task:
        why.append(f"the report is about task {visible(report.task)}, not {of.task}")
    said, seen = set(report.changed_files), set(changes.own)
    why += [f"{visible(path)} was changed, and the report does not say so"
            for path in sorted(seen - said)]  # fmt: skip
    why += [f"the report says that {visible(path)} was changed, and git sees no change"
            for path in sorted(said - seen - changes.ignored)]  # fmt: skip
    claimed = _claimed(report.validation_result)
    shown = visible(report.validation_result[:200])
    if ran is not None and claimed is not None and claimed != ran.passed:
        why.append(f"the report says `{shown}`, and the validation {_ended(ran)}")
    if why:
        return Check("claims", FAIL, _first(why))
    if claimed and ran is None:
        return Check("claims", UNKNOWN, (f"the report says `{shown}`; there is no validation",))
    doubts = [f"git ignores {visible(path)}" for path in sorted(said & changes.ignored)]
    return Check("claims", PASS, ("the report is what the evidence shows", *doubts))


def _claimed(result: str) -> bool | None:
    """Whether a report claims that the validation passed or failed; None when it claims neither."""
    word = result.strip().casefold()
    if word.startswith("pass"):
        return True
    return False if word.startswith("fail") else None


def _ended(ran: Ran) -> str:
    if ran.why:
        return "did not run"
    return "did not end in time" if ran.timed_out else f"ended with {ran.exit_code}"


def intent(ran: Ran | None, *, is_asked: bool) -> Check:
    """What the judge answered: 0 is yes, 1 is no with its reasons, anything else no answer.

    Args:
        ran: the judge's command; None where it was not run.
        is_asked: whether there is a judge.
    """
    if not is_asked:
        return Check("intent", UNKNOWN, ("no judge was named",))
    if ran is None:
        return Check("intent", UNKNOWN, ("the judge was not asked, since another check failed",))
    said = [line for line in ran.output.splitlines() if line.strip()]
    reasons = tuple(map(visible, said[:_NAMED_MAX]))
    if ran.passed:
        return Check("intent", PASS, (ran.told, *reasons))
    if ran.exit_code == 1 and not ran.timed_out and not ran.why:
        return Check("intent", FAIL, reasons or ("the judge said no, and gave no reason",))
    return Check("intent", UNKNOWN, (f"the judge gave no verdict: {ran.told}", *reasons))


def findings(checks: Sequence[Check]) -> list[str]:
    """What is wrong, one line each."""
    return [f"{check.name}: {why}" for check in checks if check.status == FAIL for why in check.why]


def _first(why: Sequence[str]) -> tuple[str, ...]:
    more = len(why) - _NAMED_MAX
    return (*why[:_NAMED_MAX], *((f"and {more} more",) if more > 0 else ()))


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return ", ".join(map(visible, paths[:5])) + more

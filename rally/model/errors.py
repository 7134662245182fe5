"""Every way in which rally says no.

The tree:

    RallyError
    ├── UsageError   2   the words were wrong; nothing was read or written because of them
    ├── Refused      3   the words were right, the ledger's state forbids it; nothing was written
    ├── Failure      1   rally or the machine failed; nothing that was acknowledged is lost
    └── Interrupted  130 the caller gave up

A code is stable and is what programs branch on; the message states the fact with the offending
value in it; the hint is something to type next. `CODES` is the one list of codes: the reference
page is generated from it and a raise with any other code is an error.
"""

from __future__ import annotations

from typing import Any

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_STRICT_STOP = 4
EXIT_INTERRUPTED = 130

CODES: dict[str, tuple[int, str]] = {
    # usage
    "usage": (2, "a flag or argument is unknown, missing or malformed"),
    "unknown-kind": (2, "a kind that does not exist"),
    "not-sayable": (2, "the kind exists, and has a command of its own"),
    "missing-tool": (2, "the command needs to know who calls: --tool or RALLY_TOOL"),
    "bad-tool": (2, "a tool id is outside its alphabet or is a reserved word"),
    "missing-field": (2, "a field that the kind requires was not given"),
    "bad-field": (2, "a field that the kind does not take was given"),
    "bad-value": (2, "a value is outside what its field accepts"),
    "too-long": (2, "a value is over its limit"),
    "bad-text": (2, "a value holds NUL bytes or is not valid UTF-8"),
    "bad-duration": (2, "a duration is not written like 90s, 30m, 2h or 1d"),
    "bad-time": (2, "a time is neither RFC 3339 nor +DURATION"),
    "bad-condition": (2, "an --until condition is not step:ID, fact:ID or free:PATH"),
    "path-outside-room": (2, "a path leaves the room"),
    "bad-path": (2, "a path is empty or cannot be brought to the canonical form"),
    "unknown-id": (2, "no fact has this id"),
    "wrong-kind": (2, "the fact exists and is of a kind that this cannot refer to"),
    "claims-nothing": (2, "a claim named no path, no resource and no step"),
    "nothing-to-release": (2, "no open claim of the caller matches"),
    "room-not-found": (2, "the folder given as room does not exist, or there is no room to leave"),
    "unknown-task": (2, "the run has no such task"),
    "no-proof": (2, "nothing could tell whether the task is done"),
    "unknown-key": (2, "nothing is remembered under this key"),
    "unreadable": (2, "a file cannot be read, or is no JSON"),
    "broken-config": (2, "a configuration file is not what it should be; it was left alone"),
    "not-clean": (2, "the descriptor does not lint clean"),
    "bad-range": (2, "the commit range cannot be read by git"),
    "not-a-repository": (2, "the command needs a git working tree"),
    "unknown-agent": (2, "`run` knows no agent of this name, and no command was given"),
    "unknown-session": (2, "no managed session has this name or tool id"),
    "ambiguous-session": (2, "several managed sessions have this name or tool id"),
    # refusals
    "claim-conflict": (3, "another owner's live claim overlaps"),
    "deadlock": (3, "waiting would close a cycle of waits"),
    "timed-out": (3, "the time given to wait is over"),
    "not-owner": (3, "only the owner may do this, and the lease is not over"),
    "not-target": (3, "only the addressee may answer, once"),
    "key-conflict": (3, "the idempotency key was used with other content"),
    "already-closed": (3, "what the id names was closed before"),
    "seat-taken": (3, "the lead's seat is held"),
    "not-lead": (3, "only the holder of the lead's seat may do this"),
    "task-exists": (3, "the run has this task already, with other content"),
    "run-exists": (3, "the run was started from another descriptor"),
    "version-conflict": (3, "the value has another version than the one named"),
    "task-blocked": (3, "a check stops what the task is to write"),
    "nothing-ready": (3, "no task of the run can be taken now"),
    "name-taken": (3, "a managed session has this name"),
    "pane-taken": (3, "the tmux pane belongs to a managed session"),
    "foreign-file": (3, "a file that is not rally's is where rally's would be"),
    "worktree-dirty": (3, "the worktree holds changes that are not committed"),
    # failures
    "unavailable": (1, "the question cannot be answered: no ledger, no daemon, or no time left"),
    "corrupt-ledger": (1, "the ledger file is damaged"),
    "newer-ledger": (1, "the ledger was written by a newer rally"),
    "room-gone": (1, "the room was removed or replaced while it was in use"),
    "disk-full": (1, "the disk is full; nothing was written"),
    "unwritable": (1, "the room's folder or file cannot be written"),
    "config-changed": (1, "another program changed a configuration file at the same moment"),
    "busy": (1, "another process kept the ledger locked for too long"),
    "no-daemon": (1, "the daemon cannot be started or reached"),
    "no-tmux": (1, "tmux is not installed or not in PATH"),
    "tmux-failed": (1, "tmux refused, or did not answer in time"),
    "start-failed": (1, "the agent's command cannot be started, or ended at once"),
    "agent-unusable": (1, "the agent is not installed, not logged in, or refuses its arguments"),
    "session-gone": (1, "the session has no pane that could be read or written"),
    "worktree-failed": (1, "git cannot make or remove the worktree"),
    "undelivered": (1, "the text was neither delivered nor recorded"),
    "not-installed": (1, "an optional part of rally, or what it needs, is not installed"),
    "internal": (1, "rally met a state that it does not know"),
    # neither
    "interrupted": (130, "somebody pressed Ctrl-C, or sent SIGINT, before the answer was there"),
}


class RallyError(Exception):
    """A refusal, a usage error or a failure, as it is shown to the caller.

    Args:
        code: a key of `CODES`; it fixes the exit code.
        message: what is wrong, one line, with the offending value in it.
        hint: a command or a value that would work; empty when nothing would.
        details: structured facts about it, JSON-able; may be empty.
    """

    def __init__(
        self, code: str, message: str, *, hint: str = "", details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details = details or {}
        self.exit_code = CODES[code][0]

    def as_json(self) -> dict[str, Any]:
        """The `error` object of the JSON envelope (contract O2)."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "exit_code": self.exit_code,
            "details": self.details,
        }


class UsageError(RallyError):
    """The words were wrong (exit 2). Nothing was written."""


class Refused(RallyError):
    """The ledger's state forbids it (exit 3). Nothing was written."""


class Failure(RallyError):
    """Rally or the machine failed (exit 1). Nothing acknowledged is lost."""


class Interrupted(RallyError):
    """The caller gave up. What was said is in the ledger whole or not at all (contract F8).

    Args:
        exit_code: 128 and the signal's number.
    """

    def __init__(self, exit_code: int = EXIT_INTERRUPTED) -> None:
        super().__init__(
            "interrupted", "interrupted before the answer was there", hint="rally log --limit 5"
        )
        self.exit_code = exit_code


_CLASS_BY_EXIT: dict[int, type[RallyError]] = {
    EXIT_FAILURE: Failure,
    EXIT_USAGE: UsageError,
    EXIT_REFUSED: Refused,
}


def error_from_json(error: dict[str, Any]) -> RallyError:
    """Rebuild an error that travelled through the socket, class and all.

    A code that this version does not know (a newer daemon's) becomes `internal`, with its text kept.
    """
    code = str(error.get("code"))
    known = code if CODES.get(code, (0,))[0] in _CLASS_BY_EXIT else "internal"
    return _CLASS_BY_EXIT[CODES[known][0]](
        known,
        str(error.get("message", "")),
        hint=str(error.get("hint", "")),
        details=error.get("details") or {},
    )

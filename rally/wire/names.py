"""Which verb a command line is about, and which verbs the daemon answers. Imported by the relay."""

from __future__ import annotations

# The verbs of facilitation: the daemon answers them, everything else runs in the caller's process.
FORWARDED = frozenset(
    (
        *("enter", "leave", "say", "check", "next", "room", "inbox", "dag", "wake-due", "wait"),
        *("log", "show", "whoami", "status", "ui", "task", "memory", "lead", "mission", "check-ci"),
        "hook",  # what an agent's program asks by itself
    )
)
# Those that only ask: running them twice changes nothing in what others see.
QUESTIONS = frozenset(
    (
        *("check", "next", "room", "inbox", "dag", "wake-due", "wait", "log", "show", "whoami"),
        *("status", "ui", "check-ci"),
    )
)
# These phases of `check` ask git what is staged or changed, and the daemon starts no program.
GIT_PHASES = frozenset(("before-commit", "range"))


def verb_of(argv: list[str]) -> str:
    """The verb among the words, behind the options that may stand before it; empty: none."""
    is_value = False
    for word in argv:
        if is_value:
            is_value = False
        elif word == "--room":
            is_value = True
        elif word not in ("--json", "--no-color") and not word.startswith("--room="):
            return word
    return ""

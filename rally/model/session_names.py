"""Names of managed sessions, and of the agents that they are numbered after."""

from __future__ import annotations

from rally.model.errors import UsageError
from rally.model.text import NAME_ALPHABET, check_tool

NAME_CHARS_MAX = 64


def check_session_name(name: str, flag: str = "--name") -> str:
    """A session's name: 1 to 64 of `A-Za-z0-9._-`, starting with a letter or digit.

    It is also a folder, the end of a branch and, where no other is given, a tool id.

    Raises:
        UsageError: `bad-value`.
    """
    try:
        check_tool(name)
    except UsageError:
        fits = False
    else:
        fits = len(name) <= NAME_CHARS_MAX and NAME_ALPHABET.issuperset(name)
    if not fits:
        shown = ascii(name if len(name) <= NAME_CHARS_MAX else name[:NAME_CHARS_MAX] + "…")
        raise UsageError(
            "bad-value",
            f"{flag} is {shown}; it must have 1 to {NAME_CHARS_MAX} of A-Z a-z 0-9 . _ -, start with a "
            "letter or digit, and be no reserved word",
            hint=f"{flag} claude-01" if flag.startswith("-") else "rally run claude",
        )
    return name

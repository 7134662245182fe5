"""What text may enter the ledger (contract F4, F5): checked at the door, in one place."""

from __future__ import annotations

import unicodedata

from rally.model.errors import UsageError
from rally.model.kinds import IDENTITY_CHARS_MAX

TOOL_CHARS_MAX = 128
# Of names that are also those of files and branches: tasks, sessions.
NAME_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
TOOL_ALPHABET = NAME_ALPHABET | frozenset(":@/")
# Categories of characters that are not shown, or move the text around them.
CONTROLS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
RESERVED_TOOLS = frozenset({"unknown", "all", "rally"})


def check_encodable(value: str, name: str) -> bytes:
    """The UTF-8 bytes of a value.

    Raises:
        UsageError: `bad-text`, for NUL or bytes that were no valid UTF-8 (they arrive as lone
            surrogates, which is how Python carries undecodable arguments).
    """
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise UsageError(
            "bad-text", f"{name} is not valid UTF-8: {value!a}", hint="send UTF-8 text"
        ) from None
    if b"\x00" in raw:
        raise UsageError("bad-text", f"{name} holds a NUL byte", hint="send it without NUL bytes")
    return raw


def check_tool(
    tool: str, *, name: str = "--tool", reserved_ok: frozenset[str] = frozenset()
) -> str:
    """A tool id as contract F4 allows it.

    Args:
        reserved_ok: reserved words that mean something here, such as `all` for a handoff's target.

    Raises:
        UsageError: `bad-tool`.
    """
    if tool in reserved_ok:
        return tool
    problem = ""
    if not 1 <= len(tool) <= TOOL_CHARS_MAX:
        problem = f"must have 1 to {TOOL_CHARS_MAX} characters"
    elif not TOOL_ALPHABET.issuperset(tool):
        problem = "may hold only A-Z a-z 0-9 . _ : @ / -"
    elif not tool[0].isalnum():
        problem = "must start with a letter or digit"
    elif tool in RESERVED_TOOLS:
        problem = "is a reserved word"
    if problem:
        shown = ascii(tool if len(tool) <= TOOL_CHARS_MAX else tool[:TOOL_CHARS_MAX] + "…")
        raise UsageError("bad-tool", f"{name} {problem}: {shown}", hint=f"{name} claude:1")
    return tool


def check_identity(value: str, name: str) -> str:
    """A short name in one line: no control, separator or bidirectional characters.

    Raises:
        UsageError: `bad-text`, `bad-value` (empty or control characters) or `too-long`.
    """
    check_encodable(value, name)
    if not value.strip():
        raise UsageError("bad-value", f"{name} is empty", hint=f"give {name} a value")
    if len(value) > IDENTITY_CHARS_MAX:
        raise UsageError(
            "too-long",
            f"{name} has {len(value)} characters, at most {IDENTITY_CHARS_MAX} are allowed",
            hint="shorten it",
        )
    # isprintable() first: one C call clears nearly every value.
    if not value.isprintable() and any(unicodedata.category(c) in CONTROLS for c in value):
        raise UsageError(
            "bad-value", f"{name} holds control characters: {value!a}", hint="write it in one line"
        )
    return value


def nearest(word: str, words: list[str] | tuple[str, ...]) -> str | None:
    """The known word that was probably meant, if one is near."""
    from difflib import get_close_matches  # 10 ms to import, and only errors need it

    found = get_close_matches(word, words, n=1, cutoff=0.6)
    return found[0] if found else None


def check_choice(value: str, flag: str, choices: tuple[str, ...]) -> str:
    """One of a few words.

    Raises:
        UsageError: `bad-value`, listing the words.
    """
    if value not in choices:
        near = nearest(value, choices)
        raise UsageError(
            "bad-value", f"{flag} is {value!a}; it must be one of {', '.join(choices)}",
            hint=f"{flag} {near or choices[0]}",
            details={"choices": list(choices)},
        )  # fmt: skip
    return value

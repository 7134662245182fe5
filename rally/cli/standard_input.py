"""`--summary -`, `--evidence -` and the like: values that come from standard input (contract F3)."""

from __future__ import annotations

from typing import Any

from rally.model.errors import UsageError

INPUT_BYTES_MAX = 1024 * 1024
# What a hook is handed may hold a whole file.
HOOK_INPUT_BYTES_MAX = 32 * 1024 * 1024
_FLAGS = {"summary": "--summary", "evidence": "--evidence", "value": "VALUE"}


def fill(
    params: dict[str, Any], names: tuple[str, ...], stdin: bytes | None
) -> list[dict[str, str]]:
    """Put standard input where `-` was typed, without the line break at its end.

    Args:
        params: of the operation; changed.
        names: those in which `-` means standard input.
        stdin: all of it, one byte over the limit where it is longer; None where there is none.

    Returns:
        Warnings: `empty-input`, when nothing came.

    Raises:
        UsageError: `usage` (two values ask for it, or it is longer than 1 MiB) or `bad-text`.
    """
    readers = [_FLAGS[name] for name in names for one in _values(params.get(name)) if one == "-"]
    if not readers:
        return []
    if len(readers) > 1:
        raise UsageError(
            "usage",
            f"standard input can be read once, and {' and '.join(readers)} ask for it",
            hint=f"give {readers[-1]} its text",
        )
    text = text_of(stdin or b"", readers[0])
    for name in names:
        value = params.get(name)
        if value == "-":
            params[name] = text
        elif isinstance(value, list):
            params[name] = [text if one == "-" else one for one in value if one != "-" or text]
    if text:
        return []
    return [{"code": "empty-input", "message": f"nothing came for {readers[0]} on standard input"}]


def _values(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text_of(stdin: bytes, flag: str) -> str:
    """Standard input as text, without the line break at its end.

    Args:
        flag: what asked for it, for the message.

    Raises:
        UsageError: `usage` (longer than 1 MiB) or `bad-text`.
    """
    if len(stdin) > INPUT_BYTES_MAX:
        raise UsageError(
            "usage",
            f"standard input for {flag} is longer than {INPUT_BYTES_MAX} bytes",
            hint="put it into a file and name that with --uri",
        )
    try:
        text = stdin.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            "bad-text",
            f"standard input for {flag} is not valid UTF-8 at byte {error.start}",
            hint="iconv -t UTF-8",
        ) from None
    return text.removesuffix("\n").removesuffix("\r")

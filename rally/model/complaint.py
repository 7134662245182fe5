"""An error as a whole command's output, for the places that have no command line machinery at hand.

The relay after a lost connection and the daemon after an internal error: both know nothing but the
words that were typed, and owe their caller the same form as every other error (contract O2).
"""

from __future__ import annotations

from rally.model.errors import RallyError
from rally.wire.names import verb_of


def complaint(error: RallyError, argv: list[str]) -> tuple[bytes, bytes]:
    """What goes to standard output and to standard error. The error's texts must be rally's own."""
    if "--json" not in argv:
        hint = f"hint: {error.hint}\n" if error.hint else ""
        return b"", f"error: {error.message}\n{hint}".encode()
    import orjson  # noqa: PLC0415  (errors are rare, and the relay comes here without it)

    envelope = {
        "ok": False,
        "product": "rally",
        "command": verb_of(argv),
        "schema": "rally.error.v1",
        "error": error.as_json(),
    }
    return orjson.dumps(envelope) + b"\n", b""

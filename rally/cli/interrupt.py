"""What a command says when somebody gave it up (contract O2, O3)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from rally.cli import envelope, terminal
from rally.cli.parse import command_of, says_json
from rally.cli.plan import OutputClosedError
from rally.model.errors import EXIT_INTERRUPTED, Interrupted
from rally.wire.names import verb_of

# These print lines until they are stopped: Ctrl-C is how they end, and no error.
_STREAMING = frozenset({"watch", "top"})


def report(argv: Sequence[str]) -> int:
    """Print the error envelope where an object was promised and none has been begun; the exit code."""
    streams = verb_of(list(argv)) in _STREAMING or not {"--follow", "-f"}.isdisjoint(argv)
    if says_json(argv) and not streams and not terminal.has_written():
        with suppress(OSError, OutputClosedError):
            terminal.emit(1, envelope.failure(command_of(argv), Interrupted()))
    return EXIT_INTERRUPTED

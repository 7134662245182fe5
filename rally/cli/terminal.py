"""The surroundings of a command line that runs in its own process: direct mode and the client's
commands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

from rally.cli.call import ArgvCall
from rally.cli.plan import OutputClosedError, OutputFailedError
from rally.cli.standard_input import HOOK_INPUT_BYTES_MAX, INPUT_BYTES_MAX
from rally.wire.names import FORWARDED, verb_of

_READERS = FORWARDED | {"inject", "workstream"}


# Descriptors that something was written to. One process runs one command.
_written: set[int] = set()


def has_written() -> bool:
    """Whether any of the answer stands on standard output."""
    return bool(_written)


def own_call(argv: Sequence[str]) -> ArgvCall:
    """What the relay tells the daemon about a command line, found out here.

    Standard input is read where a word asks for it, as the relay does.
    """
    is_terminal = os.isatty(1)
    verb = verb_of(list(argv))
    stdin = None
    if verb == "hook":  # nobody types a payload: on a terminal it is missing
        stdin = b"" if os.isatty(0) else _read_input(HOOK_INPUT_BYTES_MAX)
    # The other verbs read none; the words behind a runner's verb may be another program's.
    elif verb in _READERS and any(word == "-" or word.endswith("=-") for word in argv):
        # How long a descriptor may be is judged where it is read.
        stdin = _read_input(HOOK_INPUT_BYTES_MAX if verb == "workstream" else INPUT_BYTES_MAX)
    return ArgvCall(
        cwd=_folder(),
        env=dict(os.environ),
        width=_width(is_terminal),
        colour=is_terminal,
        stdin=stdin,
        out=partial(emit, 1),
        err=partial(emit, 2),
        drain=_nothing_to_drain,
    )


def emit(descriptor: int, data: bytes) -> None:
    """Write all of `data`.

    Raises:
        OutputClosedError: nobody reads standard output any more.
        OutputFailedError: standard output cannot be written (disk full).
    """
    if descriptor == 1:
        _written.add(1)
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # whoever made the pipe set it so, and shares it with us
            import select

            select.select([], [descriptor], [])
        except OSError as error:
            if descriptor == 2:
                return
            if isinstance(error, BrokenPipeError):
                raise OutputClosedError from None
            raise OutputFailedError(error.errno, error.strerror) from None


async def _nothing_to_drain() -> None:
    """Writing to a descriptor waits for its reader by itself."""


def _folder() -> str:
    try:
        return os.getcwd()  # pathlib costs 4 ms, and adds nothing here
    except FileNotFoundError:
        # The folder was removed under us. Any other folder in its place would be another room.
        return ""


def _width(is_terminal: bool) -> int:
    if is_terminal:
        try:
            return os.get_terminal_size(1).columns
        except OSError:
            return 0
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and len(columns) < 6 else 0


def _read_input(bytes_max: int) -> bytes:
    pieces = []
    left = bytes_max + 1
    try:
        while left > 0:
            piece = os.read(0, left)
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
    except OSError:
        pass
    return b"".join(pieces)

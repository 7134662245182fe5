"""The surroundings of a command line that runs in its own process: direct mode and the client's
commands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

from rally.cli.call import ArgvCall
from rally.cli.plan import OutputClosedError, OutputFailedError
from rally.cli.standard_input import INPUT_BYTES_MAX
from rally.wire.names import FORWARDED, verb_of

_READERS = FORWARDED | {"inject"}


def own_call(argv: Sequence[str]) -> ArgvCall:
    """What the relay tells the daemon about a command line, found out here.

    Standard input is read where a word asks for it, as the relay does.
    """
    is_terminal = os.isatty(1)
    # The other verbs read none; the words behind a runner's verb may be another program's.
    wants_input = verb_of(list(argv)) in _READERS and any(
        word == "-" or word.endswith("=-") for word in argv
    )
    return ArgvCall(
        cwd=_folder(),
        env=dict(os.environ),
        width=_width(is_terminal),
        colour=is_terminal,
        stdin=_read_input() if wants_input else None,
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


def _read_input() -> bytes:
    data = b""
    try:
        while len(data) <= INPUT_BYTES_MAX:
            piece = os.read(0, INPUT_BYTES_MAX + 1 - len(data))
            if not piece:
                break
            data += piece
    except OSError:
        pass
    return data

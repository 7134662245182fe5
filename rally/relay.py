"""What the command `rally` runs first: hand the words to the warm daemon and print its answer.

The start of the interpreter is nearly all that a command costs, so nothing is imported here before
the answer but `_socket` and the few light modules of `rally.wire` (law 5; a test compares
`sys.modules` with a list), and the process ends by `os._exit`, which skips the interpreter's
tear-down. Everything that goes wrong is dealt with in `rally.recover`.

Direct mode gives the same answer to every verb, so whenever this module is in doubt it does not
forward.
"""

from __future__ import annotations

import os
import sys

from rally import __version__
from rally.wire.door import knock
from rally.wire.frames import (
    ERR,
    EXIT,
    FLAG_COLOUR,
    FLAG_INPUT,
    FRAME_BYTES_MAX,
    INPUT,
    LEAVING,
    OUT,
    VERSION,
    Decoder,
    FrameError,
    pack,
    pack_argv,
)
from rally.wire.names import FORWARDED, GIT_PHASES, verb_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

_SENT_VARIABLES = frozenset((b"NO_COLOR", b"TERM", b"COLUMNS", b"HOME", b"XDG_STATE_HOME"))

# One byte more than any text may have: the verb sees that it is too long.
INPUT_BYTES_MAX = 1024 * 1024 + 1
# A daemon that is stuck must not keep its callers for ever. Words that ask for a wait lift it.
PATIENCE_S = 15.0
_RECEIVE_BYTES = 256 * 1024

# What came of asking, where it was no exit code.
NOT_BEGUN = -1  # nobody took the request
OTHER_VERSION = -2  # a daemon of another version refused it, nothing was begun
LOST = -3  # it was taken, and the answer never came
LOST_MIDWAY = -4  # the same, after some of the answer was printed
UNSENDABLE = -5  # it fits no frame, or has no working folder


def main() -> None:
    """Run one command line and leave the process with its exit code."""
    open_standard_streams()
    argv = sys.argv[1:]
    if is_forwarded(argv):
        try:
            code = forward(argv)
        except KeyboardInterrupt:
            code = 130
        except OSError as error:
            emit(2, f"error: the answer cannot be written: {error.strerror}\n".encode())
            code = 1
        if code is not None:
            os._exit(code)
    from rally.cli.app import main as run_here  # heavy: only without a daemon

    code = run_here(argv)
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # it was closed before we began
                stream.flush()
    except OSError:
        pass  # nobody reads any more
    os._exit(code)  # taking a hundred modules down would cost a tenth of the command


def open_standard_streams() -> None:
    """Put /dev/null where the caller closed standard input, output or error (`>&-`).

    The next file or socket that is opened would get the number, and the answer be written into it.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def is_forwarded(argv: list[str]) -> bool:
    """Whether the daemon may answer these words."""
    verb = verb_of(argv)
    if verb not in FORWARDED or os.environ.get("RALLY_DAEMON") == "off":
        return False
    if verb == "check" and not GIT_PHASES.isdisjoint(argv):
        return False
    return "--help" not in argv and "-h" not in argv


def forward(argv: list[str]) -> int | None:
    """The exit code of the command as the daemon ran it; None: run it in this process."""
    stdin = None
    if any(word == "-" or word.endswith("=-") for word in argv):
        stdin = read_input()
    # A command that waits says so by its verb or by an option.
    waits = verb_of(argv) == "wait" or any(w.startswith(("--wait", "--follow", "-f")) for w in argv)
    request = pack_request(argv, stdin)
    outcome = ask(request, None if waits else PATIENCE_S)
    if outcome >= 0:
        return outcome
    from rally.recover import recover

    return recover(outcome, argv, stdin, lambda: ask(request, None if waits else PATIENCE_S))


def pack_request(argv: list[str], stdin: bytes | None) -> bytes:
    """The frames that carry the command; empty if it is too large, or its folder is gone."""
    try:
        cwd = os.getcwdb()
    except OSError:
        return b""
    env = [
        key + b"=" + value
        for key, value in os.environb.items()
        if key.startswith(b"RALLY_") or key in _SENT_VARIABLES
    ]
    is_terminal = os.isatty(1)
    flags = (FLAG_COLOUR if is_terminal else "") + ("" if stdin is None else FLAG_INPUT)
    fixed = (__version__.encode(), cwd, b"%d" % _width(is_terminal), flags.encode())
    request = pack_argv(fixed, env, [os.fsencode(word) for word in argv])
    if len(request) > FRAME_BYTES_MAX:
        return b""
    return request if stdin is None else request + pack(INPUT, stdin)


def _width(is_terminal: bool) -> int:
    if is_terminal:
        try:
            return os.get_terminal_size(1).columns
        except OSError:
            return 0
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and len(columns) < 6 else 0


def read_input() -> bytes:
    """Standard input up to `INPUT_BYTES_MAX`; empty if it is closed."""
    data = b""
    try:
        while len(data) < INPUT_BYTES_MAX:
            piece = os.read(0, INPUT_BYTES_MAX - len(data))
            if not piece:
                break
            data += piece
    except OSError:
        pass
    return data


def ask(request: bytes, patience_s: float | None) -> int:
    """Send the request, print what comes back; the exit code, or what came instead (above)."""
    if not request:
        return UNSENDABLE
    sock = knock(os.environ)
    if sock is not None and sock.fileno() <= 2:
        # It got the number of a standard stream that is closed, and output would go into it.
        sock.close()
        while os.open(os.devnull, os.O_RDWR) <= 2:
            pass
        sock = knock(os.environ)
    if sock is None:
        return NOT_BEGUN
    try:
        sock.settimeout(patience_s)
        try:
            sock.sendall(request)
            unsent = False
        except OSError:
            unsent = True  # its daemon may have said why before it closed
        return _answer(sock, unsent)
    finally:
        sock.close()


def _answer(sock: socket, unsent: bool) -> int:
    decoder = Decoder()
    printed = False
    while True:
        try:
            data = sock.recv(_RECEIVE_BYTES)
            frames = decoder.feed(data)
        except (OSError, FrameError) as error:
            # Linux resets exactly those whose request was not read; elsewhere nothing is known.
            unread = isinstance(error, ConnectionResetError) and sys.platform == "linux"
            return _no_answer(printed, unsent or unread)
        if not data:
            return _no_answer(printed, unsent)
        for kind, payload in frames:
            if kind in (OUT, ERR):
                printed = True
                if not emit(1 if kind == OUT else 2, payload) and kind == OUT:
                    return 0
            elif kind == EXIT:
                return int(payload)
            else:
                return OTHER_VERSION if kind == VERSION else _no_answer(printed, kind == LEAVING)


def _no_answer(printed: bool, unsent: bool) -> int:
    if printed:
        return LOST_MIDWAY
    return NOT_BEGUN if unsent else LOST


def emit(fd: int, data: bytes) -> bool:
    """Write all of `data`; false if nobody reads it any more.

    Raises:
        OSError: standard output cannot be written (disk full).
    """
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # whoever made the pipe set it so, and shares it with us
            import select

            select.select([], [fd], [])
        except OSError as error:
            if fd == 2 or isinstance(error, BrokenPipeError):
                return False
            raise
    return True

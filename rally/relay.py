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
    from collections.abc import Iterator

_SENT_VARIABLES = frozenset((b"NO_COLOR", b"TERM", b"COLUMNS", b"HOME", b"XDG_STATE_HOME"))

# One byte more than any text may have: the verb sees that it is too long.
INPUT_BYTES_MAX = 1024 * 1024 + 1
# What a hook is handed may hold a whole file. More than a frame is answered in this process.
HOOK_INPUT_BYTES_MAX = 32 * 1024 * 1024 + 1
# A daemon that answers nobody is left after so long a silence: it is asked whether it lives.
HELLO_S = 1.0
# One that lives must not keep its callers for ever either. Words that ask for a wait lift it.
PATIENCE_S = 15.0
# An agent waits for its hooks, at every write.
HOOK_PATIENCE_S = 3.0
_RECEIVE_BYTES = 256 * 1024

# What kind of output was printed first: after it, a second answer would be too much.
_printed: set[bytes] = set()

# What came of asking, where it was no exit code.
NOT_BEGUN = -1  # nobody took the request
OTHER_VERSION = -2  # a daemon of another version refused it, nothing was begun
LOST = -3  # it was taken, and the answer never came
LOST_MIDWAY = -4  # the same, after some of the answer was printed
UNSENDABLE = -5  # it fits no frame, or has no working folder
STUCK = -6  # a daemon accepts and does not read: the request was taken back, nothing was begun


def main() -> None:
    """Run one command line and leave the process with its exit code."""
    open_standard_streams()
    argv = sys.argv[1:]
    try:
        code = _forwarded(argv) if is_forwarded(argv) else None
        if code is None:
            from rally.cli.app import main as run_here  # heavy: only without a daemon

            code = run_here(argv)
            _flush()
    except KeyboardInterrupt:
        code = interrupted(argv)
    os._exit(code)  # taking a hundred modules down would cost a tenth of the command


def _forwarded(argv: list[str]) -> int | None:
    try:
        return forward(argv)
    except OSError as error:
        emit(2, f"error: the answer cannot be written: {error.strerror}\n".encode())
        return 1
    except Exception:
        if verb_of(argv) != "hook":
            raise
        return None  # a hook's host is answered in its own way, whatever happens


def _flush() -> None:
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # it was closed before we began
                stream.flush()
    except OSError:
        pass  # nobody reads any more


def interrupted(argv: list[str]) -> int:
    """Tell who asked for JSON that there will be no answer (contract O2); the exit code."""
    if "--json" in argv and OUT not in _printed:
        from rally.cli.interrupt import report

        return report(argv)
    return 130


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
    verb = verb_of(argv)
    patience_s: float | None = PATIENCE_S
    if verb == "hook":
        stdin = read_hook_input()
        patience_s = HOOK_PATIENCE_S
    else:
        if any(word == "-" or word.endswith("=-") for word in argv):
            stdin = read_input(INPUT_BYTES_MAX)
        # A command that waits says so by its verb or by an option.
        if verb == "wait" or any(w.startswith(("--wait", "--follow", "-f")) for w in argv):
            patience_s = None
    request = pack_request(argv, stdin)
    outcome = ask(request, patience_s)
    if outcome >= 0:
        return outcome
    from rally.recover import recover

    return recover(outcome, argv, stdin, lambda: ask(request, patience_s))


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
    if len(request) > FRAME_BYTES_MAX or len(stdin or b"") > FRAME_BYTES_MAX:
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


def read_input(bytes_max: int) -> bytes:
    """Standard input up to `bytes_max`; empty if it is closed."""
    pieces = []
    left = bytes_max
    try:
        while left > 0:
            piece = os.read(0, min(left, _RECEIVE_BYTES))
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
    except OSError:
        pass
    return b"".join(pieces)


def read_hook_input() -> bytes:
    """What a host hands to a hook. Nobody types that: on a terminal it is missing."""
    return b"" if os.isatty(0) else read_input(HOOK_INPUT_BYTES_MAX)


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
        sock.settimeout(HELLO_S)
        try:
            sock.sendall(request)
            unsent = False
        except OSError:
            unsent = True  # its daemon may have said why before it closed
        return _answer(sock, unsent, patience_s)
    finally:
        sock.close()


class TakenBackError(OSError):
    """The daemon was left, silent or while nobody reads; the argument is the outcome."""


def _answer(sock: socket, unsent: bool, patience_s: float | None) -> int:
    decoder = Decoder()
    printed = False
    pieces = _receive(sock, patience_s)
    while True:
        try:
            data = next(pieces)
            frames = decoder.feed(data)
        except TakenBackError as error:
            return int(error.args[0])
        except (OSError, FrameError) as error:
            # Linux resets exactly those whose request was not read; elsewhere nothing is known.
            unread = isinstance(error, ConnectionResetError) and sys.platform == "linux"
            return _no_answer(printed, unsent or unread)
        if not data:
            return _no_answer(printed, unsent)
        for kind, payload in frames:
            if kind in (OUT, ERR):
                printed = True
                _printed.add(kind)
                if not emit(1 if kind == OUT else 2, payload) and kind == OUT:
                    return 0
            elif kind == EXIT:
                return int(payload)
            else:
                return OTHER_VERSION if kind == VERSION else _no_answer(printed, kind == LEAVING)


def _receive(sock: socket, patience_s: float | None) -> Iterator[bytes]:
    """What the daemon sends, empty at its end; one that stays silent is asked whether it lives.

    Of what is followed without end it is only what somebody still reads.
    """
    first = None
    try:
        first = sock.recv(_RECEIVE_BYTES)
    except TimeoutError:
        from rally.recover import take_back  # nothing is in a hurry any more

        outcome = take_back(sock)
        if outcome is not None:
            raise TakenBackError(outcome) from None
    sock.settimeout(patience_s)
    if first is not None:
        yield first
    while patience_s is not None or OUT not in _printed or _is_read(sock):
        yield sock.recv(_RECEIVE_BYTES)
    raise TakenBackError(0)


def _is_read(sock: socket) -> bool:
    """Sleep until more comes; false if nobody reads standard output any more (`… | head -1`)."""
    import select  # only what is followed waits for long

    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    poll.register(1, 0)  # errors and hang-ups are told all the same
    gone = dict(poll.poll()).get(1, 0) & (select.POLLERR | select.POLLHUP)
    return not gone


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

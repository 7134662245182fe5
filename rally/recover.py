"""What a command does when the daemon did not answer it: the relay's slow path.

    nobody took the request             start a daemon and ask again, else run it in this process
    a daemon that answers nobody        run it in this process; the request was taken back
    a daemon of another version         replace it and ask again, else run it in this process
    the answer was lost on the way      a question is run again in this process (contract K0), and
                                        so is what carries an idempotency key (F6); anything else
                                        may or may not have been written, and says so (F8)

A hook has its host to answer, within a time and never by exit 2 unless it means that: `rally.cli.hook`
knows how.

Running it in this process means that `recover` answers None.
"""

from __future__ import annotations

import os
from _socket import SHUT_RDWR, socket
from collections.abc import Callable
from contextlib import suppress

from rally import __version__, relay
from rally.client.launch import ensure_daemon, is_silent, replace_daemon
from rally.wire.names import QUESTIONS, verb_of


def recover(
    outcome: int, argv: list[str], stdin: bytes | None, again: Callable[[], int]
) -> int | None:
    """The exit code after another way was found, or None: run the command in this process.

    Args:
        outcome: one of the relay's negative outcomes.
        argv: the whole command line.
        stdin: what was read of standard input, None if nothing was; it is put back where it is
            needed.
        again: asks the daemon once more.
    """
    is_hook = verb_of(argv) == "hook"
    if is_hook:
        from rally.cli.hook.deadline import arm  # its host waits for it

        arm(argv, os.environ)
    if _prepare_another_try(outcome):
        outcome = again()
    if outcome >= 0:
        return outcome
    if outcome == relay.LOST_MIDWAY and is_hook:
        return _give_up_hook(argv)
    if outcome == relay.LOST_MIDWAY or (outcome == relay.LOST and not is_repeatable(argv)):
        return _report(argv)
    if stdin is not None:
        _put_back(stdin)
    return None


def _prepare_another_try(outcome: int) -> bool:
    if outcome == relay.NOT_BEGUN:
        return ensure_daemon(os.environ)
    return outcome == relay.OTHER_VERSION and replace_daemon(os.environ, __version__)


def take_back(sock: socket) -> int | None:
    """What came of a request that was met by silence; None: its daemon lives and is at work.

    A daemon that is stopped or stuck has not even read it. It is then taken back: what the daemon
    reads behind a connection that is shut down on both sides, it does not begin
    (`rally.daemon.conversation`). So what is unread *after* shutting down is never begun.
    """
    if _unread_bytes(sock):
        with suppress(OSError):
            sock.shutdown(SHUT_RDWR)
        return relay.STUCK if _unread_bytes(sock) else relay.LOST
    # One that has no socket any more is on its way out, and finishes what it began.
    return relay.LOST if is_silent(os.environ) else None


def _unread_bytes(sock: socket) -> int:
    """How much of what was sent the other side has not read; 0 also where nobody can tell."""
    import fcntl
    import struct
    import termios

    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int(struct.unpack("i", answer)[0])


def is_repeatable(argv: list[str]) -> bool:
    """Whether the command may be run a second time without being done twice."""
    has_key = any(word == "--key" or word.startswith("--key=") for word in argv)
    # What a hook writes, it looks for first.
    return has_key or verb_of(argv) in QUESTIONS or verb_of(argv) == "hook"


def _give_up_hook(argv: list[str]) -> int:
    """The exit code for a host that was told a part of the answer: a second one would be too much."""
    from rally.cli.hook.failing import failed
    from rally.cli.hook.request import request_in

    why = "the daemon went away in the middle of its answer"
    return failed(request_in(argv), why, os.environ).code


def _report(argv: list[str]) -> int:
    from rally.cli import envelope
    from rally.cli.parse import command_of, says_json
    from rally.model.errors import Failure

    error = Failure(
        "unavailable",
        "the daemon went away before it answered: the command may or may not have been done",
        hint="look at `rally log --limit 5`, then repeat it (with --key, `say` never writes twice)",
    )
    if says_json(argv):
        relay.emit(1, envelope.failure(command_of(argv), error))
    else:
        relay.emit(2, envelope.failure_text(error))
    return error.exit_code


def _put_back(stdin: bytes) -> None:
    """Let standard input be read again from its beginning."""
    import tempfile  # 10 ms

    with tempfile.TemporaryFile() as kept:
        kept.write(stdin)
        kept.seek(0)
        os.dup2(kept.fileno(), 0)

"""What a command does when the daemon did not answer it: the relay's slow path.

    nobody took the request             start a daemon and ask again, else run it in this process
    a daemon of another version         replace it and ask again, else run it in this process
    the answer was lost on the way      a question is run again in this process (contract K0), and
                                        so is what carries an idempotency key (F6); anything else
                                        may or may not have been written, and says so (F8)

Running it in this process means that `recover` answers None.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from rally import __version__, relay
from rally.client.launch import ensure_daemon, replace_daemon
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
    if _prepare_another_try(outcome):
        outcome = again()
    if outcome >= 0:
        return outcome
    if outcome == relay.LOST_MIDWAY or (outcome == relay.LOST and not is_repeatable(argv)):
        return _report(argv)
    if stdin is not None:
        _put_back(stdin)
    return None


def _prepare_another_try(outcome: int) -> bool:
    if outcome == relay.NOT_BEGUN:
        return ensure_daemon(os.environ)
    return outcome == relay.OTHER_VERSION and replace_daemon(os.environ, __version__)


def is_repeatable(argv: list[str]) -> bool:
    """Whether the command may be run a second time without being done twice."""
    has_key = any(word == "--key" or word.startswith("--key=") for word in argv)
    return has_key or verb_of(argv) in QUESTIONS


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

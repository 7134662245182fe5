"""The words behind `rally hook`, read without ever refusing them.

Usage errors exit 2 everywhere else in rally, and to most hosts exit 2 means that the tool must not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

AUTO_CLAIM, FAIL_CLOSED = "--auto-claim", "--fail-closed"


class Request(NamedTuple):
    """One call of a hook.

    Attributes:
        host, event: as they were typed; empty where they are missing.
        auto_claim: claim what is free before it is written.
        fail_closed: what rally cannot answer is blocked.
        problem: what is wrong with the words; empty for nothing.
    """

    host: str
    event: str
    auto_claim: bool = False
    fail_closed: bool = False
    problem: str = ""


def read_words(words: Sequence[str], problem: str = "") -> Request:
    """The request in the words that follow `hook`, as far as it can be made out.

    Args:
        words: anything.
        problem: what is known to be wrong with them.
    """
    names = [word for word in words if not word.startswith("-")]
    names += ["", ""]
    return Request(names[0], names[1], AUTO_CLAIM in words, FAIL_CLOSED in words, problem)


def request_in(argv: Sequence[str]) -> Request:
    """The same from a whole command line."""
    words = list(argv)
    at = words.index("hook") if "hook" in words else -1
    return read_words(words[at + 1 :])

"""The log of hooks that could not do their work: one line each, in a file that never grows large."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from rally.cli.hook.request import Request
from rally.model.clock import SystemClock, to_rfc3339
from rally.model.visible import one_line
from rally.wire.locations import state_home

NAME = "hooks.log"
# As many bytes again are kept in the file before this one, under the name with `.1` behind it.
BYTES_MAX = 256 * 1024
_WHY_CHARS_MAX = 400
_NAME_CHARS_MAX = 40


def journal_path(env: Mapping[str, str]) -> str:
    """Where the lines go."""
    return f"{state_home(env)}/{NAME}"


def note(env: Mapping[str, str], request: Request, why: str) -> None:
    """Write one line: when, host and event, why. Never an error.

    Args:
        env: XDG_STATE_HOME and HOME decide where it goes.
        why: anything, also text of others.
    """
    when = to_rfc3339(SystemClock().now_ms())
    host, event = (one_line(name or "?", _NAME_CHARS_MAX) for name in (request.host, request.event))
    line = f"{when} {host} {event}: {one_line(why, _WHY_CHARS_MAX)}\n"
    path = journal_path(env)
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            if os.stat(path).st_size > BYTES_MAX:
                os.replace(path, f"{path}.1")
        # One write to a file opened for appending: lines of several processes do not mix.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, line.encode(errors="backslashreplace"))
        finally:
            os.close(file)

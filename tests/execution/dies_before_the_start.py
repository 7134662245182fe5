"""`rally watch …` in a process that is killed between taking its turn and starting the command.

The instant lasts microseconds, so it cannot be hit from outside: in place of the start, the process
ends as SIGKILL would end it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from rally.cli.app import main
from rally.execution import commands


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


commands.start_child = die  # type: ignore[assignment]
sys.exit(main(sys.argv[1:]))

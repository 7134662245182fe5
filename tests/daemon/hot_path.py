"""What a forwarded command has loaded when it ends (law 5); every command of every agent pays for it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

# Everything else would be paid for by every command of every agent.
ALLOWED = frozenset(
    """__future__ _socket errno rally rally.relay rally.wire rally.wire.door rally.wire.frames
    rally.wire.locations rally.wire.names""".split()
)
_RECORD = """
import os, sys
before, leave = set(sys.modules), os._exit
def tell(code):
    os.write(2, " ".join(sorted(set(sys.modules) - before)).encode())
    leave(code)
os._exit = tell
sys.argv[0] = "rally"
from rally.relay import main
main()
"""


def loaded(*words: str, **more: Any) -> tuple[bytes, set[str]]:
    """Standard output of a command, and the names of the modules that it imported."""
    argv = [sys.executable, "-c", _RECORD, *words]
    ran = subprocess.run(argv, capture_output=True, check=False, **more)
    return ran.stdout, set(ran.stderr.decode().split())

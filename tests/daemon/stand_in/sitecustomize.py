"""Behind real commands and the real daemon, an application that does what a test asks for.

`rally` starts `python -m rally.daemon` by itself, so the test's own operations (see `small_daemon`)
can only get there from inside. Direct mode is stood in for as well: here it only matters that it was
chosen, and that words and standard input reach it.
"""

import sys


def main(argv: list[str]) -> int:
    import os

    text = "" if "--stdin" not in argv else f" {sys.stdin.read()!a}"
    os.write(1, f"direct {argv!a}{text}\n".encode())
    return 7


if "rally.daemon" in sys.orig_argv:
    sys.path.insert(0, __file__.rsplit("/", 2)[0])
    import small_daemon

    import rally.daemon.main

    rally.daemon.main._rally = small_daemon.application
else:
    stand_in = type(sys)("rally.cli.app")
    stand_in.main = main
    sys.modules["rally.cli.app"] = stand_in

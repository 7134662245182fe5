"""A terminal with a foreground process group, as a shell makes one, and a `hold` in it.

    python terminal_hold.py WORDS…     runs WORDS in the foreground of its own controlling terminal

A job that is stopped is told of, and let go on at once, as `fg` would.
It is started as leader of a session whose controlling terminal is its standard input.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = subprocess.Popen(sys.argv[1:], process_group=0)
os.tcsetpgrp(0, job.pid)
while os.WIFSTOPPED(status := os.waitpid(job.pid, os.WUNTRACED)[1]):
    os.write(1, b"stopped\n")
    os.killpg(job.pid, signal.SIGCONT)
sys.exit(os.waitstatus_to_exitcode(status) % 256)

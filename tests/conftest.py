"""What every test may rely on."""

from __future__ import annotations

import signal

# A shell starts what runs in the background with these two ignored, and children inherit that: tests
# that interrupt a program would wait for ever, depending on how pytest itself was started.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

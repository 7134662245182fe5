"""Waiting for signals, and for the end of a child, without missing either.

A command in the foreground of a terminal gets Ctrl-C from the terminal, like everybody in its process
group. Its caller must not send it a second time: two of them mean "at once" to many programs. A signal
that somebody sent to the caller alone has to be passed on. The kernel tells the two apart (`si_code`,
sigaction(2)); where Python cannot ask it (macOS), and for a signal that came while nobody waited, the
signals of the keyboard count as the terminal's when the process is in the terminal's foreground.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

PASSED_ON = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM),
    *(signal.SIGUSR1, signal.SIGUSR2),
)
_KEYBOARD = frozenset({signal.SIGINT, signal.SIGQUIT})
_CAN_ASK_KERNEL = hasattr(signal, "sigtimedwait")


def heeded(*numbers: int) -> list[int]:
    """Those of some signals that the caller was not started to ignore (`nohup`)."""
    return [one for one in numbers if signal.getsignal(one) != signal.SIG_IGN]


class Arrived(NamedTuple):
    """A signal that came.

    Attributes:
        from_terminal: the whole process group got it.
    """

    number: int
    from_terminal: bool


class Signals:
    """The signals that are passed on, and SIGCHLD, while it is entered. For the main thread.

    What the caller was started to ignore (`nohup`) stays ignored, here and in its children.

    Attributes:
        early: numbers of those that came while nobody waited, oldest first.
        on_early: told when one is added.
    """

    def __init__(self) -> None:
        self._watched = {*heeded(*PASSED_ON), signal.SIGCHLD}
        self._before: dict[int, Any] = {}
        self._wakeup = (-1, -1)
        self.early: list[int] = []
        self.on_early: Callable[[], None] | None = None

    def __enter__(self) -> Signals:
        if not _CAN_ASK_KERNEL:
            self._wakeup = os.pipe()
            for end in self._wakeup:
                os.set_blocking(end, False)
            signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        self._block(is_blocked=True)
        for number in self._watched:
            # A handler of our own, since exec() gives a child the default for what is handled.
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        # What is still pending reaches the handler here, and is too late for anybody.
        self._block(is_blocked=False)
        for number, before in self._before.items():
            signal.signal(number, before)
        if not _CAN_ASK_KERNEL:
            signal.set_wakeup_fd(-1)
            for end in self._wakeup:
                os.close(end)

    def wait(self, timeout_s: float) -> Arrived | None:
        """The next signal to pass on; None when a child ended or the time is over."""
        if not self.early and _CAN_ASK_KERNEL:
            info = signal.sigtimedwait(self._watched, max(0.0, timeout_s))
            if info is None or info.si_signo == signal.SIGCHLD:
                return None
            return Arrived(info.si_signo, from_terminal=info.si_code > 0)
        if not self.early:
            select.select([self._wakeup[0]], [], [], max(0.0, timeout_s))
            with suppress(BlockingIOError):
                os.read(self._wakeup[0], 4_096)
        if not self.early:
            return None
        number = self.early.pop(0)
        return Arrived(number, from_terminal=number in _KEYBOARD and _in_foreground())

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Block nothing meanwhile, since a process that is started inherits what is blocked; signals
        that come are noted in `early`."""
        self._block(is_blocked=False)
        try:
            yield
        finally:
            self._block(is_blocked=True)

    def _block(self, *, is_blocked: bool) -> None:
        if _CAN_ASK_KERNEL:
            how = signal.SIG_BLOCK if is_blocked else signal.SIG_UNBLOCK
            signal.pthread_sigmask(how, self._watched)

    def _note(self, number: int, _: object) -> None:
        if number == signal.SIGCHLD:
            return
        self.early.append(number)
        if self.on_early is not None:
            self.on_early()


def _in_foreground() -> bool:
    """Whether this process is in the foreground of its terminal, if it has one."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)

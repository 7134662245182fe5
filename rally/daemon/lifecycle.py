"""The place where a user's daemon stands: its lock and its socket.

The lock is held from before the socket exists until after it is gone, so whoever holds it may
remove a socket file that a killed daemon left behind. A daemon that leaves takes its socket away
and lets go of the lock before it finishes its last requests: its successor can begin at once, for
two processes on one ledger never contradict each other (contract R4).

A lock that is held beside a socket that does not answer is a daemon that is starting, one that is
leaving, or one whose socket file was removed by others (cleaners of temp folders do). The last is
asked to leave.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from rally.wire.door import knock
from rally.wire.locations import (
    LOCK_NAME,
    SocketAddress,
    ensure_private_dir,
    runtime_dir,
    socket_path,
)

_log = logging.getLogger("rally.daemon")

# How long a newcomer leaves a silent holder of the lock alone, and how long it waits in all.
_SILENCE_S = 2.0
_WAIT_S = 4.5
_PAUSE_S = 0.02


class TakenError(Exception):
    """Another daemon of this user listens already."""


class Place:
    """The lock and the socket in this user's runtime folder.

    Args:
        env: tells the folder.

    Raises:
        NotPrivateError: the folder is open to others; nothing was made in it.
        OSError: the folder or the lock cannot be made.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        folder = runtime_dir(env)
        ensure_private_dir(folder)
        self._lock = os.open(
            f"{folder}/{LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        self._path = Path(socket_path(env))
        self._bound: tuple[int, int] | None = None

    def take(self) -> None:
        """Become the one daemon of this user.

        Raises:
            TakenError: there is one that answers.
            TimeoutError: somebody holds the lock and does not answer.
        """
        asked = False
        for turn in range(int(_WAIT_S / _PAUSE_S)):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if self._answers():
                raise TakenError(self._path)
            if not asked and turn * _PAUSE_S >= _SILENCE_S:
                asked = True
                self._ask_holder_to_leave()
            time.sleep(_PAUSE_S)
        else:
            raise TimeoutError(f"{self._path}: its lock is held by a process that does not answer")
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)

    def try_take(self) -> None:
        """Take the lock if it is free: for a daemon that is alone by systemd's doing."""
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def open_socket(self) -> socket.socket:
        """The bound socket, in place of one that a killed daemon left. Only after `take`.

        Raises:
            TakenError: a process that does not know the lock (systemd) listens there.
            OSError: it cannot be bound.
        """
        if self._answers():
            raise TakenError(self._path)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with SocketAddress(str(self._path)) as address:
                sock.bind(address)
            self._path.chmod(0o600)
            self._bound = self._identity()
        except OSError:
            sock.close()
            raise
        return sock

    def is_mine(self) -> bool:
        """Whether callers who look for the daemon's socket still find the one of this process."""
        return self._bound is not None and self._identity() == self._bound

    def leave(self) -> None:
        """Take the socket away, if it is still this process's, and let go of the lock."""
        if self.is_mine():
            with contextlib.suppress(OSError):
                self._path.unlink()
        self._bound = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.lstat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _answers(self) -> bool:
        sock = knock(self._env)
        if sock is None:
            return False
        sock.close()
        return True

    def _ask_holder_to_leave(self) -> None:
        """Signal the process that wrote itself into the lock; holding it, it is that one still."""
        written = os.pread(self._lock, 32, 0).strip()
        if written.isdigit() and int(written) > 1:
            _log.warning("daemon %d holds the lock and is silent; asking it to leave", int(written))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(written), signal.SIGTERM)

"""Starting this user's daemon, once, whoever asks (contract R4).

Sixty-four commands may find no daemon in the same instant. A lock on `start.lock` lets one of them
start it while the others wait and then find it answering; the daemon's own lock
(`rally.daemon.lifecycle`) stays the guarantee that there is one. The starter waits on the pipe that
is the new daemon's output: a line means that it listens, end of file that it could not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rally.wire.door import knock
from rally.wire.frames import CALL, DRAIN, VERSION, Decoder, FrameError, pack
from rally.wire.locations import LOCK_NAME, ensure_private_dir, runtime_dir, state_home

START_S = 5.0
# A daemon answers a ping within microseconds, and within this however much it has to do.
HELLO_S = 2.0
LOG_NAME = "rallyd.log"
LOG_BYTES_MAX = 1024 * 1024
_START_LOCK = "start.lock"
_LOCK_PAUSE_S = 0.02

# What a daemon that outlives its caller is given: no secrets, nothing of who happened to start it.
_KEPT_VARIABLES = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_STATE_HOME", "RALLY_IDLE_EXIT"),
        *("LANG", "LC_ALL", "LC_CTYPE", "TZ"),
        *("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    )
)


def ensure_daemon(env: Mapping[str, str]) -> bool:
    """Have a daemon of this user that listens; start it where there is none (up to `START_S`).

    False: none can be had (switched off, folder not private or not writable, it does not start).
    Nothing was left behind.
    """
    return _with_start_lock(env, replace=None)


def replace_daemon(env: Mapping[str, str], version: str) -> bool:
    """Ask the daemon that listens to finish and leave, and start this version's in its place.

    False: it does not have to leave (it is newer, or systemd's), or no new one can be had.
    """
    return _with_start_lock(env, replace=version)


def is_silent(env: Mapping[str, str]) -> bool:
    """Whether a daemon accepts connections and does not answer a ping within `HELLO_S`."""
    sock = knock(env)
    if sock is None:
        return False
    try:
        sock.settimeout(HELLO_S)
        sock.sendall(pack(CALL, b'{"id": 1, "op": "ping"}'))
        sock.recv(4096)
    except TimeoutError:
        return True
    except OSError:
        pass
    finally:
        sock.close()
    return False


def lock_holder(env: Mapping[str, str]) -> int | None:
    """The pid of the process that is this user's daemon, answering or not; None: there is none."""
    try:
        lock = os.open(
            f"{runtime_dir(env)}/{LOCK_NAME}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        )
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.pread(lock, 32, 0).strip()
        return int(written) if written.isdigit() else None
    except OSError:
        return None
    finally:
        os.close(lock)
    return None


def log_path(env: Mapping[str, str]) -> str:
    """The log of a daemon that was started in the background."""
    return f"{state_home(env)}/{LOG_NAME}"


def _with_start_lock(env: Mapping[str, str], *, replace: str | None) -> bool:
    if env.get("RALLY_DAEMON") == "off" or not sys.executable:
        return False
    try:
        folder = runtime_dir(env)
        ensure_private_dir(folder)
        with _locked(f"{folder}/{_START_LOCK}"):
            if replace is not None and not _ask_to_leave(env, replace):
                return False
            return _listens(env) or _start(env)
    except OSError:
        return False


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """Hold the lock, or raise OSError (nothing is held): after `START_S`, or if it has no file."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        # flock() has no time limit of its own, and an alarm would be the whole process's.
        for _ in range(int(START_S / _LOCK_PAUSE_S)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_S)
        else:
            raise TimeoutError(f"{path} is held")
        yield
    finally:
        os.close(lock)


def _listens(env: Mapping[str, str]) -> bool:
    sock = knock(env)
    if sock is None:
        return False
    sock.close()
    return True


def _ask_to_leave(env: Mapping[str, str], version: str) -> bool:
    """Whether the place is free for `version`: nobody is there, or that version is already."""
    sock = knock(env)
    if sock is None:
        return True
    try:
        sock.settimeout(START_S)
        sock.sendall(pack(DRAIN, version.encode()))
        decoder = Decoder()
        while data := sock.recv(4096):
            for kind, payload in decoder.feed(data):
                if kind == VERSION:
                    return payload.split(b"\0")[0] == version.encode()
    except ConnectionError:
        return True
    except (OSError, FrameError):
        return False
    finally:
        sock.close()
    return True


def _start(env: Mapping[str, str]) -> bool:
    from rally.execution.process import spawn_detached  # the rare case

    output = spawn_detached(
        [sys.executable, "-m", "rally.daemon", "--announce"],
        env=daemon_env(env),
        log_path=_prepare_log(env),
    )
    try:
        waiting = select.poll()
        waiting.register(output, select.POLLIN)
        return bool(waiting.poll(START_S * 1_000)) and os.read(output, 64) != b""
    finally:
        os.close(output)


def daemon_env(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a daemon that is started from `env`; its runtime folder is spelled out."""
    kept = {name: value for name, value in env.items() if name in _KEPT_VARIABLES}
    return {**kept, "RALLY_RUNTIME_DIR": runtime_dir(env)}


def _prepare_log(env: Mapping[str, str]) -> str | None:
    """The log's path, the old one set aside where it has grown; None where none can be written."""
    path = Path(log_path(env))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open("ab") as log:
            if log.tell() > LOG_BYTES_MAX:
                path.replace(f"{path}.1")
    except OSError:
        return None
    return str(path)

"""The daemon: whether it can be, whether it is, whether it answers. None is ever started here."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Mapping
from typing import Any

from rally import __version__
from rally.cli.doctor.finding import Finding, Patient
from rally.client.connection import Connection
from rally.client.launch import lock_holder, log_path
from rally.model.durations import span
from rally.model.errors import Failure, RallyError
from rally.model.shell import word
from rally.wire.door import knock
from rally.wire.locations import (
    LOCK_NAME,
    SOCKET_NAME,
    NotAbsoluteError,
    check_private_dir,
    runtime_dir,
    state_home,
)

_RUNTIME = "RALLY_RUNTIME_DIR"
_STATELESS = "no log is kept, and `rally status` lists no rooms"
_RESTART = "rally daemon restart"
# Where there can be none, there is none to be asked.
_NO_PLACE = frozenset({"relative-runtime-dir", "foreign-runtime-dir"})


async def examine(patient: Patient) -> list[Finding]:
    """Findings about the daemon, its folder, its log."""
    env = patient.env
    patient.measured["daemon"] = {"running": False}
    found = [*_places(patient), *_state(env), *_others(env)]
    if any(one.code in _NO_PLACE for one in found):
        return found
    if env.get("RALLY_DAEMON") == "off":
        message = "RALLY_DAEMON=off: every command opens the ledger by itself, a little slower"
        return [*found, Finding("daemon-off", "info", "daemon", message, "unset RALLY_DAEMON")]
    return found + await _answers(patient)


def _places(patient: Patient) -> list[Finding]:
    """The folder of the socket."""
    try:
        folder = runtime_dir(patient.env)
    except NotAbsoluteError:
        message = f"{_RUNTIME} is {patient.env[_RUNTIME]!a}; it must be an absolute path"
        return [Finding("relative-runtime-dir", "problem", "daemon", message, f"unset {_RUNTIME}")]
    patient.measured["daemon"]["socket"] = f"{folder}/{SOCKET_NAME}"
    try:
        check_private_dir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        message = f"{folder} {error.strerror}; no daemon is used there, and none is started"
        fix = None
        if os.path.isdir(folder) and os.stat(folder).st_uid == os.geteuid():
            fix = f"chmod 700 {word(folder)}"
        return [Finding("foreign-runtime-dir", "warn", "daemon", message, fix)]
    if not os.access(folder, os.W_OK):
        message = f"{folder} cannot be written: no daemon can start there"
        fix = f"chmod u+w {word(folder)}"
        return [Finding("runtime-dir-read-only", "warn", "daemon", message, fix)]
    return []


async def _answers(patient: Patient) -> list[Finding]:
    """The daemon itself, where one listens."""
    env = patient.env
    try:
        connection = await Connection.open(env=env, cwd=patient.cwd or "/", start=False)
    except Failure as failure:
        if failure.details.get("silent"):
            pid = failure.details["pid"]
            fix = "rally daemon start" if pid is None else f"kill -9 {pid} && rally daemon start"
            message = failure.message if pid is None else f"{failure.message} (pid {pid})"
            return [Finding("daemon-silent", "problem", "daemon", message, fix)]
        return _absent(env)
    try:
        status = dict(await connection.call("ping"))
    except RallyError as error:
        return [Finding("daemon-lost", "warn", "daemon", error.message, _RESTART)]
    finally:
        await connection.close()
    patient.measured["daemon"] |= {"running": True, **status}
    return _running(env, status)


def _running(env: Mapping[str, str], status: Mapping[str, Any]) -> list[Finding]:
    clients = max(0, int(status["clients"]) - 1)  # the doctor is one
    text = (
        f"version {status['version']}, pid {status['pid']}, up {span(int(status['uptime_s']) * 1_000)}, "
        f"rooms {len(status['rooms'])}, clients {clients}"
    )  # fmt: skip
    if status["version"] == __version__:
        return [Finding("daemon", "ok", "daemon", text)]
    message = f"{text}; this is {__version__}"
    if status.get("systemd"):
        fix = "systemctl --user restart rallyd.service"
        return [Finding("daemon-other-version", "warn", "daemon", message, fix)]
    return [
        Finding("daemon-other-version", "warn", "daemon", message, _RESTART, lambda: _restart(env))
    ]


def _restart(env: Mapping[str, str]) -> None:
    from rally.cli.commands.daemon import leave_and_start

    leave_and_start(env)


def _absent(env: Mapping[str, str]) -> list[Finding]:
    folder = runtime_dir(env)
    pid = lock_holder(env)
    if pid is not None:
        message = f"process {pid} is the daemon, and its socket is gone or not its own any more"
        fix = f"kill {pid} && rally daemon start"
        return [Finding("daemon-lost-socket", "warn", "daemon", message, fix)]
    found = _leftover(folder, env)
    message = "none runs; the next command starts one"
    return [*found, Finding("daemon-not-running", "info", "daemon", message)]


def _leftover(folder: str, env: Mapping[str, str]) -> list[Finding]:
    """A socket file behind which nobody listens."""
    path = f"{folder}/{SOCKET_NAME}"
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return []
    what = "was left by a daemon that is gone" if is_socket else "is no socket, and in its place"
    mend = (lambda: _remove(folder, env)) if is_socket else None
    code = "leftover-socket" if is_socket else "not-a-socket"
    return [Finding(code, "warn", "daemon", f"{path} {what}", f"rm {word(path)}", mend)]


def _remove(folder: str, env: Mapping[str, str]) -> None:
    """Remove a dead daemon's socket, under the lock that a daemon holds before it has one."""
    lock = os.open(
        f"{folder}/{LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: one is starting
        sock = knock({**env, _RUNTIME: folder})
        if sock is not None:
            sock.close()
            raise OSError(0, "a daemon listens there by now", folder)
        os.unlink(f"{folder}/{SOCKET_NAME}")
    finally:
        os.close(lock)


def _others(env: Mapping[str, str]) -> list[Finding]:
    """Daemons, or what is left of them, where another environment would look for them."""
    try:
        chosen = runtime_dir(env)
    except NotAbsoluteError:
        chosen = ""
    usual = {name: value for name, value in env.items() if name != _RUNTIME}
    bare = {name: value for name, value in usual.items() if name != "XDG_RUNTIME_DIR"}
    found: list[Finding] = []
    for folder in sorted({runtime_dir(usual), runtime_dir(bare)} - {chosen}):
        other = {**env, _RUNTIME: folder}
        sock = knock(other)
        if sock is None:
            found += _leftover(folder, other) if lock_holder(other) is None else []
            continue
        sock.close()
        message = (
            f"another daemon of yours listens in {folder}; commands with another environment use it"
        )
        fix = f"{_RUNTIME}={word(folder)} rally daemon stop"
        found.append(Finding("other-daemon", "info", "daemon", message, fix))
    return found


def _state(env: Mapping[str, str]) -> list[Finding]:
    """The folder of the log and of the list of rooms."""
    try:
        folder, log = state_home(env), log_path(env)
    except OSError as error:
        return [Finding("no-state", "warn", "state", str(error))]
    try:
        is_folder = stat.S_ISDIR(os.stat(folder).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return []  # it is made when it is needed
    except OSError as error:
        message = f"{folder} cannot be reached ({error.strerror}): {_STATELESS}"
        fix = f"chmod u+rwx {word(os.path.dirname(folder))}"
        return [Finding("no-state", "warn", "state", message, fix)]
    if not is_folder or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        message = f"{folder} cannot be used: {_STATELESS}"
        way_out = f"chmod u+rwx {word(folder)}" if is_folder else None
        return [Finding("no-state", "warn", "state", message, way_out)]
    if os.path.lexists(log) and not os.access(log, os.W_OK):
        fix = f"chmod u+w {word(log)}"
        return [Finding("no-log", "warn", "state", f"{log} cannot be written", fix)]
    return []

"""Where the daemon of this user is met, and where it writes its log (contract R4, T1).

The relay and the daemon are different processes that must come to the same places from their
environment alone, so nothing here looks at what happens to exist. The relay imports this module
before its first byte, hence plain `os` and no pathlib.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET_NAME = "rallyd.sock"
# Held by the daemon for as long as it is one; its pid is written in it.
LOCK_NAME = "rallyd.lock"
PRIVATE_MODE = 0o700
# sun_path holds 108 bytes on Linux and 104 on the BSDs and macOS, the closing NUL included.
SOCKET_PATH_BYTES_MAX = 107 if sys.platform == "linux" else 103


class NotPrivateError(PermissionError):
    """The folder is not this user's alone: whoever owns it could answer in rally's place."""


class NotAbsoluteError(OSError):
    """`RALLY_RUNTIME_DIR` is relative: each folder would have a daemon of its own."""


def runtime_dir(env: Mapping[str, str]) -> str:
    """The folder of the daemon's socket, absolute. It may not exist.

    `RALLY_RUNTIME_DIR`, else `rally` in `XDG_RUNTIME_DIR`, else `rally-<uid>` in the temp folder.
    An XDG variable that is not absolute counts as not set (XDG base directory specification).

    Raises:
        NotAbsoluteError: `RALLY_RUNTIME_DIR` is not absolute.
    """
    chosen = env.get("RALLY_RUNTIME_DIR")
    if chosen:
        if not chosen.startswith("/"):
            raise NotAbsoluteError(errno.EINVAL, "RALLY_RUNTIME_DIR is not absolute", chosen)
        return os.path.normpath(chosen)
    session = env.get("XDG_RUNTIME_DIR", "")
    if session.startswith("/"):
        return f"{session.rstrip('/')}/rally"
    temp = env.get("TMPDIR", "")
    if not temp.startswith("/"):
        temp = "/tmp"  # noqa: S108  (the folder inside is checked by check_private_dir)
    return f"{temp.rstrip('/')}/rally-{os.geteuid()}"


def socket_path(env: Mapping[str, str]) -> str:
    """The daemon's socket, absolute; maybe too long for one (see `SocketAddress`)."""
    return f"{runtime_dir(env)}/{SOCKET_NAME}"


def state_home(env: Mapping[str, str]) -> str:
    """The folder of the daemon's log, absolute: `rally` in `XDG_STATE_HOME` or `~/.local/state`."""
    state = env.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):
        state = f"{_home(env)}/.local/state"
    return f"{state.rstrip('/')}/rally"


def _home(env: Mapping[str, str]) -> str:
    home = env.get("HOME", "")
    if home.startswith("/"):
        return home
    import pwd  # only an environment without HOME needs it

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        # A container that runs under a uid without a name: the one place that is surely its own.
        return runtime_dir(env)


def ensure_private_dir(path: str) -> None:
    """Make the folder, 0700, if there is none, and see to it that it is this user's alone.

    Raises:
        NotPrivateError: it belongs to another user, or others may enter it. It is left as it is.
        OSError: it cannot be made.
    """
    if not os.path.lexists(path):
        # Whoever comes first in a race makes it; the check below is for all.
        os.makedirs(path, mode=PRIVATE_MODE, exist_ok=True)
    check_private_dir(path)


def check_private_dir(path: str) -> None:
    """Refuse a folder that is not this user's alone.

    The temp directory is open to all: another user may have put a folder, or a link to one, at the
    name that rally uses, and would then answer in the daemon's place.

    Raises:
        NotPrivateError: the text says what is wrong with it.
        FileNotFoundError: there is no such folder.
        NotADirectoryError: it is something else.
    """
    own = os.geteuid()
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode) and found.st_uid == own:
        found = os.stat(path)
    if found.st_uid != own:
        raise NotPrivateError(errno.EPERM, f"belongs to uid {found.st_uid}, not to {own}", path)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder", path)
    if stat.S_IMODE(found.st_mode) & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise NotPrivateError(errno.EPERM, f"is open to others (mode {mode:04o}, not 0700)", path)


class SocketAddress:
    """An address to bind or connect to, whatever the length of the socket's path.

    `with SocketAddress(path) as address: sock.connect(address)`. A path that is too long for the
    kernel is reached, on Linux, through an open descriptor of its folder; the address is good
    inside the block only. A short path is handed through.

    Raises (on entering):
        OSError: the folder of a long path cannot be opened; or, away from Linux, the path is long.
    """

    __slots__ = ("_folder", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._folder = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= SOCKET_PATH_BYTES_MAX:
            return self._path
        if sys.platform != "linux":
            raise OSError(errno.ENAMETOOLONG, "too long for a socket", self._path)
        folder, name = os.path.split(self._path)
        self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder}/{name}"

    def __exit__(self, *_: object) -> None:
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

"""Facilitation cannot execute (law 1, contract T2): this process refuses to start another one.

An interpreter audit hook cannot be removed again, and sees every door that Python's own library has
to a new process. Two doors need more: `_posixsubprocess.fork_exec`, under `subprocess`, raises no
event of its own and is replaced; and `ctypes`, through which libc could be called, is kept from
loading a library and from finding a function in one (what listens to the file system was found before:
`facilitation.inotify`). It is a guard against code that forgets the rule, and not a sandbox for hostile
extension modules: for those the unit file takes the right to execute anything away from the process.
"""

from __future__ import annotations

import _posixsubprocess
import sys
from typing import Any, NoReturn

_STARTING = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.system",
        "pty.spawn",
        "subprocess.Popen",
    }
)
_LOADING = frozenset({"ctypes.dlopen", "ctypes.dlsym"})
_DENIED = _STARTING | _LOADING
# A fresh copy of this module would bring the original function back.
_NO_SECOND_LOAD = "_posixsubprocess"


def install_guard() -> None:
    """Deny process creation in this process from now on, for ever.

    Afterwards every attempt raises PermissionError and nothing was started.
    """

    _posixsubprocess.fork_exec = _refuse_fork
    loaded = sys.modules.get("subprocess")
    if loaded is not None:
        # It keeps a name of its own for the function.
        vars(loaded)["_fork_exec"] = _refuse_fork
    sys.addaudithook(_audit)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    # Called for every audited event of the process: one look-up in the common case.
    if event in _DENIED:
        _deny(event)
    if event == "import" and args and args[0] == _NO_SECOND_LOAD:
        _deny("import of _posixsubprocess")


def _refuse_fork(*_: object) -> NoReturn:
    _deny("fork_exec")


def _deny(what: str) -> NoReturn:
    raise PermissionError(f"the rally daemon starts no processes ({what} denied)")

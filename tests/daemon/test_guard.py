"""The daemon cannot start a process (contract T2)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rallyd import Daemon

# One process tries them all: the guard cannot be taken away again.
ATTEMPTS = """
import asyncio, importlib, json, os, sys
{before}
from rally.daemon.guard import install_guard
install_guard()

TOUCH = ["/bin/sh", "-c", "touch " + sys.argv[1]]

def again():
    del sys.modules["_posixsubprocess"]
    import _posixsubprocess
    return _posixsubprocess

def call_libc():
    import ctypes
    return ctypes.CDLL(None).system(TOUCH[2].encode())

def in_asyncio():
    asyncio.run(asyncio.create_subprocess_exec(*TOUCH))

def many(method):
    import multiprocessing
    process = multiprocessing.get_context(method).Process(target=print)
    process.start()
    process.join()

import pty, subprocess, _posixsubprocess
WAYS = {{
    "subprocess.run": lambda: subprocess.run(TOUCH),
    "subprocess.Popen.vfork": lambda: subprocess.Popen(TOUCH, close_fds=False),
    "subprocess._fork_exec": lambda: subprocess._fork_exec(TOUCH),
    "os.system": lambda: os.system(TOUCH[2]),
    "os.popen": lambda: os.popen(TOUCH[2]),
    "os.fork": os.fork,
    "os.forkpty": os.forkpty,
    "pty.fork": pty.fork,
    "pty.spawn": lambda: pty.spawn(TOUCH),
    "os.execv": lambda: os.execv(TOUCH[0], TOUCH),
    "os.execvpe": lambda: os.execvpe(TOUCH[0], TOUCH, {{}}),
    "os.posix_spawn": lambda: os.posix_spawn(TOUCH[0], TOUCH, os.environ),
    "os.posix_spawnp": lambda: os.posix_spawnp(TOUCH[0], TOUCH, os.environ),
    "os.spawnv": lambda: os.spawnv(os.P_WAIT, TOUCH[0], TOUCH),
    "os.spawnlp": lambda: os.spawnlp(os.P_NOWAIT, *TOUCH[:1], *TOUCH),
    "multiprocessing fork": lambda: many("fork"),
    "multiprocessing spawn": lambda: many("spawn"),
    "asyncio": in_asyncio,
    "_posixsubprocess": lambda: _posixsubprocess.fork_exec(TOUCH),
    "_posixsubprocess reloaded": lambda: importlib.reload(_posixsubprocess).fork_exec(TOUCH),
    "_posixsubprocess again": again,
    "ctypes": call_libc,
}}
outcomes = {{}}
for name, attempt in WAYS.items():
    try:
        attempt()
        outcomes[name] = "started"
    except PermissionError as error:
        outcomes[name] = "denied" if "starts no processes" in str(error) else repr(error)
    except BaseException as error:
        outcomes[name] = repr(error)
print(json.dumps(outcomes))
"""


@pytest.mark.parametrize(
    "before", ["", "import subprocess", "import ctypes", "import rally.facilitation.inotify"]
)
def test_every_way_to_start_a_process_is_denied(tmp_path: Path, before: str) -> None:
    """Also through names that were bound before the guard was there; and nothing was started."""
    ran = subprocess.run(
        [sys.executable, "-c", ATTEMPTS.format(before=before), str(tmp_path / "touched")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    outcomes = json.loads(ran.stdout)
    assert outcomes == dict.fromkeys(outcomes, "denied")
    assert len(outcomes) == 22
    assert not (tmp_path / "touched").exists()


def test_the_running_daemon_is_under_the_guard(daemon: Daemon) -> None:
    """A handler that tries is refused, and the daemon goes on."""
    with daemon.connect() as peer:
        outcomes = peer.call("start-process")["data"]
        assert sorted(outcomes) == ["execv", "fork", "subprocess", "system"]
        assert all("starts no processes" in outcome for outcome in outcomes.values()), outcomes
        assert peer.call("ping")["ok"]

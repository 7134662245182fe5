"""`make demo`: it plays to its end, in time, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "demo" / "run.py"
TIME_S = 30.0
# What the demo and its agents call; no tmux among them, and nothing that could install one.
PROGRAMS = ("cat", "dirname", "env", "git", "grep", "rm", "sed", "sh", "tail")


def left_in(folder: str) -> list[str]:
    """Command lines of processes that have to do with a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            place = os.readlink(process / "cwd")
        except OSError:  # it has just ended
            continue
        if folder in words or folder in place:
            found.append(words)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("has_tmux", [True, False])
def test_the_demo_plays(tmp_path: Path, has_tmux: bool) -> None:
    """A managed agent acknowledges a handoff; without tmux it is said that this was left out."""
    # A socket's path must be short, and pytest's folders are not.
    scratch = tempfile.mkdtemp(prefix="rd-")
    env = {**os.environ, "TMPDIR": scratch, "HOME": scratch}
    if not has_tmux:
        for name in PROGRAMS:
            (tmp_path / name).symlink_to(str(shutil.which(name)))
        env["PATH"] = str(tmp_path)
    try:
        done = subprocess.run(
            [sys.executable, str(DEMO)], env=env, capture_output=True, text=True, timeout=TIME_S,
            check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert ("eve answered: acked" in done.stdout) is has_tmux
        assert ("the managed agent is left out" in done.stdout) is not has_tmux
        assert "4 landed" in done.stdout
        assert list(Path(scratch).iterdir()) == []
        assert left_in(scratch) == []
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

"""The command as a process of its own, without a daemon, in an environment of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli_terminal import Result

COMMAND = Path(__file__).resolve().parents[2] / "bin" / "rally"
PATIENCE_S = 60.0


def own_env(folder: Path, **more: str) -> dict[str, str]:
    """An environment in which no daemon runs and nothing of the user is touched."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "RALLY_RUNTIME_DIR": str(folder / "run"),
        "RALLY_DAEMON": "off",
        # No git setting of the machine may decide a test.
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **more,
    }


class Shell:
    """A folder and an environment in which commands run."""

    def __init__(self, cwd: Path, env: Mapping[str, str]) -> None:
        self.cwd = cwd
        self.env = dict(env)

    def rally(
        self, *argv: str, stdin: bytes | None = None, cwd: Path | None = None, **env: str
    ) -> Result:
        """One command of rally, to its end."""
        done = subprocess.run(
            [sys.executable, str(COMMAND), *argv], cwd=cwd or self.cwd, env={**self.env, **env},
            input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *argv: str, stdout: Any) -> subprocess.CompletedProcess[bytes]:
        """One command of rally whose standard output is the test's own file."""
        return subprocess.run(
            [sys.executable, str(COMMAND), *argv], cwd=self.cwd, env=self.env, stdout=stdout,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False,
        )  # fmt: skip

    def git(self, *argv: str, cwd: Path | None = None, **env: str) -> str:
        """One git command that must succeed."""
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", *who, *argv], cwd=cwd or self.cwd, env={**self.env, **env}, check=True,
            capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        return done.stdout

    def write(self, name: str, text: str = "x\n", *, stage: bool = True) -> None:
        """A file in the working tree, staged."""
        path = self.cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if stage:
            self.git("add", "--", name)

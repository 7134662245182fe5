"""A repository, a user, and agents' programs in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RALLY = HERE.parents[1] / "bin" / "rally"
PATIENCE_S = 60.0
TRUSTING = {"codex": ["--dangerously-bypass-hook-trust"], "gemini": ["--skip-trust"]}

AGENTS = ("claude", "codex", "cursor", "gemini", "opencode")
# Where each host's own configuration is, below the working tree or the home.
FILES = {
    "claude": ".claude/settings.json",
    "codex": ".codex/hooks.json",
    "cursor": ".cursor/hooks.json",
    "gemini": ".gemini/settings.json",
}


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything below a folder: names, modes, contents, where links lead."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        data = b""
        if path.is_symlink():
            data = os.fsencode(os.readlink(path))
        elif path.is_file():
            data = path.read_bytes()
        found[str(path.relative_to(folder))] = (mode, data)
    return found


def put(path: Path, data: bytes) -> Path:
    """A file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


class Desk:
    """A new user's home and repository; `rally` is in PATH.

    Attributes:
        root: the repository's working tree.
    """

    def __init__(self, folder: Path, **env: str) -> None:
        self.root = folder / "repo"
        self.home = folder / "home"
        bin_folder = folder / "bin"
        for made in (self.root, self.home, bin_folder):
            made.mkdir()
        launcher = bin_folder / "rally"
        launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{RALLY}" "$@"\n')
        launcher.chmod(0o755)
        self.env = {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(folder / "state"),
            "RALLY_RUNTIME_DIR": str(folder / "run"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **env,
        }
        self.run_git("init", "-q", "-b", "main")

    def run_git(self, *argv: str) -> None:
        """One git command that must succeed."""
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *who, *argv], cwd=self.root, env=self.env, check=True)

    def rally(
        self, *argv: str, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """One command of rally, to its end."""
        return subprocess.run(
            [sys.executable, str(RALLY), *argv], cwd=cwd or self.root, env={**self.env, **env},
            capture_output=True, text=True, timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def data(self, *argv: str, **env: str) -> Any:
        """The data of a command that must succeed."""
        done = self.rally(*argv, "--json", **env)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return json.loads(done.stdout)["data"][argv[0]]

    def error(self, *argv: str, exits: int, **env: str) -> dict[str, Any]:
        """The error of a command that must fail."""
        done = self.rally(*argv, "--json", **env)
        assert done.returncode == exits, (argv, done.stdout, done.stderr)
        error: dict[str, Any] = json.loads(done.stdout)["error"]
        return error

    def stop(self) -> None:
        """No daemon is left behind."""
        done = self.rally("daemon", "stop")
        assert done.returncode == 0, done.stderr


class Agent:
    """A stub of an agent's program, in a session that goes on until it is closed."""

    def __init__(self, desk: Desk, host: str, session: str, *options: str) -> None:
        self.root = desk.root
        node = shutil.which("node")
        if host == "opencode":
            assert node, "the opencode plugin is tested with node"
            program = [node, str(HERE / "stub_opencode.mjs")]
        else:
            program = [sys.executable, str(HERE / f"stub_{host}.py")]
        self.process = subprocess.Popen(
            [*program, session, *(options or TRUSTING.get(host, []))], cwd=desk.root, env=desk.env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def write(self, path: str, content: str) -> dict[str, Any]:
        """The agent writes a file with its own tool."""
        return self.call({"do": "write", "path": str(self.root / path), "content": content})

    def shell(self, command: str) -> dict[str, Any]:
        """The agent runs a command with its own tool."""
        return self.call({"do": "shell", "command": command})

    def call(self, call: dict[str, str]) -> dict[str, Any]:
        """One tool call, and what became of it."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0

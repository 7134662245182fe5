"""Repositories with real git and rally, all served by one daemon of their own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rally.execution.guard.surface import GIT
from rally.facilitation.places import find_place
from rally.setup.files import applied
from rally.setup.surface import Plan, Target, Wish

# Nothing here takes long; what never ends is a failure and not a hang.
PATIENCE_S = 40.0
NO_ID = "0" * 40


def own_env(folder: Path) -> dict[str, str]:
    """An environment in which nothing of the user is touched, and no setting of the machine counts."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "RALLY_RUNTIME_DIR": str(folder / "run"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
    }


class Done:
    """What one command came to."""

    def __init__(self, ended: subprocess.CompletedProcess[str]) -> None:
        self.code = ended.returncode
        self.out = ended.stdout
        self.err = ended.stderr

    def __repr__(self) -> str:
        return f"<ended {self.code}>\n{self.out}\n{self.err}"

    @property
    def data(self) -> dict[str, Any]:
        """The main result of a JSON answer."""
        answer = json.loads(self.out)
        assert answer["ok"], self
        result = answer["data"][answer["command"]]
        assert isinstance(result, dict)
        return result


class Desk:
    """A folder and an environment in which commands run."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.env = dict(env)

    def at(self, folder: Path) -> Desk:
        """The same environment elsewhere."""
        return Desk(folder, self.env)

    def run(self, *argv: str, stdin: str = "", **env: str) -> Done:
        """One command to its end."""
        ended = subprocess.run(
            argv, cwd=self.folder, env={**self.env, **env}, input=stdin, capture_output=True,
            text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        return Done(ended)

    def git(self, *argv: str, **env: str) -> str:
        """A git command that must succeed; its output."""
        done = self.run("git", *argv, **env)
        assert done.code == 0, (argv, done)
        return done.out

    def rally(self, *argv: str, stdin: str = "", **env: str) -> Done:
        return self.run("rally", *argv, stdin=stdin, **env)

    def ask(self, *argv: str, **env: str) -> dict[str, Any]:
        """The result of a rally command that must succeed."""
        done = self.rally(*argv, "--json", **env)
        assert done.code == 0, (argv, done)
        return done.data

    def claim(self, tool: str, *paths: str) -> str:
        """A claim; its id."""
        words = [word for path in paths for word in ("--path", path)]
        return str(self.ask("say", "claim", "--tool", tool, *words)["fact"]["event_id"])

    def release(self, tool: str, claim_id: str) -> None:
        self.ask("say", "release", "--tool", tool, "--ref", claim_id)

    def write(self, name: str, text: str = "x\n", *, stage: bool = True) -> Path:
        """A file in the working tree, staged."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if stage:
            self.git("add", "--", name)
        return path

    def commit(self, *names: str, message: str = "more") -> None:
        """A commit that no hook sees."""
        for name in names:
            self.write(name, f"{name} {os.urandom(4).hex()}\n")
        self.git("commit", "-q", "--no-verify", "-m", message)

    # --- the surface of `rally hooks`

    def target(self) -> Target:
        place = find_place(str(self.folder))
        is_bare = place.top == place.common_dir
        return Target(
            scope="repo", top=None if is_bare else place.top, common_dir=place.common_dir,
            home=self.env["HOME"], env=self.env,
        )  # fmt: skip

    def install(self, *, fail_closed: bool = False) -> Plan:
        """Put the guard into git's hooks."""
        return carry_out(GIT.install(self.target(), Wish(fail_closed=fail_closed)))

    def uninstall(self) -> Plan:
        return carry_out(GIT.uninstall(self.target()))

    def state(self) -> str:
        return GIT.status(self.target()).state


def carry_out(plan: Plan) -> Plan:
    with applied([one for one in plan.changes if one.before != one.after]):
        return plan


class Watching:
    """A `rally watch --boundaries` beside the test; it follows when this is made."""

    def __init__(self, desk: Desk, *words: str) -> None:
        self.process = subprocess.Popen(
            ["rally", "watch", "--boundaries", "--json", *words],
            cwd=desk.folder, env=desk.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._unread = b""
        self.told: list[dict[str, Any]] = []
        self.event("heartbeat")

    def event(self, name: str) -> dict[str, Any]:
        """The next event of a name; others on the way are passed over."""
        deadline = time.monotonic() + PATIENCE_S
        assert self.process.stdout is not None
        while True:
            while b"\n" not in self._unread:
                left = max(0.0, deadline - time.monotonic())
                ready, _, _ = select.select([self.process.stdout], [], [], left)
                assert ready, f"nothing came; told so far: {self.told}"
                piece = os.read(self.process.stdout.fileno(), 65_536)
                assert piece, f"it ended; told so far: {self.told}"
                self._unread += piece
            line, _, self._unread = self._unread.partition(b"\n")
            event = json.loads(line)
            self.told.append(event)
            if event["event"] == name:
                assert isinstance(event, dict)
                return event

    def stop(self) -> None:
        """End it, well."""
        self.process.send_signal(signal.SIGTERM)
        self.event("stopped")
        assert self.process.wait(PATIENCE_S) == 0

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

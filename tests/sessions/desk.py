"""A repository, a tmux server and a room of a test's own, and somebody who types into it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

from rally.cli.app import OwnRooms, client_root
from rally.cli.call import ArgvCall
from rally.cli.parse import command_of, parse, says_json
from rally.cli.run import carry_out, fail
from rally.client.direct import Direct
from rally.execution.sessions.panes import serves
from rally.model.errors import RallyError

READER = str(Path(__file__).with_name("reader.py"))
COMMAND = Path(__file__).parents[2] / "bin" / "rally"
# Nothing here takes long; a test that waits for ever is a failure and not a hang.
PATIENCE_S = 30.0


class Result:
    """What a command line came to."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def envelope(self) -> dict[str, Any]:
        """The one JSON object on standard output, with nothing beside it (contract O1)."""
        assert self.err == "", self.err
        assert self.out.count("\n") == 1, self.out
        document: dict[str, Any] = json.loads(self.out)
        assert document["product"] == "rally"
        return document

    @property
    def data(self) -> dict[str, Any]:
        """The main result of a command that was done."""
        document = self.envelope
        assert document["ok"] is True, document
        found: dict[str, Any] = document["data"][document["command"]]
        return found

    @property
    def warnings(self) -> list[str]:
        return [one["code"] for one in self.envelope["warnings"]]

    @property
    def error(self) -> dict[str, Any]:
        """The error of a command that was not."""
        document = self.envelope
        assert document["ok"] is False, document
        assert document["schema"] == "rally.error.v1"
        assert document["error"]["exit_code"] == self.code
        found: dict[str, Any] = document["error"]
        return found


class Desk:
    """Somebody who types into a repository.

    Attributes:
        env: the environment of the next command; nothing of the user who runs the tests is in it.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repo"
        self.root.mkdir()
        # A socket's path must be short, and pytest's folders are not.
        self.tmux_folder = tempfile.mkdtemp(prefix="rt-")
        self.socket = f"rally-{token_hex(4)}"
        self.env = {
            "PATH": f"{folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "TERM": "xterm",
            "XDG_STATE_HOME": str(folder / "state"),
            "RALLY_RUNTIME_DIR": str(folder / "run"),
            "RALLY_DAEMON": "off",
            "RALLY_TMUX_SOCKET": self.socket,
            "TMUX_TMPDIR": self.tmux_folder,
        }
        self.bin = folder / "bin"
        self.bin.mkdir()

    # -- rally --------------------------------------------------------------------------------

    async def text(
        self, *argv: str, stdin: bytes | None = None, env: dict[str, str] | None = None
    ) -> Result:
        """Run one command line in this process, as `rally.cli.app` does."""
        out: list[bytes] = []
        err: list[bytes] = []

        async def drain() -> None:
            return None

        call = ArgvCall(
            cwd=str(self.root), env={**self.env, **(env or {})}, width=0, colour=False,
            stdin=stdin, out=out.append, err=err.append, drain=drain,
        )  # fmt: skip
        words = list(argv)
        rooms = OwnRooms()
        try:
            parsed = parse(client_root(), words, columns=0)
        except RallyError as error:
            code = fail(call, error, command=command_of(words), wants_json=says_json(words))
        else:
            code = await carry_out(parsed, call, rooms)
        finally:
            await rooms.close()
        return Result(code, b"".join(out).decode(), b"".join(err).decode())

    async def __call__(self, *argv: str, **more: Any) -> Result:
        """The same with `--json`."""
        return await self.text(*argv, "--json", **more)

    async def run(self, *command: str, agent: str = "demo", flags: tuple[str, ...] = ()) -> Any:
        """Start an agent that must start; the session."""
        result = await self("run", agent, "--command-json", json.dumps(command), *flags)
        assert result.code == 0, result.out
        return result.data

    async def call(self, op: str, **params: Any) -> Any:
        """One operation of the room."""
        client = Direct(env=self.env, cwd=str(self.root))
        try:
            return await client.call(op, **params)
        finally:
            await client.close()

    async def facts(self, *kinds: str) -> list[dict[str, Any]]:
        """All facts of these kinds, in their order; none where there is no room."""
        facts: list[dict[str, Any]] = (await self.call("log", kinds=list(kinds), limit=0))["facts"]
        return facts

    def rally(self, *argv: str, **options: Any) -> subprocess.Popen[str]:
        """The command itself, as a process."""
        return subprocess.Popen(
            [sys.executable, str(COMMAND), *argv], cwd=self.root, env=self.env, text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )  # fmt: skip

    # -- tmux ---------------------------------------------------------------------------------

    def tmux(self, *argv: str, check: bool = True) -> str:
        """tmux, on the test's own server."""
        env = {name: self.env[name] for name in ("PATH", "HOME", "TERM", "TMUX_TMPDIR")}
        done = subprocess.run(
            ["tmux", "-u", "-L", self.socket, *argv], env=env, cwd="/", capture_output=True,
            text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def wait_for(self, channel: str) -> None:
        """Until somebody says `tmux wait-for -S CHANNEL`; at once where it was said before."""
        self.tmux("wait-for", channel)

    def panes(self) -> list[str]:
        """All panes there are; empty without a server."""
        return self.tmux("list-panes", "-a", "-F", "#{pane_id}", check=False).split()

    def pane(self, *command: str) -> str:
        """A pane that rally knows nothing of; its number."""
        return self.tmux(
            "new-session", "-d", "-P", "-F", "#{pane_id}", "-c", str(self.root), "--", *command
        ).strip()

    def die(self, pane: str) -> None:
        """End the program of a session's pane, and see that tmux has noticed."""
        pid = self.tmux("display-message", "-p", "-t", pane, "#{pane_pid}").strip()
        os.kill(int(pid), 9)
        self.wait_for_end(pane)

    def wait_for_end(self, pane: str) -> None:
        """Until tmux knows that a pane's program has ended, and how."""
        status = "#{pane_dead_status}#{pane_dead_signal}"
        while not self.tmux(
            "run-shell", "true", ";", "display-message", "-p", "-t", pane, status
        ).strip():
            pass

    def kill_server(self) -> None:
        """End the tmux server, and see it gone."""
        path = self.tmux("display-message", "-p", "#{socket_path}").strip()
        self.tmux("kill-server")
        while serves(path):
            pass

    # -- files --------------------------------------------------------------------------------

    def program(self, name: str, text: str) -> Path:
        """A program in the PATH of this desk."""
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def git(self, *argv: str, cwd: Path | str | None = None) -> str:
        """git, as a user of this desk."""
        done = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *argv], cwd=cwd or self.root,
            env={"PATH": self.env["PATH"], "HOME": self.env["HOME"]}, capture_output=True,
            text=True, timeout=PATIENCE_S, check=True,
        )  # fmt: skip
        return done.stdout

    def make_repository(self) -> None:
        """One commit with one file."""
        self.git("init", "--quiet", "--initial-branch", "main")
        (self.root / "a.txt").write_text("a\n")
        self.git("add", "a.txt")
        self.git("commit", "--quiet", "--message", "first")


@contextlib.contextmanager
def at_desk(folder: Path) -> Iterator[Desk]:
    """A desk whose tmux server ends with it."""
    desk = Desk(folder)
    try:
        yield desk
    finally:
        desk.tmux("kill-server", check=False)
        shutil.rmtree(desk.tmux_folder, ignore_errors=True)

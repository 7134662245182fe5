"""A room of its own for every test, asked by running the real `rally` command as a process."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from rally.facilitation.rooms import Rooms

Doc = dict[str, Any]

REPOSITORY = Path(__file__).parents[2]
DAEMON, DIRECT = "daemon", "direct"
# Nothing here takes long; a command that never ends is a failure and not a hang.
PATIENCE_S = 30.0
MINUTE_MS = 60_000


class Answer:
    """What one command printed, and how it ended."""

    def __init__(self, argv: tuple[str | bytes, ...], code: int, out: bytes, err: bytes) -> None:
        self.argv = argv
        self.code = code
        self.raw = out
        self.out = out.decode()
        self.err = err.decode()

    def __repr__(self) -> str:
        return f"<{self.argv} ended {self.code}>\n{self.out}\n{self.err}"

    @property
    def envelope(self) -> Doc:
        """The one object of a --json answer; its outer form is checked whoever looks (O1, O2)."""
        assert self.err == "", self
        assert self.out.endswith("\n"), self
        assert self.out.count("\n") == 1, self
        whole = json.loads(self.out)
        assert whole["product"] == "rally"
        command = whole["command"]
        if whole["ok"]:
            assert set(whole) == {"ok", "product", "command", "schema", "data", "warnings"}
            assert whole["schema"] == f"rally.{command}.v1"
            assert list(whole["data"]) == [command]
            for warning in whole["warnings"]:
                assert {"code", "message"} <= set(warning)
        else:
            assert set(whole) == {"ok", "product", "command", "schema", "error"}
            assert whole["schema"] == "rally.error.v1"
            error = whole["error"]
            assert set(error) == {"code", "message", "hint", "exit_code", "details"}
            assert error["exit_code"] == self.code
            assert error["message"]
            assert "Traceback" not in error["message"]
        return whole

    @property
    def data(self) -> Doc:
        """The main result of an answer that is no error."""
        whole = self.envelope
        assert whole["ok"], self
        result = whole["data"][whole["command"]]
        assert isinstance(result, dict)
        return result

    @property
    def error(self) -> Doc:
        """The `error` object of an answer that is one."""
        whole = self.envelope
        assert not whole["ok"], self
        error = whole["error"]
        assert isinstance(error, dict)
        return error

    @property
    def warned(self) -> list[str]:
        """The codes of the warnings."""
        return [one["code"] for one in self.envelope["warnings"]]


class World:
    """A user of the machine: a home, a daemon that starts by itself, the `rally` on the path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        bin_folder = folder / "bin"
        bin_folder.mkdir(parents=True)
        command = bin_folder / "rally"
        command.write_text(
            f"#!{sys.executable}\n" + (REPOSITORY / "bin" / "rally").read_text().split("\n", 1)[1]
        )
        command.chmod(0o755)
        self.command = str(command)
        self.env = {
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "HOME": str(folder / "home"),
            "XDG_STATE_HOME": str(folder / "state"),
            "RALLY_RUNTIME_DIR": str(folder / "run"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(REPOSITORY),
            "RALLY_IDLE_EXIT": "2m",  # a run that is killed leaves no daemon for long
        }
        (folder / "home").mkdir()
        self._rooms = 0

    def room(self, mode: str = DAEMON) -> Room:
        """A new empty folder, and commands that run in it."""
        self._rooms += 1
        root = self.folder / f"r{self._rooms}"
        root.mkdir()
        return Room(self, root, mode)


class Room:
    """One folder, and the commands that run in it, all in one mode unless it is said otherwise."""

    def __init__(self, world: World, root: Path, mode: str) -> None:
        self.world = world
        self.root = root
        self.mode = mode

    @property
    def by_daemon(self) -> Room:
        """The same room asked through the daemon: for what a test takes as given."""
        return Room(self.world, self.root, DAEMON)

    @property
    def directly(self) -> Room:
        """The same room asked without a daemon."""
        return Room(self.world, self.root, DIRECT)

    def environ(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        """The environment of a command."""
        mode = {"RALLY_DAEMON": "off"} if self.mode == DIRECT else {}
        return {**self.world.env, **mode, **(extra or {})}

    def start(
        self,
        *argv: str | bytes,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        **more: Any,
    ) -> subprocess.Popen[bytes]:
        """Begin a command."""
        return subprocess.Popen(
            [sys.executable, self.world.command, *argv],
            cwd=cwd or self.root,
            env=self.environ(env),
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                **more,
            },
        )

    def run(
        self,
        *argv: str | bytes,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> Answer:
        """A command as it was typed, to its end."""
        done = subprocess.run(
            [sys.executable, self.world.command, *argv],
            cwd=cwd or self.root,
            env=self.environ(env),
            capture_output=True,
            check=False,
            timeout=PATIENCE_S,
            **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
        )
        return Answer(argv, done.returncode, done.stdout, done.stderr)

    def sh(self, line: str, env: dict[str, str] | None = None) -> Answer:
        """A line as a person would paste it into a shell."""
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.root,
            env=self.environ(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=PATIENCE_S,
        )
        return Answer((line,), done.returncode, done.stdout, done.stderr)

    def ask(self, *argv: str | bytes, exits: int = 0, **more: Any) -> Answer:
        """A command with --json that ends as it should."""
        answer = self.run(*argv, "--json", **more)
        assert answer.code == exits, answer
        assert answer.envelope
        return answer

    def data(self, *argv: str | bytes, exits: int = 0, **more: Any) -> Doc:
        """The main result of a command."""
        return self.ask(*argv, exits=exits, **more).data

    def refused(self, exits: int, code: str, *argv: str | bytes, **more: Any) -> Doc:
        """The error of a command that must not succeed, and that must leave the ledger alone."""
        before = self.head()
        error = self.ask(*argv, exits=exits, **more).error
        assert error["code"] == code, error
        assert self.head() == before
        return error

    def say(self, kind: str, tool: str, *, exits: int = 0, **fields: Any) -> Doc:
        """The fact that `say` wrote."""
        fact = self.data("say", kind, "--tool", tool, *flags(fields), exits=exits)["fact"]
        assert isinstance(fact, dict)
        return fact

    def no_say(self, exits: int, code: str, kind: str, tool: str, **fields: Any) -> Doc:
        """The error of a `say` that must not succeed."""
        return self.refused(exits, code, "say", kind, "--tool", tool, *flags(fields))

    def check(self, tool: str, *paths: str, exits: int = 0, **fields: Any) -> Doc:
        """The answer of `check before-write`."""
        return self.data(
            "check", "before-write", "--tool", tool, *flags({"path": paths, **fields}), exits=exits
        )

    def head(self) -> int:
        """How many facts there are; 0 where there is no room."""
        path = self.root / ".rally" / "ledger.db"
        if not path.exists():
            return 0
        # Asked before and after every error: a process each time would be a third of all the time.
        with closing(sqlite3.connect(path)) as database:
            return int(database.execute("SELECT count(*) FROM facts").fetchone()[0])

    def facts(self, *argv: str) -> list[Doc]:
        """The ledger."""
        found = self.by_daemon.data("log", "--limit", "0", *argv)["facts"]
        assert isinstance(found, list)
        return found

    def happened(self, minutes_ago: float, op: str, **params: Any) -> Doc:
        """Something that was said earlier: the library writes it under a clock that is set back."""

        class Earlier:
            def now_ms(self) -> int:
                return int(time.time() * 1000 - minutes_ago * MINUTE_MS)

        async def call() -> Doc:
            rooms = Rooms(clock=Earlier())
            try:
                reply = await rooms.call(op, params, cwd=str(self.root), env=self.world.env)
            finally:
                await rooms.close()
            return reply.data

        return asyncio.run(call())

    def git(self, *argv: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
        """The real git, in the room's folder."""
        done = subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *argv],
            cwd=cwd or self.root,
            env=self.environ(env),
            capture_output=True,
            check=True,
            timeout=PATIENCE_S,
        )
        return done.stdout.decode()


def flags(fields: dict[str, Any]) -> list[str]:
    """Field names and values as they are typed; True is a bare switch, a list repeats the flag."""
    words: list[str] = []
    for name, value in fields.items():
        flag = "--" + name.rstrip("_").replace("_", "-")
        if value is True:
            words.append(flag)
        elif isinstance(value, list | tuple):
            for one in value:
                words += [flag, str(one)]
        elif value is not None:
            words += [flag, str(value)]
    return words


def codes(check: Doc) -> list[str]:
    """The codes of a check's findings, sorted."""
    return sorted(one["code"] for one in check["findings"])


def finding(check: Doc, code: str) -> Doc:
    """The one finding of a code."""
    (one,) = [one for one in check["findings"] if one["code"] == code]
    assert isinstance(one, dict)
    return one


def ids(facts: list[Doc]) -> list[str]:
    """The event ids of a list of facts."""
    return [fact["event_id"] for fact in facts]

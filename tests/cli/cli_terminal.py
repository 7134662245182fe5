"""A terminal without a terminal: command lines run in this process, on real rooms in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rally.cli.call import ArgvCall
from rally.cli.verbs import run_argv
from rally.facilitation.rooms import Rooms

EPOCH_MS = 1_700_000_000_000


class TestClock:
    """A clock that moves when it is told to."""

    __test__ = False

    def __init__(self) -> None:
        self.ms = EPOCH_MS

    def now_ms(self) -> int:
        return self.ms

    def advance(self, ms: int) -> None:
        self.ms += ms


class Result:
    """What a command line came to."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.out = out.decode()
        self.err = err.decode()

    @property
    def envelope(self) -> dict[str, Any]:
        """The one JSON object on standard output, with nothing beside it (contract O1)."""
        assert self.err == "", self.err
        assert self.out.endswith("\n"), self.out
        assert self.out.count("\n") == 1, self.out
        document = json.loads(self.out)
        assert document["product"] == "rally"
        return document

    @property
    def data(self) -> dict[str, Any]:
        """The main result of a command that was done."""
        document = self.envelope
        assert document["ok"] is True, document
        command = document["command"]
        assert document["schema"] == f"rally.{command}.v1"
        assert list(document["data"]) == [command]
        return document["data"][command]

    @property
    def error(self) -> dict[str, Any]:
        """The error of a command that was not."""
        document = self.envelope
        assert document["ok"] is False, document
        assert document["schema"] == "rally.error.v1"
        assert document["error"]["exit_code"] == self.code
        assert set(document["error"]) == {"code", "message", "hint", "exit_code", "details"}
        return document["error"]


class Terminal:
    """Somebody who types into a folder.

    Attributes:
        env: the environment of the next command.
        out: what the running command has written so far, piece by piece.
    """

    def __init__(self, folder: Path) -> None:
        self.cwd = folder / "repo"
        self.cwd.mkdir()
        self.env = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
        self.clock = TestClock()
        self.rooms = Rooms(clock=self.clock)
        self.out: list[bytes] = []

    def call(
        self, *, stdin: bytes | None = None, width: int = 0, colour: bool = False,
        env: Mapping[str, str] = {},
    ) -> tuple[ArgvCall, list[bytes]]:  # fmt: skip
        """The surroundings of one command, and where its errors gather."""
        self.out = []
        err: list[bytes] = []

        async def drain() -> None:
            return None

        call = ArgvCall(
            cwd=str(self.cwd), env={**self.env, **env}, width=width, colour=colour, stdin=stdin,
            out=self.out.append, err=err.append, drain=drain,
        )  # fmt: skip
        return call, err

    async def __call__(self, *argv: str, **surroundings: Any) -> Result:
        """Run one command line as the daemon does."""
        call, err = self.call(**surroundings)
        code = await run_argv(list(argv), call, self.rooms)
        return Result(code, b"".join(self.out), b"".join(err))

    async def json(self, *argv: str, **surroundings: Any) -> dict[str, Any]:
        """The main result of a command that must succeed."""
        result = await self(*argv, "--json", **surroundings)
        assert result.code == 0, result.out
        return result.data

    async def say(self, tool: str, kind: str, *flags: str) -> dict[str, Any]:
        """Write a fact that must be accepted, and answer it."""
        said = await self.json("say", kind, "--tool", tool, *flags)
        fact: dict[str, Any] = said["fact"]
        return fact

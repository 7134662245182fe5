"""A repository with a room, in which tasks are carried out by agents that are a few lines of sh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rally.client.direct import Client, open_client
from rally.execution.loop.work import Wish, loop
from rally.facilitation.places import find_place

Doc = dict[str, Any]
TOOL = "ada"


class Bench:
    """One repository, one room, no daemon.

    Attributes:
        root: the room's root; what agents leave for the tests to read is beside it.
        told: what the last loop said of itself on the way.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repo"
        self.aside = folder / "aside"
        self.bin = folder / "bin"
        for made in (self.root, self.aside, self.bin):
            made.mkdir()
        self.env = {
            "PATH": f"{self.bin}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "RALLY_RUNTIME_DIR": str(folder / "run"),
            "RALLY_DAEMON": "off",
            "ASIDE": str(self.aside),
        }
        self.told: list[str] = []
        self.git("init", "-q", ".")
        (self.root / "README").write_text("read me\n")
        self.git("add", ".")
        self.git("commit", "-qm", "first")

    # --- around it

    def git(self, *words: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=cwd or self.root,
            env=self.env, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    def rally(self, *words: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        """A command line, as a process."""
        return subprocess.run(
            ["rally", *words], cwd=self.root, env={**self.env, **env}, capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip

    def left(self, name: str) -> str:
        """What an agent put aside."""
        return (self.aside / name).read_text()

    def program(self, name: str, script: str) -> None:
        """A program on the PATH."""
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    # --- the room

    async def ask(self, op: str, **params: Any) -> Doc:
        client: Client = await open_client(env=self.env, cwd=str(self.root))
        try:
            return dict(await client.call(op, **params))
        finally:
            await client.close()

    async def say(self, kind: str, tool: str = "bob", **fields: Any) -> Doc:
        fact: Doc = (await self.ask("say", kind=kind, tool=tool, **fields))["fact"]
        return fact

    async def facts(self, *kinds: str) -> list[Doc]:
        facts: list[Doc] = (await self.ask("log", kinds=list(kinds), limit=0))["facts"]
        return facts

    async def status(self, task: str = "a") -> str:
        """Where a step of the run stands."""
        graph = await self.ask("dag", run="r")
        return next(str(node["status"]) for node in graph["nodes"] if node["step_id"] == task)

    async def claims(self) -> list[Doc]:
        """What is held now."""
        held: list[Doc] = (await self.ask("room"))["active_claims"]
        return held

    async def add(self, task: str = "a", **fields: Any) -> None:
        """Register a task that owns src/<id>.txt and is done when `hello` stands in there."""
        path = f"src/{task}.txt"
        sound = {
            "intent": f"say hello in {task}", "owns": [path],
            "validation": f"grep -q hello {path}", "output": path,
        }  # fmt: skip
        given = {k: v for k, v in {**sound, **fields}.items() if v is not None}
        await self.ask("task", action="add", tool="lead", run="r", id=task, **given)

    # --- the loop

    def wish(self, *words: str, cwd: Path | None = None, **more: Any) -> Wish:
        folder = str(cwd or self.root)
        return Wish(
            place=find_place(folder), cwd=folder, run="r", words=words,
            **{"tool": TOOL, "timeout_ms": 30_000, **more},
        )  # fmt: skip

    async def loop(self, script: str | None = None, **more: Any) -> Doc:
        """Carry a task out; the main result, with its warnings."""
        words = ("sh", "-c", script) if script is not None else more.pop("words", ())
        env = {**self.env, **more.pop("env", {})}
        data, warnings = await loop(self.wish(*words, **more), env, self.told.append)
        json.dumps(data)
        return {**data, "warnings": warnings}


def message(task: str = "a", *files: str, result: str = "passed") -> str:
    """A shell line that prints a last message."""
    said = {"task": task, "changed_files": list(files), "validation_result": result}
    return f"echo '{json.dumps(said)}'"


def good(task: str = "a") -> str:
    """An agent that does what it was asked, and says so."""
    path = f"src/{task}.txt"
    return f'cat > "$ASIDE/prompt"; mkdir -p src; echo hello > {path}; {message(task, path)}'


def checks(attempt: Doc) -> dict[str, str]:
    """The outcome of each check."""
    return {check["check"]: check["status"] for check in attempt["checks"]}


def why(attempt: Doc, name: str) -> str:
    """What one check rests on."""
    found = next(check for check in attempt["checks"] if check["check"] == name)
    return "\n".join(found["evidence"])

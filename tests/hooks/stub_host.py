"""What the stub programs share: running hooks as processes, and the loop in which a host works.

A stub stands in for an agent's program, none of which can run where the tests do. It reads the
installed configuration from the places and in the form that the real one documents, and runs the hooks
around tool calls. It takes one call a line on standard input and answers one line for each:

    {"do": "write", "path": ABSOLUTE, "content": TEXT}   or   {"do": "shell", "command": TEXT}
    {"done": BOOL, "said": TEXT, "ran": [COMMAND, …]}
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Ran(NamedTuple):
    """One hook that was run: its command and how it ended."""

    command: str
    code: int | None
    out: str
    err: str


class Host:
    """One session of an agent's program; a subclass knows one program's ways."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.folder = os.getcwd()
        self.ran: list[str] = []

    def opens(self) -> None:
        """The session begins."""
        raise NotImplementedError

    def before(self, call: dict[str, str]) -> str | None:
        """Why a call may not be made; None: it may."""
        raise NotImplementedError

    def after(self, call: dict[str, str]) -> None:
        """A call was made."""
        raise NotImplementedError

    def closes(self) -> None:
        """The turn ends, and the session."""
        raise NotImplementedError

    def run(self, command: str, payload: dict[str, Any], timeout_s: float) -> Ran:
        """Run one hook, its payload on standard input. What hangs is killed, and blocks nothing."""
        self.ran.append(command)
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command], input=json.dumps(payload), cwd=self.folder, text=True,
                capture_output=True, timeout=timeout_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Ran(command, None, "", "")
        return Ran(command, done.returncode, done.stdout, done.stderr)

    def work(self) -> None:
        """Make the calls that come in, until there are no more."""
        self.opens()
        for line in sys.stdin:
            call = json.loads(line)
            reason = self.before(call)
            if reason is None:
                perform(call, self.folder)
                self.after(call)
            print(
                json.dumps({"done": reason is None, "said": reason or "", "ran": self.ran}),
                flush=True,
            )
            self.ran = []
        self.closes()


def perform(call: dict[str, str], folder: str) -> None:
    """What the tool itself does."""
    if call["do"] == "write":
        Path(call["path"]).parent.mkdir(parents=True, exist_ok=True)
        Path(call["path"]).write_text(call["content"])
    else:
        subprocess.run(["/bin/sh", "-c", call["command"]], cwd=folder, check=True)


def documents(*paths: str) -> Iterator[dict[str, Any]]:
    """The JSON configurations that are there, as a strict reader takes them."""
    for path in paths:
        if Path(path).is_file():
            yield json.loads(Path(path).read_text(encoding="utf-8-sig") or "{}") or {}


def grouped(document: dict[str, Any], event: str) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """The command handlers of an event, each with the matcher that it stands under."""
    for group in (document.get("hooks") or {}).get(event) or []:
        for handler in group["hooks"]:
            assert handler["type"] == "command"
            yield group.get("matcher"), handler


def denied(ran: Ran) -> str | None:
    """The reason of a hook that says no in the form that claude brought in; None of any other."""
    if ran.code == 2:
        return ran.err.strip()
    if ran.code == 0 and ran.out.strip().startswith("{"):
        said = json.loads(ran.out).get("hookSpecificOutput", {})
        if said.get("permissionDecision") == "deny":
            return str(said.get("permissionDecisionReason", ""))
    return None

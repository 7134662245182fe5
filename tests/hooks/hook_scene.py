"""Two repositories with rooms, another agent in both of them, and hooks as processes of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from rally.model.shell import word

COMMAND = Path(__file__).resolve().parents[2] / "bin" / "rally"
PAYLOADS = Path(__file__).with_name("payloads")
PATIENCE_S = 60.0
SESSION_FIELDS = ("conversation_id", "session_id", "sessionID")
CLOCKED = ("codex", "opencode")

# What an agent reads when another one holds the path.
STOP = (
    "rally stopped this write:\n"
    "- {path} is claimed by {owner}{held} until {until} (in LEFT) ({claim})\n"
    "Leave these paths alone, also by other means. Instead:\n"
    "- go on elsewhere: rally next --tool {tool}\n"
    "- be woken when it is free: rally say standby --tool {tool} --session-id {session}"
    " --until {free}\n"
    "- ask its owner: rally say handoff --tool {tool} --target {owner}"
    " --intent question --subject 'may I have {claim}?'"
)

WOKEN = "be woken when it is free: rally say standby"
# In a room that the agent has not entered nobody wakes it.
STOP_ELSEWHERE = (
    STOP.replace(WOKEN, "wait until it is free: rally wait --room {room}")
    .replace("{free}\n", "{free} --timeout 90s\n")
    .replace("say handoff", "say handoff --room {room}")
)


class Recorded:
    """One recorded payload and the answer that its host must get.

    Attributes:
        name: `host/file`.
        wants: `exit`, then `stdout` and `stderr` byte for byte, or `…_has` what must be in them.
    """

    def __init__(self, path: Path) -> None:
        self.host = path.parent.name
        self.name = f"{self.host}/{path.stem}"
        document = json.loads(path.read_text())
        self.event: str = document["event"]
        self.flags: list[str] = document.get("flags", [])
        self.env: dict[str, str] = document.get("env", {})
        self.payload: dict[str, Any] = document.get("payload", {})
        self.raw: str = document.get("raw", "") if "raw" in document else json.dumps(self.payload)
        self.wants: dict[str, Any] = document["answer"]

    @property
    def session(self) -> str:
        return next((self.payload[name] for name in SESSION_FIELDS if name in self.payload), "")

    @property
    def tool(self) -> str:
        short = self.session[-8:] if self.host in CLOCKED else self.session[:8]
        return f"{self.host}:{short}"


def recorded() -> list[Recorded]:
    """All of them, in the order of their names."""
    return [Recorded(path) for path in sorted(PAYLOADS.glob("*/*.json"))]


class Answer:
    """What a host gets from one process."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.exit = done.returncode
        self.stdout = done.stdout.decode()
        self.stderr = done.stderr.decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"exit {self.exit}\nstdout {self.stdout!r}\nstderr {self.stderr!r}"


class Scene:
    """`room` and `other` are repositories, `tree` a linked worktree of the first, `outside` none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "RALLY_RUNTIME_DIR": str(folder / "run"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        self.room, self.other = self._repository("room"), self._repository("other")
        self.tree, self.outside = folder / "tree", folder / "outside"
        self.outside.mkdir()
        self._git(self.room, "commit", "-q", "--allow-empty", "-m", "first")
        self._git(self.room, "worktree", "add", "-q", str(self.tree), "-b", "side")
        self.say(self.room, "enter")
        self.claims = {
            "held": self.say(self.room, "claim", "--path", "held/", "--subject", "rework"),
            "other": self.say(self.other, "claim", "--path", "lib/"),
        }
        self.say(self.room, "claim", "--path", "shared/", "--mode", "shared")
        subject = "wait\x1b[31m for me"
        self.blocker = self.say(self.room, "blocker", "--path", "blocked/", "--subject", subject)

    def close(self) -> None:
        """End the daemon."""
        self.rally("daemon", "stop", cwd=self.folder)

    def rally(
        self, *words: str, cwd: Path | None = None, stdin: bytes = b"", **env: str
    ) -> subprocess.CompletedProcess[bytes]:
        """One command of rally."""
        return subprocess.run(
            [sys.executable, str(COMMAND), *words], cwd=cwd or self.room, input=stdin,
            env={**self.env, **env}, capture_output=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip

    def say(self, room: Path, kind: str, *words: str, tool: str = "codex:2") -> dict[str, Any]:
        """One fact of an agent; the fact as it was written."""
        verb = [kind] if kind in ("enter", "leave") else ["say", kind]
        done = self.rally(*verb, "--tool", tool, *words, "--json", cwd=room)
        answer = json.loads(done.stdout)
        assert answer["ok"], answer
        fact: dict[str, Any] = answer["data"][verb[0]]["fact"]
        return fact

    def facts(self, tool: str, *kinds: str) -> list[dict[str, Any]]:
        """What an agent wrote in the room, oldest first."""
        words = [word for kind in kinds for word in ("--kind", kind)]
        done = self.rally("log", "--tool", tool, *words, "--limit", "0", "--json")
        facts: list[dict[str, Any]] = json.loads(done.stdout)["data"]["log"]["facts"]
        return facts

    def journal(self) -> list[str]:
        """The lines of the hooks' log."""
        path = self.folder / "state" / "rally" / "hooks.log"
        return path.read_text().splitlines() if path.exists() else []

    def hook(self, *words: str, stdin: str, **env: str) -> Answer:
        """One call of a hook, in the room's folder."""
        return Answer(self.rally("hook", *words, stdin=stdin.encode(), **env))

    def play(self, one: Recorded, **env: str) -> Answer:
        """Send a recorded payload."""
        stdin = self.filled(one.raw)
        return self.hook(one.host, one.event, *one.flags, stdin=stdin, **{**one.env, **env})

    def filled(self, text: str) -> str:
        """A recorded text with the folders of this scene in it."""
        return re.sub(
            r"\{(room|other|tree|outside)\}", lambda found: str(getattr(self, found[1])), text
        )

    def expected(self, text: str, one: Recorded) -> str:
        """A recorded answer with the ids and times of this scene in it."""
        text = re.sub(
            r"\{(json )?stop (\w+) ([^}]+)\}",
            lambda found: self._stop(one, found[2], found[3], as_json=bool(found[1])),
            text,
        )
        text = text.replace("{blocker}", self.blocker["event_id"]).replace("{tool}", one.tool)
        return self.filled(text)

    def _stop(self, one: Recorded, name: str, path: str, *, as_json: bool) -> str:
        claim = self.claims[name]
        # In a message it is visible, in a command it is itself.
        itself = json.loads('"' + path.replace('"', '\\"') + '"')
        text = (STOP_ELSEWHERE if name == "other" else STOP).format(
            room=self.other,
            path=path, free=word(f"free:{itself}"), owner=claim["tool"], claim=claim["event_id"],
            held="" if path == claim["paths"][0] else f" as {claim['paths'][0]}",
            until=claim["lease_expires_at"], tool=one.tool, session=one.session,
        )  # fmt: skip
        return json.dumps(text, ensure_ascii=False) if as_json else text

    def _repository(self, name: str) -> Path:
        root = self.folder / name
        root.mkdir()
        self._git(root, "init", "-q", "-b", "main")
        self.rally("init", cwd=root)
        return root

    def _git(self, root: Path, *words: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *who, *words], cwd=root, env=self.env, check=True)

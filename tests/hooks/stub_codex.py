"""codex, as far as its hooks go (0.154): hooks.json and the tables of config.toml, of the user and the
repository; edits come as raw patches; exit 2 blocks only with something on standard error; hooks that
nobody reviewed are silently skipped."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from stub_host import Host, denied, documents, grouped


class Codex(Host):
    def __init__(self, session: str, *, trusts: bool) -> None:
        super().__init__(session)
        self.trusts = trusts

    def layers(self) -> list[dict[str, Any]]:
        home = os.environ.get("CODEX_HOME") or os.path.expanduser("~/.codex")
        found = []
        for folder in (home, f"{self.folder}/.codex"):
            found += documents(f"{folder}/hooks.json")
            table = Path(folder, "config.toml")
            if table.is_file():
                found.append(tomllib.loads(table.read_text()))
        return found

    def fire(self, event: str, tool: str | None = None, **more: Any) -> list[str]:
        payload = {
            "session_id": self.session, "turn_id": "1", "transcript_path": None, "cwd": self.folder,
            "hook_event_name": event, "model": "m", "permission_mode": "default", **more,
        }  # fmt: skip
        if tool is not None:
            payload["tool_name"] = tool
        reasons = []
        for layer in self.layers() if self.trusts else []:
            for matcher, handler in grouped(layer, event):
                if tool is None or not matcher or re.search(matcher, tool):
                    ran = self.run(handler["command"], payload, handler.get("timeout", 600))
                    reasons.append(denied(ran))
        return [reason for reason in reasons if reason]  # exit 2 and silence is a failed hook

    def call(self, call: dict[str, str]) -> tuple[str, dict[str, str]]:
        if call["do"] == "shell":
            return "Bash", {"command": call["command"]}
        lines = "".join(f"+{line}\n" for line in call["content"].splitlines())
        patch = f"*** Begin Patch\n*** Add File: {call['path']}\n{lines}*** End Patch\n"
        return "apply_patch", {"command": patch}

    def opens(self) -> None:
        self.fire("SessionStart", source="startup")
        self.fire("UserPromptSubmit", prompt="go")

    def before(self, call: dict[str, str]) -> str | None:
        tool, tool_input = self.call(call)
        reasons = self.fire("PreToolUse", tool, tool_input=tool_input, tool_use_id="call_1")
        return reasons[0] if reasons else None

    def after(self, call: dict[str, str]) -> None:
        tool, tool_input = self.call(call)
        self.fire(
            "PostToolUse", tool, tool_input=tool_input, tool_response="", tool_use_id="call_1"
        )

    def closes(self) -> None:
        self.fire("Stop", stop_hook_active=False)


if __name__ == "__main__":
    Codex(sys.argv[1], trusts="--dangerously-bypass-hook-trust" in sys.argv).work()

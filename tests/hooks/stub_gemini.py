"""gemini, as far as its hooks go (0.54): settings.json, time limits in milliseconds, project hooks in
trusted folders only; exit 2 blocks; what a hook prints must be JSON and nothing else."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

from stub_host import Host, documents, grouped


class Gemini(Host):
    def __init__(self, session: str, *, trusts: bool) -> None:
        super().__init__(session)
        self.files = [os.path.expanduser("~/.gemini/settings.json")]
        self.files += [f"{self.folder}/.gemini/settings.json"] if trusts else []

    def fire(self, event: str, tool: str | None = None, **more: Any) -> list[str]:
        payload = {
            "session_id": self.session, "transcript_path": f"/tmp/{self.session}.json",
            "cwd": self.folder, "hook_event_name": event, "timestamp": "2026-11-21T12:00:00Z", **more,
        }  # fmt: skip
        if tool is not None:
            payload["tool_name"] = tool
        reasons = []
        for document in documents(*self.files):
            for matcher, handler in grouped(document, event):
                if tool is not None and matcher and not re.search(matcher, tool):
                    continue
                ran = self.run(handler["command"], payload, handler.get("timeout", 60_000) / 1000)
                said = json.loads(ran.out) if ran.code == 0 else {}
                if ran.code == 2:
                    reasons.append(ran.err.strip())
                elif said.get("decision") in ("deny", "block"):
                    reasons.append(said["reason"])
        return reasons

    def call(self, call: dict[str, str]) -> tuple[str, dict[str, str]]:
        if call["do"] == "write":
            return "write_file", {"file_path": call["path"], "content": call["content"]}
        return "run_shell_command", {"command": call["command"]}

    def opens(self) -> None:
        self.fire("SessionStart", source="startup")
        self.fire("BeforeAgent", prompt="go")

    def before(self, call: dict[str, str]) -> str | None:
        tool, tool_input = self.call(call)
        reasons = self.fire("BeforeTool", tool, tool_input=tool_input)
        return reasons[0] if reasons else None

    def after(self, call: dict[str, str]) -> None:
        tool, tool_input = self.call(call)
        self.fire("AfterTool", tool, tool_input=tool_input, tool_response={})

    def closes(self) -> None:
        self.fire("AfterAgent", prompt="go", prompt_response="done", stop_hook_active=False)
        self.fire("SessionEnd", reason="exit")


if __name__ == "__main__":
    Gemini(sys.argv[1], trusts="--skip-trust" in sys.argv).work()

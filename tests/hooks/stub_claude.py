"""claude, as far as its hooks go (documented for 2.1.295): settings.json of the user, the project and
the project's owner; handlers that match run once each; exit 2 blocks, exit 1 and a time-out do not."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from stub_host import Host, denied, documents, grouped

PLAIN = re.compile(r"[A-Za-z0-9_\-|, ]*")


class Claude(Host):
    def handlers(self, event: str, tool: str | None) -> dict[str, dict[str, Any]]:
        home = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.expanduser("~/.claude")
        files = [f"{home}/settings.json"]
        files += [
            f"{self.folder}/.claude/{name}" for name in ("settings.json", "settings.local.json")
        ]
        found = {}
        for document in documents(*files):
            if document.get("disableAllHooks"):
                return {}
            for matcher, handler in grouped(document, event):
                if tool is None or self.matches(matcher, tool):
                    found[handler["command"]] = handler  # identical handlers run once
        return found

    @staticmethod
    def matches(matcher: str | None, tool: str) -> bool:
        if not matcher or matcher == "*":
            return True
        if PLAIN.fullmatch(matcher):  # an exact list
            return tool in re.split(r"[|,]", matcher.replace(" ", ""))
        return re.search(matcher, tool) is not None

    def fire(self, event: str, tool: str | None = None, **more: Any) -> list[str]:
        payload = {
            "session_id": self.session, "transcript_path": f"/tmp/{self.session}.jsonl",
            "cwd": self.folder, "permission_mode": "default", "hook_event_name": event, **more,
        }  # fmt: skip
        if tool is not None:
            payload["tool_name"] = tool
        ran = [
            self.run(command, payload, handler.get("timeout", 600))
            for command, handler in self.handlers(event, tool).items()
        ]
        return [reason for one in ran if (reason := denied(one)) is not None]

    def call(self, call: dict[str, str]) -> tuple[str, dict[str, str]]:
        if call["do"] == "write":
            return "Write", {"file_path": call["path"], "content": call["content"]}
        return "Bash", {"command": call["command"], "description": "a command"}

    def opens(self) -> None:
        self.fire("SessionStart", source="startup")
        self.fire("UserPromptSubmit", prompt="go")

    def before(self, call: dict[str, str]) -> str | None:
        tool, tool_input = self.call(call)
        reasons = self.fire("PreToolUse", tool, tool_input=tool_input, tool_use_id="toolu_1")
        return reasons[0] if reasons else None

    def after(self, call: dict[str, str]) -> None:
        tool, tool_input = self.call(call)
        self.fire(
            "PostToolUse", tool, tool_input=tool_input, tool_response={}, tool_use_id="toolu_1"
        )

    def closes(self) -> None:
        self.fire("Stop", stop_hook_active=False)
        self.fire("SessionEnd", reason="other")


if __name__ == "__main__":
    Claude(sys.argv[1]).work()

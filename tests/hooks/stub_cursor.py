"""cursor, as far as its hooks go (2026.07.09): hooks.json of version 1, handlers not gathered under
matchers; `permission: deny` or exit 2 blocks; another failure lets through unless `failClosed`."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

from stub_host import Host, Ran, documents


class Cursor(Host):
    def fire(self, event: str, tool: str | None = None, **more: Any) -> list[str]:
        payload = {
            "conversation_id": self.session, "generation_id": "g", "model": "m",
            "hook_event_name": event,
            "cursor_version": "2026.07.09", "workspace_roots": [self.folder], "user_email": None,
            "transcript_path": None, **more,
        }  # fmt: skip
        if tool is not None:
            payload |= {"tool_name": tool, "tool_use_id": "1", "cwd": self.folder}
        reasons = []
        files = (os.path.expanduser("~/.cursor/hooks.json"), f"{self.folder}/.cursor/hooks.json")
        for document in documents(*files):
            assert document["version"] == 1
            for handler in document["hooks"].get(event, []):
                matcher = handler.get("matcher")
                if tool is None or not matcher or re.search(matcher, tool):
                    ran = self.run(handler["command"], payload, handler.get("timeout", 60))
                    reasons.append(self.denied(ran, fails_closed=handler.get("failClosed", False)))
        return [reason for reason in reasons if reason]

    @staticmethod
    def denied(ran: Ran, *, fails_closed: bool) -> str | None:
        if ran.code == 2:
            return ran.err.strip() or "denied"
        if ran.code != 0:
            return "the hook failed" if fails_closed else None
        said = json.loads(ran.out or "{}")
        return (
            str(said.get("agent_message", "denied")) if said.get("permission") == "deny" else None
        )

    def opens(self) -> None:
        self.fire("sessionStart", composer_mode="agent")
        self.fire("beforeSubmitPrompt", prompt="go")

    def before(self, call: dict[str, str]) -> str | None:
        if call["do"] == "write":
            tool_input = {"file_path": call["path"], "content": call["content"]}
            reasons = self.fire("preToolUse", "Write", tool_input=tool_input)
        else:
            reasons = self.fire("preToolUse", "Shell", tool_input={"command": call["command"]})
            reasons += self.fire("beforeShellExecution", command=call["command"], cwd=self.folder)
        return reasons[0] if reasons else None

    def after(self, call: dict[str, str]) -> None:
        if call["do"] == "write":
            self.fire("afterFileEdit", file_path=call["path"], edits=[])

    def closes(self) -> None:
        self.fire("stop", status="completed", loop_count=0)
        self.fire("sessionEnd", reason="completed")


if __name__ == "__main__":
    Cursor(sys.argv[1]).work()

"""The answer of `completion install` and `uninstall`."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import joined
from rally.model.visible import visible


def show_installed(data: dict[str, Any], _: Screen) -> str:
    """What happened to the file, and what is left for a person to do."""
    is_new = data["action"] == "install"
    if data["changed"]:
        did = "wrote" if is_new else "removed"
        if data["dry_run"]:
            did = "would write" if is_new else "would remove"
    else:
        did = "is there already:" if is_new else "nothing of rally's at"
    lines = [f"{did} {visible(data['path'])}"]
    if data["add_lines"]:
        lines += [f"for {data['shell']} to find it, add to {data['add_to']}:"]
        lines += [f"  {visible(line)}" for line in data["add_lines"]]
    elif is_new and not data["dry_run"]:
        lines.append(f"{data['shell']} finds it by itself; a new shell completes rally's words")
    return joined(lines)

"""The answers of `daemon`."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import joined, plural
from rally.model.durations import span
from rally.model.visible import visible


def show_daemon(data: dict[str, Any], screen: Screen) -> str:
    """What was done, and how the daemon stands."""
    action = data["action"]
    if action == "logs":
        lines = data["lines"] or [f"nothing is logged in {data['log']}"]
        return joined(visible(line) for line in lines)
    if action == "stop":
        return joined(["stopped" if data["stopped"] else "no daemon was running"])
    if not data["running"]:
        return joined([f"no daemon runs at {visible(data['socket'])}"])
    running = screen.paint("running", "ok")
    words = [running, f"pid {data['pid']}", f"version {visible(data['version'])}"]
    words += [f"up {span(data['uptime_s'] * 1_000)}", plural(data["clients"], "client")]
    lines = ["  ".join(words)]
    lines.append(f"socket  {visible(data['socket'])}")
    if not data.get("systemd"):
        lines.append(f"log     {visible(data['log'])}")
    lines += [f"room    {visible(room)}" for room in data["rooms"]]
    return joined(lines)

"""The agents that are known by name, and their hooks."""

from __future__ import annotations

from rally.hosts.claude import CLAUDE, CLAUDE_HOOKS
from rally.hosts.codex import CODEX, CODEX_HOOKS
from rally.hosts.cursor import CURSOR, CURSOR_HOOKS
from rally.hosts.gemini import GEMINI, GEMINI_HOOKS
from rally.hosts.hooks import Hooks
from rally.hosts.host import Host
from rally.hosts.opencode import OPENCODE, OPENCODE_HOOKS

HOSTS: dict[str, Host] = {host.name: host for host in (CLAUDE, CODEX, GEMINI, OPENCODE, CURSOR)}
# The variables by which a second agent would take itself for a part of the one around it.
MARKS = tuple(mark for host in HOSTS.values() for mark in host.marks)
HOOKS: dict[str, Hooks] = {
    hooks.host: hooks
    for hooks in (CLAUDE_HOOKS, CODEX_HOOKS, GEMINI_HOOKS, OPENCODE_HOOKS, CURSOR_HOOKS)
}

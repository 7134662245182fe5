"""The agents that are known by name."""

from __future__ import annotations

from rally.hosts.claude import CLAUDE
from rally.hosts.codex import CODEX
from rally.hosts.cursor import CURSOR
from rally.hosts.gemini import GEMINI
from rally.hosts.host import Host
from rally.hosts.opencode import OPENCODE

HOSTS: dict[str, Host] = {host.name: host for host in (CLAUDE, CODEX, GEMINI, OPENCODE, CURSOR)}

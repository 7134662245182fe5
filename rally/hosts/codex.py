"""Codex CLI."""

from __future__ import annotations

from rally.hosts.host import Host

CODEX = Host(name="codex", programs=("codex",), facts_from="0.154")

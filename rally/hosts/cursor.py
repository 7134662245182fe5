"""Cursor's CLI. `agent` is its newer name, and too common a word to be tried first."""

from __future__ import annotations

from rally.hosts.host import Host

CURSOR = Host(name="cursor", programs=("cursor-agent", "agent"), facts_from="2026.07.09")

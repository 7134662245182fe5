"""Gemini CLI."""

from __future__ import annotations

from rally.hosts.host import Host

GEMINI = Host(name="gemini", programs=("gemini",), facts_from="0.54")

"""opencode."""

from __future__ import annotations

from rally.hosts.host import Host

OPENCODE = Host(name="opencode", programs=("opencode",), facts_from="1.18")

"""Claude Code."""

from __future__ import annotations

from rally.hosts.host import Host

CLAUDE = Host(
    name="claude",
    programs=("claude",),
    facts_from="2.1.295",
    marks=("CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_EXPERIMENTAL_AGENT_TEAMS"),
)

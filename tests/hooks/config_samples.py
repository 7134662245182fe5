# ruff: noqa: E501  (a sample is one text, however long)
"""Configurations as people keep them, in every manner of writing that hosts accept."""

from __future__ import annotations

from typing import NamedTuple


class Sample(NamedTuple):
    """One existing configuration.

    Attributes:
        what: what is special about it.
        host: whose it is.
        file: where it is, below the working tree or the home.
        data: its bytes.
    """

    what: str
    host: str
    file: str
    data: bytes


def _of(host: str, file: str, *samples: tuple[str, str | bytes]) -> list[Sample]:
    return [
        Sample(what, host, file, text if isinstance(text, bytes) else text.encode())
        for what, text in samples
    ]


_CLAUDE_FULL = """\
{
  "$schema": "https://json.schemastore.org/claude-code-settings.json",
  "permissions": {
    "allow": ["Bash(npm run lint)", "Bash(npm run test:*)", "Read(~/.zshrc)"],
    "deny": ["Bash(curl:*)", "Read(./.env)", "Read(./secrets/**)"]
  },
  "env": {
    "ANTHROPIC_API_KEY": "sk-ant-not-a-key",
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1"
  },
  "hooks": {
    "PreToolUse": [
      {
        "matcher": "Bash",
        "hooks": [
          {
            "type": "command",
            "command": "jq -r '.tool_input.command' >> ~/.claude/bash.log"
          }
        ]
      }
    ],
    "PostToolUse": [
      {
        "matcher": "Edit|MultiEdit|Write",
        "hooks": [
          {
            "type": "command",
            "command": "npx prettier --write \\"$(jq -r .tool_input.file_path)\\"",
            "timeout": 60
          }
        ]
      }
    ],
    "Notification": [
      {
        "hooks": [{ "type": "command", "command": "notify-send 'Claude' 'waits'" }]
      }
    ]
  },
  "statusLine": {"type": "command", "command": "~/.claude/statusline.sh"},
  "model": "opus"
}
"""

_CLAUDE_TABS = """\
{
\t"includeCoAuthoredBy": false,
\t"hooks": {
\t\t"Stop": [
\t\t\t{ "hooks": [ { "type": "command", "command": "say done" } ] }
\t\t]
\t},
\t"cleanupPeriodDays": 20
}"""

_CLAUDE_COMMENTS = """\
// settings for the whole team; ask before changing
{
    /* no network from tests */
    "sandbox": { "enabled": true, },
    "hooks": {
        // formatting
        "PostToolUse": [
            { "matcher": "Write", "hooks": [ { "type": "command", "command": "make fmt" }, ], }, // slow
        ], // end of formatting
        // nothing else yet
    },
    "outputStyle": "Explanatory", // see http://example.org/styles
}
"""

_CLAUDE_K_AND_R = """\
{
  "hooks": {
    "PreToolUse": [{
      "matcher": "Write|Edit",
      "hooks": [{
        "type": "command",
        "command": "$CLAUDE_PROJECT_DIR/.claude/hooks/guard.sh"
      }]
    }],
    "SessionStart": [{
      "hooks": [{"type": "command", "command": "cat CONTEXT.md"}]
    }]
  }
}
"""

_CLAUDE_ODD = """\
{ "model": "sonnet"
, "hooks":
  { "PreToolUse":
    [ { "matcher": "Bash"
      , "hooks": [ { "type": "command", "command": "true" } ]
      }
    ]
  }
, "permissions": {}
}

"""

CLAUDE = _of(
    "claude", ".claude/settings.json",
    ("hooks of others and much beside them", _CLAUDE_FULL),
    ("tabs, no line break at the end", _CLAUDE_TABS),
    ("comments and trailing commas", _CLAUDE_COMMENTS),
    ("brackets on one line with what they hold", _CLAUDE_K_AND_R),
    ("commas at the beginning of lines", _CLAUDE_ODD),
    ("CRLF", _CLAUDE_FULL.replace("\n", "\r\n")),
    ("a byte order mark and CRLF", b"\xef\xbb\xbf" + _CLAUDE_TABS.replace("\n", "\r\n").encode()),
    ("minified", '{"permissions":{"allow":["Bash(ls)"]},"hooks":{"Stop":[{"hooks":[{"type":"command","command":"x"}]}]},"model":"haiku"}'),
    ("one line with spaces", '{ "model": "opus", "env": { "A": "1" } }\n'),
    ("an empty object", "{}"),
    ("an empty object over two lines", "{\n}\n"),
    ("an object with space in it", "{  }\n"),
    ("an empty file", b""),
    ("nothing but line breaks", "\n\n"),
    ("null", "null\n"),
    ("hooks that are empty", '{\n  "hooks": {},\n  "model": "opus"\n}\n'),
    ("events that are empty", '{\n  "hooks": {\n    "PreToolUse": [],\n    "Stop": [ ]\n  }\n}\n'),
    ("hooks that are null", '{\n  "hooks": null\n}\n'),
    ("eight spaces and no hooks", '{\n        "theme": "dark",\n        "enabledPlugins": {\n                "x@y": true\n        }\n}\n'),
    ("no indentation at all", '{\n"model": "opus",\n"env": {\n"A": "b"\n}\n}\n'),
    ("nothing but a comment in it", "{\n  // later\n}\n"),
    ("a word in other letters", '{\n  "companyAnnouncements": ["Grüße 日本 \\u00e9 😀"],\n  "x": 1.50e+3\n}\n'),
    ("a closing bracket on the last line of a value", '{\n  "model": "opus"}\n'),
)  # fmt: skip

CURSOR = _of(
    "cursor", ".cursor/hooks.json",
    ("hooks of others", '{\n  "version": 1,\n  "hooks": {\n    "beforeShellExecution": [\n      { "command": "./audit.sh" }\n    ],\n    "afterFileEdit": [\n      { "command": "./format.sh", "timeout": 30 }\n    ]\n  }\n}\n'),
    ("no hooks yet", '{"version": 1, "hooks": {}}\n'),
    ("the version last", '{\n\t"hooks": {\n\t\t"stop": [{"command": "./bell.sh"}]\n\t},\n\t"version": 1\n}\n'),
    ("no version", '{\n  "hooks": {\n    "preToolUse": [{"command": "./deny.sh", "matcher": "Shell", "failClosed": true}]\n  }\n}'),
)  # fmt: skip

GEMINI = _of(
    "gemini", ".gemini/settings.json",
    ("settings without hooks", '{\n  "security": {\n    "auth": {\n      "selectedType": "oauth-personal"\n    }\n  },\n  "ui": {\n    "theme": "GitHub"\n  },\n  "mcpServers": {\n    "github": {\n      "command": "npx",\n      "args": ["-y", "server"],\n      "env": { "TOKEN": "$TOKEN" }\n    }\n  }\n}'),
    ("hooks of others", '{\n  "hooks": {\n    "BeforeTool": [\n      {\n        "matcher": "write_file|replace",\n        "sequential": true,\n        "hooks": [\n          { "name": "secrets", "type": "command", "command": "./secrets.sh", "timeout": 5000 }\n        ]\n      }\n    ],\n    "disabled": ["lint"]\n  },\n  "tools": { "enableHooks": true }\n}\n'),
    ("comments", '{\n  // mine\n  "general": { "vimMode": true } // yes\n  /* the end */\n}\n'),
)  # fmt: skip

CODEX_JSON = _of(
    "codex", ".codex/hooks.json",
    ("hooks of others", '{\n  "hooks": {\n    "PreToolUse": [\n      {\n        "matcher": "^Bash$",\n        "hooks": [\n          { "type": "command", "command": "python3 guard.py", "statusMessage": "looking" }\n        ]\n      }\n    ]\n  }\n}\n'),
    ("empty hooks", '{"hooks": {}}'),
)  # fmt: skip

CODEX_TOML = _of(
    "codex", ".codex/config.toml",
    ("settings without hooks", 'model = "gpt-5"\napproval_policy = "on-request"\n\n[projects."/home/me/x"]\ntrust_level = "trusted"\n'),
    ("tables of hooks", '# mine\nmodel = "gpt-5" # newest\n\n[[hooks.PreToolUse]]\nmatcher = "^Bash$"\n\n[[hooks.PreToolUse.hooks]]\ntype = "command"\ncommand = "python3 guard.py"\n\n[mcp_servers.docs]\ncommand = "docs"\n'),
    ("tables of hooks, CRLF, no line break at the end", '[[hooks.Stop]]\r\n[[hooks.Stop.hooks]]\r\ntype = "command"\r\ncommand = "bell"\r\n\r\n[tui]\r\nnotifications = true'),
    ("hooks in brackets, to which no table can be added", '[hooks]\nPreToolUse = [{ matcher = "^Bash$", hooks = [{ type = "command", command = "x" }] }]\n'),
    ("only what codex was told to trust", '[hooks.state."/x/hooks.json:pre_tool_use:0:0"]\ntrusted_hash = "sha256:00"\n'),
)  # fmt: skip

SAMPLES = [*CLAUDE, *CURSOR, *GEMINI, *CODEX_JSON, *CODEX_TOML]
# What a splice comes back to by itself, without the backup: containers that were empty are not told
# from those that rally made.
AMBIGUOUS = frozenset({
    "an empty file", "nothing but line breaks", "null", "an object with space in it", "hooks that are null",
    "an empty object over two lines", "hooks that are empty", "events that are empty", "no version",
    "no hooks yet", "empty hooks",
})  # fmt: skip

"""A room in which everything happened, told by an agent that wishes its readers no good."""

from __future__ import annotations

from cli_terminal import Terminal

# Escapes that recolour and retitle a terminal, a line break, a carriage return, a reversal of the
# reading direction, something invisible, and what a table could take for its own.
EVIL = (
    "\x1b[31mred\x1b]0;title\x07\nerror: forged\r\u202eabc\u200b | [bold]x[/bold] \x9b2J\U000e0041"
)
EVIL_PATH = "src/\u202egpj.\x1b[2Jx\ny"
RUN = "fan-1"


def name_of(argv: object) -> str | None:
    """The name of a case that is a command line; what is none names itself."""
    if not isinstance(argv, tuple):
        return None
    return " ".join(argv)[:40].encode("unicode_escape").decode()


async def set_scene(rally: Terminal) -> None:
    """Fill every list of the room; head ends at a known fact of each kind."""
    await rally.json("enter", "--tool", "claude:1", "--role", "lead dev", "--tier", "frontier")
    await rally.json("enter", "--tool", "codex:api", "--path", "src")
    await rally.json("lead", "take", "--tool", "claude:1")
    await rally.json("mission", "--tool", "claude:1", "--set", EVIL)
    await rally.say("codex:api", "claim", "--path", "src/api/**", "--path", EVIL_PATH,
                    "--resource", "port:5432", "--subject", EVIL, "--ttl", "2h")  # fmt: skip
    await rally.say("claude:1", "claim", "--path", "docs", "--mode", "shared", "--ttl", "1m")
    await rally.say("codex:api", "blocker", "--subject", EVIL, "--severity", "high",
                    "--path", EVIL_PATH, "--summary", EVIL)  # fmt: skip
    await rally.say("claude:1", "handoff", "--target", "codex:api", "--subject", EVIL,
                    "--intent", "review", "--ack-within", "1m", "--summary", EVIL)  # fmt: skip
    await rally.say(
        "claude:1", "decision", "--subject", EVIL, "--path", "src/api", "--reason", EVIL
    )
    await rally.say("codex:api", "risk", "--subject", EVIL, "--evidence", EVIL, "--uri", EVIL)
    await rally.say("codex:api", "note", "--subject", EVIL, "--data", '{"k": "\\u001b[31m\\u202e"}')
    await rally.say("codex:api", "standby", "--reason", EVIL, "--until", f"free:{EVIL_PATH}")
    for task, after in (("one", ()), ("two", ("--depends-on", "one"))):
        await rally.json("task", "add", "--tool", "claude:1", "--run", RUN, "--id", task,
                         "--intent", EVIL, "--owns", f"src/{task}", "--validation", EVIL,
                         *after)  # fmt: skip
    await rally.json("task", "take", "--run", RUN, "--tool", "codex:api")
    await rally.say("claude:1", "artifact", "--subject", EVIL, "--target", "codex:api")
    # The handoff becomes overdue, and claude's claim lapses unless it says something.
    rally.clock.advance(5 * 60_000)


# Every text answer of the verbs that ask.
QUESTIONS = (
    ("room",),
    ("room", "--limit", "0", "--tool", "codex:api"),
    ("enter", "--tool", "gemini:1"),
    ("inbox", "--tool", "codex:api"),
    ("inbox", "--tool", "claude:1", "--sent"),
    ("next", "--tool", "codex:api"),
    ("next", "--tool", "claude:1"),
    ("log",),
    ("show", "5"),
    ("show", "7"),
    ("show", "10"),
    ("show", "11"),
    ("dag", "--run", RUN),
    ("task", "list", "--run", RUN),
    ("wake-due",),
    ("whoami", "--tool", "codex:api"),
    ("status",),
    ("check", "before-write", "--tool", "claude:1", "--path", EVIL_PATH),
    ("check", "before-complete", "--tool", "codex:api"),
    ("check-ci",),
    ("lead",),
    ("mission",),
    ("say", "claim", "--tool", "gemini:1", "--path", "src/api"),
    ("say", "note", "--tool", "gemini:1", "--subject", EVIL),
    ("say", EVIL),
    (EVIL,),
    ("log", "--grep", EVIL),
    ("show", EVIL),
    ("task", "drop", "--run", RUN, "--id", "one", "--tool", "codex:api", "--reason", EVIL),
    ("leave", "--tool", "codex:api"),
)

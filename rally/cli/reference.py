"""docs/cli.md, docs/errors.md and docs/man/, generated from what the program itself goes by.

`python -m rally.cli.reference docs` writes them, `--check docs` compares them: exit 1 and their
names when they are not what would be written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from rally.cli import manual
from rally.cli.app import client_root
from rally.cli.command import VerbGroup
from rally.facilitation.checks.finding import FINDING_CODES
from rally.model.errors import CODES
from rally.model.kinds import FIELD_BY_NAME, KINDS

_WIDTH = 88
_MANUAL = "man"
_NOTE = "<!-- Written by `make docs` from the program; changes here are lost. -->"
_ABOUT_ERRORS = (
    "An error is one line on standard error and a hint beneath it; with `--json` it is the envelope "
    "with `ok` false, and `error.code` is what programs branch on."
)
_EXIT_MEANINGS = {
    0: "done, also with a warning",
    1: "rally or the machine failed",
    2: "usage: a wrong flag or value",
    3: "refused",
    4: "a stop, under --strict",
    130: "interrupted",
}


def cli_markdown() -> str:
    """Every command with its whole help, and the kinds of facts."""
    root = client_root()
    context = _context(root, None, "rally")
    parts = [
        "# Command line",
        _NOTE,
        "Every command takes `--json`, `--room` and `--no-color` before or after its name.",
        _fenced(context),
        "## Kinds of facts",
        "`rally say KIND` writes them, except where another command is named.",
        _table(("kind", "requires", "meaning"), _kind_rows()),
    ]
    for command_context in _commands(root, context):
        parts += [f"## {command_context.command_path}", _fenced(command_context)]
    return "\n\n".join(parts) + "\n"


def errors_markdown() -> str:
    """Exit codes, error codes and the findings of checks."""
    exits = [(str(code), meaning) for code, meaning in _EXIT_MEANINGS.items()]
    codes = [(f"`{code}`", str(exit_code), what) for code, (exit_code, what) in CODES.items()]
    findings = [(f"`{code}`", *_split(what)) for code, what in FINDING_CODES.items()]
    parts = [
        "# Errors and findings",
        _NOTE,
        _ABOUT_ERRORS,
        "## Exit codes",
        _table(("exit", "meaning"), exits),
        "## Error codes",
        _table(("code", "exit", "meaning"), codes),
        "## Findings of checks",
        "A `stop` makes `allow` false; only `--strict` makes that exit 4.",
        _table(("code", "severity", "meaning"), findings),
    ]
    return "\n\n".join(parts) + "\n"


def _context(command: click.Command, parent: click.Context | None, name: str) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, terminal_width=_WIDTH)


def _commands(group: VerbGroup, parent: click.Context) -> Iterator[click.Context]:
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = _context(command, parent, name)
        yield context
        if isinstance(command, VerbGroup):
            yield from _commands(command, context)


def _fenced(context: click.Context) -> str:
    return f"```text\n{context.get_help()}```"


def _kind_rows() -> Iterator[tuple[str, str, str]]:
    for kind in KINDS:
        required = [
            " or ".join(f"`{FIELD_BY_NAME[one].flag}`" for one in names)
            for names in ((n,) if isinstance(n, str) else n for n in kind.requires)
        ]
        command = f" (`{kind.command}`)" if kind.command else ""
        yield f"`{kind.name}`", ", ".join(required) or "–", f"{kind.meaning}{command}"


def _split(what: str) -> tuple[str, str]:
    severity, colon, meaning = what.partition(": ")
    return (severity, meaning) if colon else ("–", what)


def _table(heads: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def main(argv: Sequence[str]) -> int:
    """Write the pages, or with `--check` compare them; the exit code."""
    folder = Path(next((word for word in argv if word != "--check"), "docs"))
    pages = {"cli.md": cli_markdown(), "errors.md": errors_markdown()}
    pages |= {f"{_MANUAL}/{name}": text for name, text in manual.pages(client_root()).items()}
    # The page of a command that is no more.
    stale = [str(page) for page in sorted(folder.glob(f"{_MANUAL}/rally*.1"))
             if f"{_MANUAL}/{page.name}" not in pages]  # fmt: skip
    if "--check" not in argv:
        (folder / _MANUAL).mkdir(exist_ok=True)
        for name in stale:
            Path(name).unlink()
        stale = []
    for name, text in pages.items():
        page = folder / name
        if "--check" not in argv:
            page.write_text(text)
        elif not page.exists() or page.read_text() != text:
            stale.append(str(page))
    if stale:
        sys.stderr.write(f"not as the program says: {', '.join(stale)}; make docs\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

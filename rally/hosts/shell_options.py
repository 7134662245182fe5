"""Options and operands of the command lines that are looked into."""

from __future__ import annotations

from typing import NamedTuple

from rally.hosts.shell_lexer import Token


class Given(NamedTuple):
    """The options at the beginning of some arguments.

    Attributes:
        names: each option as it was typed, without its value; of `-abc` each letter.
        values: by option: its last value.
        end: where the first operand stands.
    """

    names: set[str]
    values: dict[str, Token]
    end: int


class Prefix(NamedTuple):
    """A program that runs another one.

    Attributes:
        takes_value: its options that have a value of their own.
        operands: how many words of its own come before the command.
        unclear: options after which it runs something else, or elsewhere.
    """

    takes_value: frozenset[str] = frozenset()
    operands: int = 0
    unclear: frozenset[str] = frozenset()


PREFIXES: dict[str, Prefix] = {
    "sudo": Prefix(
        frozenset("-u -g -h -p -C -D -r -t -T -U --user --group --chdir".split()),
        unclear=frozenset("-D --chdir -l -e -v -k -K".split()),
    ),
    "doas": Prefix(frozenset(("-u", "-C"))),
    "env": Prefix(
        frozenset("-u -C -S --unset --chdir --split-string".split()),
        unclear=frozenset("-C -S --chdir --split-string".split()),
    ),
    "nohup": Prefix(),
    "setsid": Prefix(),
    "command": Prefix(unclear=frozenset(("-v", "-V"))),
    "builtin": Prefix(),
    "exec": Prefix(frozenset(("-a",))),
    "nice": Prefix(frozenset(("-n", "--adjustment"))),
    "ionice": Prefix(frozenset(("-c", "-n", "-p"))),
    "stdbuf": Prefix(frozenset(("-i", "-o", "-e"))),
    "timeout": Prefix(frozenset(("-k", "-s", "--kill-after", "--signal")), operands=1),
    "xargs": Prefix(
        frozenset("-a -d -E -I -L -n -P -s --max-args --max-procs --delimiter".split())
    ),
}


def options_of(args: list[Token], takes_value: frozenset[str]) -> Given:
    """The options that stand before the first operand.

    Args:
        takes_value: options whose value may be the next word.
    """
    names: set[str] = set()
    values: dict[str, Token] = {}
    at = 0
    while at < len(args):
        text = args[at].text
        if not text.startswith("-") or text == "-":
            break
        at += 1
        if text == "--":
            break
        name, value = _split(text, takes_value)
        names.update([name] if text.startswith("--") else (f"-{letter}" for letter in name[1:]))
        last = name if text.startswith("--") else f"-{name[-1]}"
        if value is not None:
            values[last] = args[at - 1]._replace(text=value)
        elif last in takes_value and at < len(args):
            values[last] = args[at]
            at += 1
    return Given(names, values, at)


def _split(text: str, takes_value: frozenset[str]) -> tuple[str, str | None]:
    """An option's word as its name (or cluster of letters) and the value that is joined to it."""
    if text.startswith("--"):
        name, equals, value = text.partition("=")
        return name, value if equals else None
    for index, letter in enumerate(text[1:], 1):
        if f"-{letter}" in takes_value:
            rest = text[index + 1 :]
            return text[: index + 1], rest or None
    return text, None


def all_options(args: list[Token], takes_value: frozenset[str]) -> tuple[Given, list[Token]]:
    """Options and operands in any order, as GNU programs take them; behind `--` all are operands."""
    names: set[str] = set()
    values: dict[str, Token] = {}
    found: list[Token] = []
    at = 0
    while at < len(args):
        if args[at].text == "--":
            found += args[at + 1 :]
            break
        given = options_of(args[at:], takes_value)
        names |= given.names
        values |= given.values
        if at + given.end > at and args[at + given.end - 1].text == "--":
            found += args[at + given.end :]
            break
        at += given.end
        if at < len(args):
            found.append(args[at])
            at += 1
    return Given(names, values, at), found


def operands(args: list[Token], takes_value: frozenset[str]) -> list[Token]:
    """The words that are no options."""
    return all_options(args, takes_value)[1]

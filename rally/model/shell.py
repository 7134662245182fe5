"""A value as one word of a command line that a POSIX shell reads back unchanged (contract O5).

Most values are quoted as `shlex` does it. One that holds control, bidirectional or hidden characters
must neither reach a terminal as it is nor be changed: it is written as the octal bytes of a `printf`,
which every POSIX shell has. So a command line built here is harmless to look at, stands on one line,
and still means exactly the value.
"""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from rally.model.visible import visible

# In the format of `printf` these mean something, or would end the quotes.
_NOT_LITERAL = frozenset("'\\%")


def word(text: str) -> str:
    """The value as one shell word.

    Args:
        text: anything but NUL, which no argument can hold.
    """
    if visible(text) == text:
        return quote(text)
    body = text.rstrip("\n")
    # A command substitution drops line feeds at its end, so those stand behind it, as they are.
    ending = quote(text[len(body) :]) if len(body) < len(text) else ""
    return f"\"$(printf '{_format(body)}')\"{ending}" if body else ending


def _format(body: str) -> str:
    pieces = [
        _octal(char) if char in _NOT_LITERAL or visible(char) != char else char for char in body
    ]
    if pieces[0] == "-":  # `printf` would look for an option
        pieces[0] = _octal("-")
    return "".join(pieces)


def _octal(char: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogateescape"))


def option(flag: str, value: str) -> str:
    """A flag and its value; joined by `=` where the value could pass for a flag itself."""
    return f"{flag}={word(value)}" if value.startswith("-") else f"{flag} {word(value)}"


def options(flag: str, values: Iterable[str]) -> str:
    """A repeatable flag with each of its values, with a blank before each; empty without any."""
    return "".join(f" {option(flag, value)}" for value in values)


def path(text: str) -> str:
    """A repository-relative path such that nothing takes it for a flag or for standard input."""
    return f"./{text}" if text.startswith("-") else text

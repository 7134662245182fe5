"""rally's hooks in a TOML configuration (codex): tables appended at its end, inside a fence.

TOML is read by the standard library and never written anew. An array of tables can be appended to from
the end of the file, whatever stands before; an array written in brackets cannot.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from rally.model.errors import Failure
from rally.setup.events import EVENTS, is_rally_hook, wish_of
from rally.setup.fence import HASH, find, with_block, without_block
from rally.setup.hook_json import Form, Found
from rally.setup.jsonc import BrokenTextError
from rally.setup.surface import Wish

_PLACE = re.compile(r"\(at (?:line (\d+), column (\d+)|end of document)\)$")


def parsed(text: str) -> dict[str, Any]:
    """The document.

    Raises:
        BrokenTextError: it is no TOML.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        # The place is only in the text of the error, before Python 3.14.
        found = _PLACE.search(str(error))
        what = str(error)[: found.start()].rstrip() if found else str(error)
        if found and found[1]:
            line, column = int(found[1]), int(found[2])
        else:
            lines = text.splitlines() or [""]
            line, column = len(lines), len(lines[-1]) + 1
        raise BrokenTextError(what.lower(), line=line, column=column) from None
    except RecursionError:
        raise BrokenTextError("nested too deep", line=1, column=1) from None


def can_append(text: str, form: Form) -> bool:
    """Whether the document has hooks already, and more can be put behind them.

    Raises:
        BrokenTextError: it is no TOML, or its fence is damaged.
    """
    rest = without_block(text.encode(), HASH).decode()
    hooks = parsed(rest).get("hooks")
    # codex keeps what it was told to trust under `hooks` as well; that alone is no hook.
    if not isinstance(hooks, dict) or not any(isinstance(one, list) for one in hooks.values()):
        return False
    try:
        parsed(with_block(rest.encode(), _body(form, Wish()), HASH).decode())
    except BrokenTextError:
        return False
    return True


def installed(text: str, form: Form, wish: Wish) -> str:
    """The document with the hooks in it.

    Raises:
        BrokenTextError: see `can_append`.
        Failure: `internal`; the result would mean something else than it should.
    """
    new = with_block(text.encode(), _body(form, wish), HASH).decode()
    _prove(text, new)
    return new


def uninstalled(text: str) -> str:
    """The document without the fence and what is in it.

    Raises:
        BrokenTextError: see `can_append`.
        Failure: as `installed`.
    """
    new = without_block(text.encode(), HASH).decode()
    _prove(new, text)
    return new


def strays(text: str) -> list[int]:
    """The lines outside the fence that run `rally hook`: somebody wrote them by hand."""
    span = find(text.encode(), HASH) or (0, 0)
    before, inside, after = (
        part.decode().splitlines()
        for part in (
            text.encode()[: span[0]],
            text.encode()[slice(*span)],
            text.encode()[span[1] :],
        )
    )
    numbered = [*enumerate(before, 1), *enumerate(after, len(before) + len(inside) + 1)]
    return [
        at for at, line in numbered if re.search(r"""^\s*command\s*=.*\brally\s+hook\b""", line)
    ]


def look(text: str, form: Form) -> Found:
    """What is there of rally's hooks.

    Raises:
        BrokenTextError: see `can_append`.
    """
    commands = dict(_commands(parsed(text)))
    if not commands:
        return Found("absent")
    wish = wish_of([one for listed in commands.values() for one in listed])
    missing = [event.name for event in EVENTS[form.host] if event.name not in commands]
    names = tuple(commands)
    if strays(text):
        lines = ", ".join(str(line) for line in strays(text))
        return Found("outdated", names, wish.names(), f"written by hand: line {lines}")
    if missing:
        return Found("partial", names, wish.names(), f"missing: {', '.join(missing)}")
    if installed(text, form, wish) != text:
        return Found("outdated", names, wish.names(), "not as this version installs it")
    return Found("installed", names, wish.names())


def _body(form: Form, wish: Wish) -> str:
    lines = []
    for event in EVENTS[form.host]:
        entry = form.entry(event, wish)
        lines.append(f"[[hooks.{event.name}]]")
        lines += [f"{key} = {_scalar(entry[key])}" for key in entry if key != "hooks"]
        for handler in entry["hooks"]:
            lines.append(f"[[hooks.{event.name}.hooks]]")
            lines += [f"{key} = {_scalar(value)}" for key, value in handler.items()]
    return "".join(f"{line}\n" for line in lines)


def _scalar(value: str | int) -> str:
    """A string or a number; a JSON string without control characters is a TOML string too."""
    return json.dumps(value, ensure_ascii=False)


def _commands(document: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """rally's commands, by event."""
    hooks = document.get("hooks")
    for event, entries in (hooks if isinstance(hooks, dict) else {}).items():
        handlers = [
            handler
            for entry in (entries if isinstance(entries, list) else ())
            if isinstance(entry, dict) and isinstance(entry.get("hooks"), list)
            for handler in entry["hooks"]
            if isinstance(handler, dict)
        ]
        found = [str(one["command"]) for one in handlers if is_rally_hook(one.get("command"))]
        if found:
            yield event, found


def _prove(one: str, other: str) -> None:
    if _rest(parsed(one)) != _rest(parsed(other)):
        raise Failure(
            "internal", "editing the hooks of codex would have changed something else",
            hint="report this with the file; it was not touched",
        )  # fmt: skip


def _rest(document: dict[str, Any]) -> dict[str, Any]:
    """What a document says beside rally's hooks."""
    hooks = document.get("hooks")
    if not isinstance(hooks, dict):
        return document
    left = {}
    for event, entries in hooks.items():
        listed = entries if isinstance(entries, list) else [entries]
        others = [one for one in listed if not dict(_commands({"hooks": {event: [one]}}))]
        if others:
            left[event] = others
    rest = {key: value for key, value in document.items() if key != "hooks"}
    return {**rest, "hooks": left} if left else rest

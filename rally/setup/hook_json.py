"""rally's hooks in a JSON configuration: putting them in, taking them out, finding them.

    grouped (claude, codex, gemini)   hooks.<Event>[] = {matcher?, hooks: [{type, command, timeout}]}
    flat (cursor)                     hooks.<event>[] = {command, matcher?, timeout}, and version: 1

Whatever is done, the rest of the document means afterwards what it meant before: each function
compares the two before it answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rally.model.errors import Failure
from rally.setup.events import EVENTS, TIMEOUT_S, HookEvent, command_of, is_rally_hook, wish_of
from rally.setup.jsonc import BrokenTextError, Child, Node, Number, parse, place_of
from rally.setup.splice import Style, insert, remove, rendered, replace, style_of
from rally.setup.surface import State, Wish

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Form:
    """How one host writes its hooks.

    Attributes:
        host: a key of `EVENTS`.
        is_flat: the handlers of an event are not gathered under matchers.
        timeout: what is written as the hook's time limit, in the host's unit.
        muted_by: a member of the document that turns all hooks off where it is true.
    """

    host: str
    is_flat: bool = False
    timeout: int = TIMEOUT_S
    muted_by: str = ""

    def entry(self, event: HookEvent, wish: Wish) -> dict[str, Any]:
        """What stands in the event's array."""
        command = command_of(self.host, event, wish)
        matcher = {} if event.matcher is None else {"matcher": event.matcher}
        if self.is_flat:
            closed = {"failClosed": True} if event.is_before and wish.fail_closed else {}
            return {"command": command, **matcher, "timeout": self.timeout, **closed}
        handler = {"type": "command", "command": command, "timeout": self.timeout}
        return {**matcher, "hooks": [handler]}


@dataclass(frozen=True, slots=True)
class Found:
    """What is there of rally's."""

    state: State
    events: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Ours:
    """An entry that holds handlers of rally's.

    Attributes:
        event: the member of `hooks` that it is in.
        index: its place in the event's array.
        handlers: the places of rally's in its own array; None where all of it is rally's.
    """

    event: Child
    index: int
    commands: tuple[str, ...]
    handlers: tuple[int, ...] | None = None

    @property
    def entry(self) -> Child:
        return self.event.node.children[self.index]


def installed(text: str, form: Form, wish: Wish) -> str:
    """The document with the hooks in it, each once, in the form of this version.

    Raises:
        BrokenTextError: it is no JSON, or has another shape than the host reads.
        Failure: `internal`; the result would mean something else than it should.
    """
    root = _object(text)
    new = _begun(text, form, wish) if root is None else _merged(text, form, wish)
    _prove(text, new, form)
    return new


def uninstalled(text: str, form: Form, base: str | None, *, was_absent: bool) -> str | None:
    """The document without the hooks; None where nothing is left that anybody else put there.

    Args:
        base: the document before rally came, where that is known; it tells whose an empty container is.
        was_absent: rally is known to have made the file.

    Raises:
        As `installed`.
    """
    root = _object(text)
    if root is None:
        return text
    old = _plain_object(base)
    new = _stripped(text, old)
    if form.is_flat and (was_absent or (base is not None and "version" not in old)):
        new = _without_version(new)
    _prove(new, text, form)
    left = _object(new)
    if was_absent and (left is None or not left.children) and _is_bare(new):
        return None
    return new


def look(text: str, form: Form) -> Found:
    """What is there of rally's hooks.

    Raises:
        BrokenTextError: see `installed`.
    """
    root = _object(text)
    ours = [] if root is None else list(_ours(root))
    if root is None or not ours:
        return Found("absent")
    wish = wish_of([command for one in ours for command in one.commands])
    names = tuple(dict.fromkeys(str(one.event.key) for one in ours))
    wanted = {event.name: _written(form.entry(event, wish)) for event in EVENTS[form.host]}
    missing = [name for name in wanted if name not in names]
    kept = {one.event.key for one in ours if _is_kept(one, wanted)}
    other = [name for name in names if name not in kept]
    muted = root.member(form.muted_by)
    state: State = "installed"
    problem = ""
    if other or len(ours) > len(names):
        state, problem = "outdated", f"not as this version installs it: {', '.join(other or names)}"
    elif missing:
        state, problem = "partial", f"missing: {', '.join(missing)}"
    elif muted is not None and muted.node.scalar is True:
        state, problem = "partial", f"{form.muted_by} is true: {form.host} runs no hooks"
    return Found(state, names, wish.names(), problem)


def _object(text: str) -> Node | None:
    """The document, which is an object; None where it is empty or null."""
    root = parse(text)
    if root is None or (root.kind == "word" and root.scalar is None):
        return None
    return _of_kind(text, root, "object", "the document")


def _of_kind(text: str, node: Node, kind: str, what: str) -> Node:
    if node.kind != kind:
        line, column = place_of(text, node.start)
        raise BrokenTextError(f"{what} must be an {kind}", line=line, column=column)
    return node


def _plain_object(text: str | None) -> dict[str, Any]:
    """What a document says; nothing where there is none, or one that cannot be read."""
    try:
        root = None if text is None else _object(text)
    except BrokenTextError:
        return {}
    plain = {} if root is None else root.plain()
    return plain if isinstance(plain, dict) else {}


def _written(value: Any) -> Any:
    """Plain data as the scanner would read it back."""
    if isinstance(value, dict):
        return {key: _written(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_written(one) for one in value]
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return Number(value) if is_number else value


def _ours(root: Node) -> Iterator[_Ours]:
    hooks = root.member("hooks")
    for event in hooks.node.children if hooks else ():
        for index, entry in enumerate(event.node.children):
            if entry.key is not None:
                continue  # an object where the host wants an array
            found = _of_entry(event, index, entry.node)
            if found is not None:
                yield found


def _of_entry(event: Child, index: int, entry: Node) -> _Ours | None:
    command = entry.member("command")
    if command is not None and is_rally_hook(command.node.scalar):
        return _Ours(event, index, (command.node.scalar,))
    inner = entry.member("hooks")
    handlers = inner.node.children if inner and inner.node.kind == "array" else []
    said = [one.node.member("command") for one in handlers]
    commands = [one.node.scalar if one else None for one in said]
    places = tuple(at for at, one in enumerate(commands) if is_rally_hook(one))
    if not places:
        return None
    mine = tuple(str(commands[at]) for at in places)
    return _Ours(event, index, mine, None if len(places) == len(handlers) else places)


def _is_kept(one: _Ours, wanted: dict[str, Any]) -> bool:
    return bool(one.entry.node.plain() == wanted.get(str(one.event.key)))


def _begun(text: str, form: Form, wish: Wish) -> str:
    """A document where there was none, behind whatever comments there are."""
    style = style_of(text, None)
    root = parse(text)
    version = {"version": _VERSION} if form.is_flat else {}
    hooks = {event.name: [form.entry(event, wish)] for event in EVENTS[form.host]}
    new = rendered({**version, "hooks": hooks}, style, "")
    if root is not None:
        return text[: root.start] + new + text[root.end :]
    kept = text.rstrip(" \t\r\n")
    return kept + (style.newline if kept.strip("\ufeff") else "") + new + style.newline


def _merged(text: str, form: Form, wish: Wish) -> str:
    root = _object(text)
    style = style_of(text, root)
    if form.is_flat and root is not None and root.member("version") is None:
        text = insert(text, root, "version", _VERSION, style)
    wanted = {event.name: form.entry(event, wish) for event in EVENTS[form.host]}
    for name, entry in wanted.items():
        text = _put(text, name, entry, style)
    others = _plain_object(_stripped(text, {}))
    return _stripped(text, others, {name: _written(one) for name, one in wanted.items()})


def _put(text: str, name: str, entry: dict[str, Any], style: Style) -> str:
    """The document with an entry for an event: in place of an older one of rally's, else last."""
    root = _object(text)
    assert root is not None
    hooks = root.member("hooks")
    if hooks is None or _is_null(hooks):
        return _set(text, root, "hooks", {name: [entry]}, style)
    event = _of_kind(text, hooks.node, "object", "hooks").member(name)
    if event is None or _is_null(event):
        return _set(text, hooks.node, name, [entry], style)
    array = _of_kind(text, event.node, "array", f"hooks.{name}")
    whole = [one for one in _ours(root) if one.event.key == name and one.handlers is None]
    if any(one.entry.node.plain() == _written(entry) for one in whole):
        return text
    if whole:
        return replace(text, whole[0].entry, entry, style)
    return insert(text, array, None, entry, style)


def _set(text: str, container: Node, key: str, value: Any, style: Style) -> str:
    """The document with a member in an object, in place of one that is null."""
    child = container.member(key)
    if child is None:
        return insert(text, container, key, value, style)
    return replace(text, child, value, style)


def _is_null(child: Child) -> bool:
    return child.node.kind == "word" and child.node.scalar is None


def _stripped(text: str, old: dict[str, Any], wanted: dict[str, Any] | None = None) -> str:
    """The document without rally's handlers, but for the first of each that is wanted.

    Args:
        old: the containers that are not rally's: what became empty goes unless it was there.
    """
    wanted = wanted or {}
    while True:
        root = _object(text)
        if root is None:
            return text
        seen: set[str | None] = set()
        for one in _ours(root):
            if one.event.key not in seen and _is_kept(one, wanted):
                seen.add(one.event.key)
                continue
            text = remove(text, *_smallest(text, root, one, old))
            break
        else:
            return text


def _smallest(text: str, root: Node, one: _Ours, old: dict[str, Any]) -> tuple[Node, int]:
    """What has to go with an entry: it alone, one handler in it, or the containers around it."""
    if one.handlers is not None:
        inner = one.entry.node.member("hooks")
        assert inner is not None
        return inner.node, one.handlers[0]
    hooks = root.member("hooks")
    assert hooks is not None
    before = old.get("hooks")
    before = before if isinstance(before, dict) else None
    if not _holds_only(text, one.event.node) or (before and one.event.key in before):
        return one.event.node, one.index
    if not _holds_only(text, hooks.node) or before is not None:
        return hooks.node, hooks.node.children.index(one.event)
    return root, root.children.index(hooks)


def _holds_only(text: str, container: Node) -> bool:
    """Whether a container holds one child and not even a comment beside it."""
    if len(container.children) != 1:
        return False
    child = container.children[0]
    around = text[container.start + 1 : child.start] + text[child.end : container.end - 1]
    return not around.replace(",", "").strip()


def _without_version(text: str) -> str:
    root = _object(text)
    version = root.member("version") if root else None
    if root is None or version is None or version.node.plain() != Number(_VERSION):
        return text
    return remove(text, root, root.children.index(version))


def _is_bare(text: str) -> bool:
    return not text.strip("\ufeff \t\r\n{}")


def _prove(one: str, other: str, form: Form) -> None:
    """Two documents say the same but for rally's hooks; nobody's configuration is lost to a bug here.

    Raises:
        Failure: `internal`; they do not.
    """
    if _rest(one, form) != _rest(other, form):
        raise Failure(
            "internal", f"editing the hooks of {form.host} would have changed something else",
            hint="report this with the file; it was not touched",
        )  # fmt: skip


def _rest(text: str, form: Form) -> dict[str, Any]:
    """What a document says beside rally's hooks, containers that are empty left out."""
    plain = _plain_object(_stripped(text, {}))
    hooks = plain.get("hooks")
    if isinstance(hooks, dict):
        hooks = {name: one for name, one in hooks.items() if one not in ([], None)}
    return {
        **{key: one for key, one in plain.items() if key != "hooks" or hooks},
        **({"hooks": hooks} if hooks else {}),
        **({"version": Number(_VERSION)} if form.is_flat and "version" not in plain else {}),
    }

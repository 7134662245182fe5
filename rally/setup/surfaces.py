"""The agents' surfaces: which file each reads, and what is said to a person about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from rally.model.errors import Refused, UsageError
from rally.setup import hook_json, hook_toml, plugin
from rally.setup.events import TIMEOUT_S
from rally.setup.files import broken, read, read_text
from rally.setup.hook_json import Form, Found
from rally.setup.jsonc import BrokenTextError
from rally.setup.surface import (
    SCOPES,
    FileChange,
    Plan,
    Scope,
    Surface,
    SurfaceStatus,
    Target,
    Wish,
)

_CODEX: Final = Form("codex")
_CODEX_TRUST = (
    "codex skips new and changed hooks until they are reviewed: open codex and type /hooks"
)
_GEMINI_TRUST = "gemini runs a project's hooks in trusted folders only: /permissions in gemini"
_CURSOR_TWICE = (
    "cursor can load claude's hooks too; each write is then checked twice, which does no harm"
)


@dataclass(frozen=True, slots=True)
class JsonSurface:
    """A host that reads its hooks from one JSON file.

    Attributes:
        folder: the host's folder in a repository and in the home.
        file: the configuration in it.
        variable: the environment variable that names the user's folder; empty without one.
        trust: the scopes in which the host does not say whether it trusts the hooks.
        note: what to tell a person after installing.
    """

    name: str
    form: Form
    folder: str
    file: str
    variable: str = ""
    trust: tuple[Scope, ...] = ()
    note: str = ""
    scopes: tuple[Scope, ...] = SCOPES

    def path(self, at: Target) -> str:
        """Where the configuration is."""
        return f"{_folder(at, self.folder, self.variable)}/{self.file}"

    def install(self, at: Target, wish: Wish) -> Plan:
        """See `Surface`."""
        path = self.path(at)
        text = read_text(path)
        with _Placed(path):
            new = hook_json.installed(text or "", self.form, wish)
            base = _without(path, text, self.form, at)
        change = FileChange(path, _bytes(text), new.encode(), base=_bytes(base))
        is_told = self.note and (at.scope in self.trust or not self.trust)
        return Plan((change,), (self.note,) if is_told else ())

    def uninstall(self, at: Target) -> Plan:
        """See `Surface`."""
        path = self.path(at)
        text = read_text(path)
        if text is None:
            return Plan()
        with _Placed(path):
            new = _without(path, text, self.form, at)
        return Plan((FileChange(path, _bytes(text), _bytes(new)),))

    def status(self, at: Target) -> SurfaceStatus:
        """See `Surface`."""
        path = self.path(at)
        try:
            text = read_text(path)
            with _Placed(path):
                found = hook_json.look(text or "", self.form)
        except UsageError as error:
            return _broken(self.name, at.scope, path, error)
        return _as_status(self.name, at.scope, path, found, is_trusted=at.scope not in self.trust)


@dataclass(frozen=True, slots=True)
class CodexSurface:
    """codex: `hooks.json`, or the tables of `config.toml` where somebody keeps hooks there already.

    codex reads both; hooks are not spread over two files unless there is no other way.
    """

    name: str = "codex"
    scopes: tuple[Scope, ...] = SCOPES
    form: Form = _CODEX

    def install(self, at: Target, wish: Wish) -> Plan:
        """See `Surface`."""
        json_path, toml_path = self._paths(at)
        json_text, toml_text = read_text(json_path), read_text(toml_path)
        with _Placed(toml_path):
            without = None if toml_text is None else hook_toml.uninstalled(toml_text)
            is_toml = without is not None and json_text is None
            is_toml = is_toml and hook_toml.can_append(without or "", self.form)
            new_toml = hook_toml.installed(toml_text or "", self.form, wish) if is_toml else without
            lines = hook_toml.strays(toml_text or "")
        with _Placed(json_path):
            base = _without(json_path, json_text, self.form, at)
            new_json = base if is_toml else hook_json.installed(json_text or "", self.form, wish)
        changes = (
            FileChange(json_path, _bytes(json_text), _bytes(new_json), base=_bytes(base)),
            FileChange(toml_path, _bytes(toml_text), _bytes(new_toml), base=_bytes(without)),
        )
        return Plan(_real(changes), (_CODEX_TRUST,), _stray_warnings(toml_path, lines))

    def uninstall(self, at: Target) -> Plan:
        """See `Surface`."""
        json_path, toml_path = self._paths(at)
        json_text, toml_text = read_text(json_path), read_text(toml_path)
        with _Placed(toml_path):
            new_toml = None if toml_text is None else hook_toml.uninstalled(toml_text)
            lines = hook_toml.strays(toml_text or "")
        with _Placed(json_path):
            new_json = _without(json_path, json_text, self.form, at)
        changes = (
            FileChange(json_path, _bytes(json_text), _bytes(new_json)),
            FileChange(toml_path, _bytes(toml_text), _bytes(new_toml)),
        )
        return Plan(_real(changes), (), _stray_warnings(toml_path, lines))

    def status(self, at: Target) -> SurfaceStatus:
        """See `Surface`."""
        json_path, toml_path = self._paths(at)
        path = json_path
        try:
            json_text = read_text(json_path)
            with _Placed(json_path):
                in_json = hook_json.look(json_text or "", self.form)
            path = toml_path
            toml_text = read_text(toml_path)
            with _Placed(toml_path):
                in_toml = hook_toml.look(toml_text or "", self.form)
        except UsageError as error:
            return _broken(self.name, at.scope, path, error)
        found, where = (in_json, json_path)
        if in_toml.state != "absent":
            found, where = (in_toml, toml_path)
        if "absent" not in (in_json.state, in_toml.state):
            found = Found("outdated", in_json.events, in_json.options, "both files have hooks")
        return _as_status(self.name, at.scope, where, found, is_trusted=False)

    def _paths(self, at: Target) -> tuple[str, str]:
        folder = _folder(at, ".codex", "CODEX_HOME")
        return f"{folder}/hooks.json", f"{folder}/config.toml"


@dataclass(frozen=True, slots=True)
class PluginSurface:
    """opencode: a plugin that is rally's own."""

    name: str = "opencode"
    scopes: tuple[Scope, ...] = SCOPES

    def install(self, at: Target, wish: Wish) -> Plan:
        """See `Surface`."""
        path = self._path(at)
        data = read(path)
        if data is not None and not plugin.is_own(data):
            raise Refused(
                "foreign-file", f"{path} is there and was not written by rally",
                hint="move it away, then run the command again", details={"file": path},
            )  # fmt: skip
        return Plan((FileChange(path, data, plugin.plugin_text(wish).encode(), base=None),))

    def uninstall(self, at: Target) -> Plan:
        """See `Surface`."""
        path = self._path(at)
        data = read(path)
        if data is None or not plugin.is_own(data):
            return Plan()
        return Plan((FileChange(path, data, None),))

    def status(self, at: Target) -> SurfaceStatus:
        """See `Surface`."""
        path = self._path(at)
        try:
            found = plugin.look(read(path))
        except UsageError as error:
            return _broken(self.name, at.scope, path, error)
        return _as_status(self.name, at.scope, path, found, is_trusted=True)

    def _path(self, at: Target) -> str:
        if at.scope == "repo":
            return f"{at.folder()}/.opencode/plugins/rally.ts"
        config = at.named("XDG_CONFIG_HOME", f"{at.home}/.config")
        return f"{config}/opencode/plugins/rally.ts"


AGENTS: Final[Mapping[str, Surface]] = {
    "claude": JsonSurface(
        "claude", Form("claude", muted_by="disableAllHooks"), ".claude", "settings.json",
        variable="CLAUDE_CONFIG_DIR",
    ),
    "codex": CodexSurface(),
    "cursor": JsonSurface(
        "cursor", Form("cursor", is_flat=True), ".cursor", "hooks.json", note=_CURSOR_TWICE
    ),
    "gemini": JsonSurface(
        "gemini", Form("gemini", timeout=TIMEOUT_S * 1000), ".gemini", "settings.json",
        trust=("repo",), note=_GEMINI_TRUST,
    ),
    "opencode": PluginSurface(),
}  # fmt: skip


class _Placed:
    """What is wrong with a text is said with the file's name."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> Literal[False]:
        if isinstance(error, BrokenTextError):
            raise broken(self._path, error) from None
        return False


def _folder(at: Target, name: str, variable: str) -> str:
    default = f"{at.folder()}/{name}"
    return at.named(variable, default) if variable and at.scope == "user" else default


def _without(path: str, text: str | None, form: Form, at: Target) -> str | None:
    if text is None:
        return None
    base = at.recall.base_of(path)
    return hook_json.uninstalled(
        text,
        form,
        None if base is None else base.decode(errors="replace"),
        was_absent=at.recall.was_absent(path),
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _real(changes: tuple[FileChange, ...]) -> tuple[FileChange, ...]:
    """Those about a file that there is or will be."""
    return tuple(one for one in changes if (one.before, one.after) != (None, None))


def _stray_warnings(path: str, lines: list[int]) -> tuple[dict[str, str], ...]:
    said = "rally hook is called here from a table that was written by hand; rally leaves it alone"
    return tuple({"code": "left-behind", "message": f"{path}:{line}: {said}"} for line in lines)


def _as_status(
    name: str, scope: Scope, path: str, found: Found, *, is_trusted: bool
) -> SurfaceStatus:
    return SurfaceStatus(
        name,
        scope,
        found.state,
        (path,),
        problem=f"{path}: {found.problem}" if found.problem else "",
        trust="" if is_trusted or found.state == "absent" else "unverified",
        events=found.events,
        options=found.options,
    )


def _broken(name: str, scope: Scope, path: str, error: UsageError) -> SurfaceStatus:
    return SurfaceStatus(name, scope, "broken", (path,), problem=error.message)

"""What all surfaces of `rally hooks` have in common: where they are, what they change, how they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from rally.model.errors import UsageError

Scope = Literal["repo", "user"]
State = Literal["installed", "absent", "partial", "outdated", "broken"]
SCOPES: Final[tuple[Scope, ...]] = ("repo", "user")


class Recall(Protocol):
    """What is known of a file from before rally came to it."""

    def base_of(self, path: str) -> bytes | None:
        """The file as it was; None where it did not exist or nothing is known."""

    def was_absent(self, path: str) -> bool:
        """Whether it is known that rally made the file."""


class NothingKnown:
    """No file was seen before."""

    def base_of(self, _: str) -> bytes | None:
        """See `Recall`."""
        return None

    def was_absent(self, _: str) -> bool:
        """See `Recall`."""
        return False


@dataclass(frozen=True, slots=True)
class Target:
    """Where something is installed.

    Attributes:
        scope: the repository's configuration, or the user's.
        top: the root of the caller's working tree, absolute and real; None where there is none,
            as in a bare repository.
        common_dir: git's common directory; None outside git.
        home: the user's home.
        env: the caller's environment.
        recall: what files were before.
    """

    scope: Scope
    top: str | None
    common_dir: str | None
    home: str
    env: Mapping[str, str]
    recall: Recall = field(default_factory=NothingKnown)

    def folder(self) -> str:
        """The folder in which a host's configuration is looked for: the working tree, or the home.

        Raises:
            UsageError: `not-a-repository`; the repository's scope is asked for and is bare.
        """
        if self.scope == "user":
            return self.home
        if self.top is None:
            raise UsageError(
                "not-a-repository",
                f"{self.common_dir} is a bare repository: there is no working tree to install into",
                hint="cd into a working tree, or --scope user",
            )
        return self.top

    def named(self, variable: str, default: str) -> str:
        """A folder that a variable may name, as an absolute path."""
        value = self.env.get(variable, "")
        return value.rstrip("/") if value.startswith("/") else default


@dataclass(frozen=True, slots=True)
class Wish:
    """What `rally hooks install` was told.

    Attributes:
        auto_claim: the hook claims what is about to be written, where nobody holds it.
        fail_closed: where the hook cannot answer, the write is blocked.
    """

    auto_claim: bool = False
    fail_closed: bool = False

    def flags(self) -> tuple[str, ...]:
        """The same as options of `rally hook`."""
        return tuple(f"--{name}" for name in self.names())

    def names(self) -> tuple[str, ...]:
        """The same as words."""
        chosen = (("auto-claim", self.auto_claim), ("fail-closed", self.fail_closed))
        return tuple(name for name, is_on in chosen if is_on)


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file, as a whole.

    Attributes:
        path: absolute, as the host reads it; a symbolic link is written through.
        before: what was read when the change was planned; None: there was no such file.
        after: what it becomes; None: the file goes.
        mode: for a file that is made; None for the usual one. A file that is there keeps its own.
        base: the file without anything of rally's, which uninstalling comes back to; "before" where
            that is `before`, None where it is no file.
    """

    path: str
    before: bytes | None
    after: bytes | None
    mode: int | None = None
    base: bytes | Literal["before"] | None = "before"

    def without_rally(self) -> bytes | None:
        """What uninstalling comes back to."""
        return self.before if self.base == "before" else self.base


@dataclass(frozen=True, slots=True)
class Plan:
    """What one surface would change; empty: it is as it should be.

    Attributes:
        notes: what a person should know afterwards, a line each.
        warnings: as in every answer: `code` and `message`.
    """

    changes: tuple[FileChange, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SurfaceStatus:
    """How one surface is.

    Attributes:
        files: those that were looked at, or would be written.
        problem: where and what is broken, or what is missing or old.
        trust: `unverified` where the host itself decides whether it runs the hooks, and does not say.
        events: the host's events for which a hook of rally's is there.
        options: those of `Wish` with which it was installed.
    """

    surface: str
    scope: Scope
    state: State
    files: tuple[str, ...] = ()
    problem: str = ""
    trust: Literal["", "unverified"] = ""
    events: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For answers."""
        return {
            "surface": self.surface,
            "scope": self.scope,
            "state": self.state,
            "files": list(self.files),
            "problem": self.problem,
            "trust": self.trust,
            "events": list(self.events),
            "options": list(self.options),
        }


class Surface(Protocol):
    """One place that hooks are installed into. Nothing here writes a file."""

    @property
    def name(self) -> str:
        """What `rally hooks` calls it."""

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Where it can be installed."""

    def install(self, at: Target, wish: Wish) -> Plan:
        """What would have to change so that the hooks are there.

        Raises:
            UsageError: `unreadable`, `broken-config` or `not-a-repository`.
            Refused: `foreign-file`.
        """

    def uninstall(self, at: Target) -> Plan:
        """What would have to change so that nothing of rally's is left. Raises as `install`."""

    def status(self, at: Target) -> SurfaceStatus:
        """How it is now; a bad file is a state and no error."""

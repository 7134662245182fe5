"""Every surface of `rally hooks` by name, where a command means one, and how all of them are.

The agents' surfaces are texts and files (`rally.setup`); the one of git asks git where its hooks are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence

from rally.execution.guard.surface import GIT
from rally.facilitation.ledger.folder import has_room
from rally.facilitation.places import Place, find_place
from rally.hosts.known import HOSTS
from rally.model.errors import UsageError
from rally.model.text import nearest
from rally.setup.backups import Backups
from rally.setup.surface import SCOPES, Scope, Surface, SurfaceStatus, Target
from rally.setup.surfaces import AGENTS

ALL = "all"


def surfaces() -> dict[str, Surface]:
    """Every surface there is, in the order in which they are listed."""
    return {**AGENTS, GIT.name: GIT}


def named(names: Sequence[str], place: Place | None = None) -> list[Surface]:
    """The surfaces of some names, each once.

    Args:
        names: `all` stands for every one.
        place: where they are meant; outside of git `all` does without git. None where that is not
            known yet.

    Raises:
        UsageError: `usage`; there is none of a name, or no name.
    """
    known = surfaces()
    if not names:
        raise UsageError(
            "usage", f"name one or more of: {', '.join(known)}, {ALL}",
            hint="rally hooks install claude", details={"choices": [*known, ALL]},
        )  # fmt: skip
    for name in names:
        if name not in known and name != ALL:
            near = nearest(name, [*known, ALL])
            raise UsageError(
                "usage", f"there are no hooks for {name!a}; there are for: {', '.join(known)}, {ALL}",
                hint=near or "rally hooks status",
                details={"choices": [*known, ALL], "nearest": near},
            )  # fmt: skip
    every = dict(known)
    if place is not None and place.common_dir is None:
        del every[GIT.name]
    return [one for name, one in known.items() if name in names or (ALL in names and name in every)]


def scope_of(value: str) -> Scope:
    """The scope behind `--scope`.

    Raises:
        UsageError: `bad-value`.
    """
    for scope in SCOPES:
        if value == scope:
            return scope
    raise UsageError(
        "bad-value", f"--scope is {value!a}; it must be one of {', '.join(SCOPES)}",
        hint="--scope repo",
    )  # fmt: skip


def target_at(scope: Scope, place: Place, env: Mapping[str, str]) -> Target:
    """Where to install for somebody who is at a place."""
    # A bare repository's working tree is the repository itself: nothing to put files into.
    is_bare = place.common_dir is not None and place.top == place.common_dir
    home = env.get("HOME", "")
    if not home.startswith("/"):
        home = os.path.expanduser("~")
    return Target(
        scope=scope,
        top=None if is_bare else place.top,
        common_dir=place.common_dir,
        home=home.rstrip("/"),
        env=env,
        recall=Backups(env),
    )


def all_status(*, env: Mapping[str, str], cwd: str, room: str | None = None) -> list[SurfaceStatus]:
    """How every surface is, in every scope that there is here. Reads only.

    Args:
        env: the caller's environment.
        cwd: the caller's folder, absolute.
        room: the value of `--room`; None without one.

    Raises:
        UsageError: `room-not-found`.
    """
    place = find_place(cwd, room or env.get("RALLY_ROOM") or None)
    return status_of(named([ALL], place), SCOPES, place, env)


def status_of(
    wanted: Sequence[Surface], scopes: Sequence[Scope], place: Place, env: Mapping[str, str]
) -> list[SurfaceStatus]:
    """How some surfaces are in some scopes; without a working tree there is no repository's."""
    found = []
    for scope in scopes:
        at = target_at(scope, place, env)
        if scope == "repo" and at.top is None and len(scopes) > 1:
            continue
        found += [one.status(at) for one in wanted if scope in one.scopes]
    return found


def present(place: Place, env: Mapping[str, str]) -> list[str]:
    """What seems to be used here: an agent's folder is in the working tree, or it is in PATH; git."""
    path = env.get("PATH")
    agents = [
        name
        for name in AGENTS
        if os.path.isdir(f"{place.top}/.{name}")
        or any(shutil.which(program, path=path) for program in HOSTS[name].programs)
    ]
    return [*agents, GIT.name] if place.common_dir else agents


def idle_warnings(place: Place, env: Mapping[str, str]) -> list[dict[str, str]]:
    """Warnings of what keeps hooks that are installed from doing anything; usually none."""
    warnings = []
    if not shutil.which("rally", path=env.get("PATH")):
        message = (
            "rally is not in PATH: the hooks run `rally`, and an agent that does not find it "
            "lets every write through"
        )
        warnings.append({"code": "not-in-path", "message": message})
    if not has_room(place.root):
        # A hook makes no room: those of the user's scope run in every folder.
        message = (
            f"there is no room in {place.root} yet: hooks do nothing there before `rally init`"
        )
        warnings.append({"code": "no-room", "message": message})
    return warnings

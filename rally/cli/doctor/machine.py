"""The machine: versions, programs, worktrees, the clock."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path

from rally import __version__
from rally.cli.doctor.finding import Finding, Patient
from rally.execution.git import clean_env, first_line
from rally.execution.process import run_captured
from rally.facilitation.ledger.port import EMPTY_HEAD
from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.facilitation.places import LEDGER_FILE
from rally.model.durations import span
from rally.model.errors import RallyError
from rally.model.shell import word
from rally.model.text import check_tool

_PATIENCE_S = 5.0
# Two clocks that are set over the network differ by less.
_SKEW_MS_MAX = 2_000


def examine(patient: Patient) -> list[Finding]:
    """Findings about what rally stands on."""
    return [*_versions(patient), *_programs(patient), *_worktrees(patient), *_caller(patient.env)]


def _versions(patient: Patient) -> list[Finding]:
    """This rally, and every other one that a shell would find."""
    python = platform.python_version()
    sqlite = sqlite3.sqlite_version
    versions = {"rally": __version__, "python": python, "sqlite": sqlite, "system": sys.platform}
    patient.measured["versions"] = versions
    text = f"rally {__version__}, Python {python}, SQLite {sqlite}, {sys.platform}"
    found = [Finding("versions", "ok", "versions", text)]
    on_path = commands(patient.env, "rally")
    versions_of = {path: _version_of(path, patient.env) for path in on_path}
    patient.measured["commands"] = versions_of
    if not on_path:
        message = "rally is not in PATH: hooks and packets call it by its name alone"
        found.append(Finding("not-in-path", "warn", "PATH", message, put_in_path()))
    elif broken := [path for path, version in versions_of.items() if not version]:
        message = f"{broken[0]} is in PATH and does not run"
        fix = f"{word(os.path.abspath(broken[0]))} --version"
        found.append(Finding("broken-command", "warn", "PATH", message, fix))
    elif len(set(versions_of.values()) | {__version__}) > 1:
        listed = ", ".join(f"{path} ({version})" for path, version in versions_of.items())
        message = f"several versions of rally are in use, the first one wins: {listed}"
        fix = "type -a rally"
        found.append(Finding("several-versions", "warn", "PATH", message, fix))
    elif len(on_path) > 1:
        message = f"rally is in PATH {len(on_path)} times, all of them {__version__}"
        found.append(Finding("several-commands", "info", "PATH", message))
    return found


def put_in_path() -> str:
    """The command after which a shell finds this rally by its name."""
    folder = os.path.dirname(os.path.abspath(sys.argv[0]))
    return f'export PATH={word(folder)}:"$PATH"'


def commands(env: Mapping[str, str], name: str) -> list[str]:
    """Every program of a name in PATH, each file once, the one that is found first in front."""
    found: dict[str, str] = {}
    for folder in env.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _version_of(path: str, env: Mapping[str, str]) -> str:
    """What it says that it is; empty where it does not run."""
    own = {name: value for name, value in env.items() if not name.startswith("RALLY_")}
    try:
        code, out, _ = run_captured(
            [os.path.abspath(path), "--version"], cwd="/", env=own, timeout_s=_PATIENCE_S
        )
    except OSError:
        return ""
    words = out.decode(errors="replace").split()
    return words[-1] if code == 0 and words else ""


def _programs(patient: Patient) -> list[Finding]:
    found = []
    if not commands(patient.env, "git"):
        message = "git is not in PATH: `check before-commit` and `check range` need it"
        found.append(Finding("no-git", "warn", "git", message))
    if not commands(patient.env, "tmux"):
        message = "tmux is not in PATH: `run` and `inject` need it, nothing else does"
        found.append(Finding("no-tmux", "info", "tmux", message))
    return found


def _worktrees(patient: Patient) -> list[Finding]:
    """Git's linked worktrees: how many, and which are registered and gone."""
    place = patient.place
    if place is None or place.common_dir is None:
        return []
    tops = place.linked_tops()
    gone = [top for top in tops if not os.path.isdir(top)]
    if gone:
        shown = ", ".join(gone[:3]) + (f" +{len(gone) - 3}" if len(gone) > 3 else "")
        message = f"{len(gone)} of {len(tops)} linked worktrees are gone: {shown}"
        fix = f"git -C {word(place.top)} worktree prune --verbose"
        return [Finding("stale-worktrees", "warn", "worktrees", message, fix)]
    if not commands(patient.env, "git"):
        return []
    try:
        code, _, err = run_captured(
            ["git", "rev-parse", "--git-dir"], cwd=place.top, env=clean_env(patient.env),
            timeout_s=_PATIENCE_S,
        )  # fmt: skip
    except OSError as error:
        return [Finding("no-git", "warn", "git", f"git does not run: {error}")]
    if code != 0:
        return [
            Finding("git-refuses", "warn", "git", f"git refuses {place.top}: {first_line(err)}",
                    f"git -C {word(place.top)} status")
        ]  # fmt: skip
    return [Finding("worktrees", "ok", "worktrees", f"{len(tops)} linked, all there")]


def _caller(env: Mapping[str, str]) -> list[Finding]:
    tool = env.get("RALLY_TOOL")
    if not tool:
        return []
    try:
        check_tool(tool)
    except RallyError as error:
        fix = "export RALLY_TOOL=claude:1"
        message = error.message.replace("--tool", "RALLY_TOOL")
        return [Finding(error.code, "problem", "RALLY_TOOL", message, fix)]
    return [Finding("tool", "ok", "RALLY_TOOL", tool)]


async def clock(patient: Patient) -> list[Finding]:
    """Whether this clock agrees with those that wrote the ledger, and with the disk's."""
    if patient.place is None or "ledger" not in patient.measured:
        return []
    path = Path(patient.folder, LEDGER_FILE)
    try:
        newest_ms = await _newest_ms(path)
    except RallyError:
        return []
    ahead_ms = (newest_ms or 0) - patient.now_ms
    patient.measured["clock"] = {"newest_fact_ahead_ms": max(0, ahead_ms)}
    if ahead_ms <= _SKEW_MS_MAX:
        return [Finding("clock", "ok", "clock", "no fact is from the future")]
    message = (
        f"the newest fact is {span(ahead_ms)} in the future: this clock is behind, or another "
        "machine's is ahead; leases end at the wrong time"
    )
    return [Finding("clock-skew", "warn", "clock", message, "timedatectl set-ntp true")]


async def _newest_ms(path: Path) -> int | None:
    ledger = await SqliteLedger.open(path)
    try:
        head = await ledger.head()
        if head == EMPTY_HEAD:
            return None
        facts = await ledger.by_id([str(head.seq)])
        return facts[str(head.seq)].created_ms
    finally:
        await ledger.close()

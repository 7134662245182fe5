"""The hooks of each host: whether they are there, and, when asked, whether their command denies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rally.cli.doctor.finding import Finding, Patient
from rally.cli.doctor.machine import commands, put_in_path
from rally.execution.hook_probe import Probed, probe, probe_git
from rally.execution.hook_surfaces import all_status, present
from rally.hosts.known import HOOKS
from rally.model.errors import RallyError, UsageError
from rally.setup import hook_toml, jsonc
from rally.setup.events import EVENTS, command_of, is_rally_hook
from rally.setup.files import read_text
from rally.setup.surface import SurfaceStatus, Wish

_PROBE = "rally doctor --probe-hooks"


async def examine(patient: Patient, *, is_probing: bool, room: str | None) -> list[Finding]:
    """Findings about the hooks; sets what was measured of each.

    Args:
        is_probing: run the commands that are installed, in a scratch room.
        room: the value of `--room`.
    """
    if patient.place is None:
        return []
    try:
        statuses = all_status(env=patient.env, cwd=patient.cwd, room=room)
        wanted = present(patient.place, patient.env)
    except (RallyError, OSError) as error:
        return [Finding("hooks-unknown", "warn", "hooks", str(error))]
    rows = patient.measured.setdefault("hooks", [])
    found: list[Finding] = []
    for status in statuses:
        row = {**status.as_json(), "enforces": "unknown", "command": None}
        rows.append(row)
        if status.state == "absent":
            continue
        found.append(_installed(status))
        if status.state == "broken":
            continue
        row["command"] = _command(status) if status.surface in HOOKS else _git_hook(status)
        found += await _enforced(row, patient, is_probing=is_probing)
    untried = [row["surface"] for row in rows if row["command"] and row["enforces"] == "unknown"]
    if untried and not is_probing:
        message = f"{', '.join(untried)}: whether the command stops a write was not tried"
        found.append(Finding("hook-untried", "info", "hooks", message, _PROBE))
    there = {status.surface for status in statuses if status.state != "absent"}
    missing = [name for name in wanted if name not in there]
    if "git" in missing and not commands(patient.env, "git"):
        missing.remove("git")  # who cannot be asked where the hooks are
    if missing:
        message = f"{', '.join(missing)}: used here, and not told to ask rally before a write"
        fix = f"rally hooks install {' '.join(missing)}"
        found.append(Finding("hooks-absent", "info", "hooks", message, fix))
    return found


def _installed(status: SurfaceStatus) -> Finding:
    name = f"hooks {status.surface}"
    scope = "" if status.scope == "repo" else " --scope user"
    where = f"{status.scope}: {', '.join(status.files)}"
    if status.state == "installed":
        options = f"; {', '.join(status.options)}" if status.options else ""
        trust = "; whether the host trusts them, only the host knows" if status.trust else ""
        return Finding("hooks", "ok", name, f"installed ({where}){options}{trust}")
    severity: Any = "problem" if status.state == "broken" else "warn"
    fix = None if status.state == "broken" else f"rally hooks install {status.surface}{scope}"
    message = f"{status.state} ({where}): {status.problem}"
    return Finding(f"hooks-{status.state}", severity, name, message, fix)


async def _enforced(row: dict[str, Any], patient: Patient, *, is_probing: bool) -> list[Finding]:
    """What the canary says of one host's command."""
    name = f"hooks {row['surface']}"
    if row["command"] is None:
        message = "no hook before a write: nothing is stopped"
        fix = f"rally hooks install {row['surface']}"
        fix += "" if row["scope"] == "repo" else " --scope user"
        row["enforces"] = False
        return [Finding("hook-missing", "problem", name, message, fix)]
    if not is_probing:
        return []
    if row["surface"] in HOOKS:
        probed = await probe(row["surface"], row["command"], patient.env)
    else:
        probed = await probe_git(row["command"], patient.env)
    row["enforces"], row["why"] = probed.enforces, probed.why
    if probed.enforces is True:
        message = f"the command enforces: {probed.why}"
        if row["surface"] in HOOKS:
            message += "; whether the host calls it, this does not show"
        return [Finding("hook-enforces", "ok", name, message)]
    if probed.enforces == "unknown":
        return [Finding("hook-unknown", "info", name, probed.why)]
    return [Finding("hook-does-not-enforce", "problem", name, probed.why, _way_out(probed))]


def _way_out(probed: Probed) -> str | None:
    return put_in_path() if "not found" in probed.why else None


def _command(status: SurfaceStatus) -> str | None:
    """The command before a write, as the configuration has it; None where there is none."""
    event = next(one for one in EVENTS[status.surface] if one.is_before)
    if status.surface == "opencode":
        # The plugin starts it without a shell; this is the same command.
        options = {name.replace("-", "_"): True for name in status.options}
        return command_of("opencode", event, Wish(**options))
    for path in status.files:
        for command in _commands(_document(path), event.name):
            return command
    return None


def _git_hook(status: SurfaceStatus) -> str | None:
    """The file of git's hook before a commit."""
    return next((path for path in status.files if path.endswith("/pre-commit")), None)


def _document(path: str) -> Any:
    """A configuration file's content; None where it is not there or cannot be read."""
    try:
        text = read_text(path) or ""
        if path.endswith(".toml"):
            return hook_toml.parsed(text)
        root = jsonc.parse(text)
    except (UsageError, jsonc.BrokenTextError):
        return None
    return root.plain() if root is not None else None


def _commands(document: Any, event: str) -> Iterator[str]:
    """The commands of rally's own hooks for one event, in order."""
    hooks = document.get("hooks") if isinstance(document, dict) else None
    entries = hooks.get(event) if isinstance(hooks, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        inner = entry.get("hooks")
        for one in [entry, *(inner if isinstance(inner, list) else ())]:
            command = one.get("command") if isinstance(one, dict) else None
            if isinstance(command, str) and is_rally_hook(command):
                yield command

"""The room: its folder, its ledger, its checkpoint."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from rally.cli.doctor.finding import Finding, Patient, Severity
from rally.facilitation.ledger import checkpoint
from rally.facilitation.ledger.damage import add_way_out, set_aside_command, told
from rally.facilitation.ledger.folder import (
    check_room_folder,
    file_identity,
    prepare_room_folder,
)
from rally.facilitation.ledger.verify import verify
from rally.facilitation.places import LEDGER_FILE, find_place
from rally.facilitation.state import dump
from rally.model.durations import span
from rally.model.errors import Failure, RallyError
from rally.model.shell import word

_FREE_BYTES_MIN = 64 * 1024 * 1024
# A start folds what came after the checkpoint, some 20,000 facts a second.
_BEHIND_FACTS_MAX = 20_000


async def examine(patient: Patient, override: str | None) -> list[Finding]:
    """Findings about the room; sets `patient.place`."""
    try:
        patient.place = find_place(patient.cwd, override)
    except RallyError as error:
        return [Finding(error.code, "problem", "room", error.message)]
    except OSError as error:
        return [Finding("unreadable", "problem", "room", str(error))]
    init = "rally init" + (f" --room {word(patient.place.root)}" if override else "")
    found, has_room = _outside(patient.place.root, patient.folder, init)
    return found + (await _ledger(patient) if has_room else [])


def _outside(root: str, folder: str, init: str) -> tuple[list[Finding], bool]:
    """Findings about the folder, and whether there is one to look into."""
    if not os.path.lexists(folder):
        message = f"there is no room in {root} yet"
        return [Finding("no-room", "info", "room", message, init), *_disk(root)], False
    if not os.path.isdir(folder):
        fix = f"mv {word(folder)} {word(folder)}.old"
        message = f"{folder} is not a folder"
        return [Finding("not-a-folder", "problem", "room", message, fix)], False
    can_look = os.access(folder, os.R_OK | os.X_OK)
    return [*_folder(folder, root, can_look=can_look), *_disk(folder)], can_look


def _folder(folder: str, root: str, *, can_look: bool) -> list[Finding]:
    found: list[Finding] = []
    there = os.stat(folder)
    mode = stat.S_IMODE(there.st_mode)
    is_own = there.st_uid == os.geteuid()
    if not is_own:
        message = f"{folder} belongs to uid {there.st_uid}, not to {os.geteuid()}"
        severity: Severity = "warn" if can_look else "problem"
        found.append(Finding("foreign-room", severity, "room", message))
    elif mode & 0o700 != 0o700:
        message = f"{folder} cannot be used by you (mode {mode:04o}, not 0700)"
        found.append(_mode_finding("room-closed", "problem", folder, message))
    elif mode & 0o077:
        message = f"{folder} is open to others (mode {mode:04o}, not 0700)"
        found.append(_mode_finding("room-open", "warn", folder, message))
    elif not os.access(folder, os.W_OK):
        message = f"{folder} cannot be written from here: only a daemon that can may say anything"
        found.append(Finding("room-read-only", "warn", "room", message))
    ignore = Path(folder, ".gitignore")
    if is_own and can_look and not (ignore.exists() and ignore.stat().st_size):
        found.append(
            Finding(
                "room-not-ignored", "warn", "room", f"git is not told to leave {folder} alone",
                f"echo '*' > {word(str(ignore))}", lambda: _ignore(root),
            )
        )  # fmt: skip
    return found or [Finding("room", "ok", "room", root)]


def _mode_finding(code: str, severity: Severity, folder: str, message: str) -> Finding:
    return Finding(
        code,
        severity,
        "room",
        message,
        f"chmod 700 {word(folder)}",
        lambda: os.chmod(folder, 0o700),
    )


def _ignore(root: str) -> None:
    prepare_room_folder(Path(root))


def _disk(folder: str) -> list[Finding]:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return []
    if free >= _FREE_BYTES_MIN:
        return []
    return [
        Finding("disk-full", "warn", "disk", f"{size(free)} are free on the disk of {folder}",
                f"df -h {word(folder)}")
    ]  # fmt: skip


async def _ledger(patient: Patient) -> list[Finding]:
    folder = patient.folder
    path = f"{folder}/{LEDGER_FILE}"
    assert patient.place is not None
    try:
        if file_identity(path) is None:
            check_room_folder(patient.place.root)
            message = f"there is no ledger in {folder} yet"
            return [Finding("no-room", "info", "ledger", message, "rally init")]
        report = await verify(path)
    except Failure as failure:
        await add_way_out(failure)
        fix = failure.hint if failure.code in ("corrupt-ledger", "newer-ledger") else None
        if not os.access(path, os.R_OK | os.W_OK):
            fix = f"chmod u+rw {word(path)}"
        return [Finding(failure.code, "problem", "ledger", failure.message, fix)]
    bytes_, log_bytes = _bytes_of(path), _bytes_of(f"{path}-wal")
    patient.measured["ledger"] = {
        **report.as_json(), "whole_to_seq": report.whole_until, "bytes": bytes_, "log_bytes": log_bytes,
    }  # fmt: skip
    if not report.ok:
        return [
            Finding("corrupt-ledger", "problem", "ledger", told(report), set_aside_command(path))
        ]
    log = f" + {size(log_bytes)} log" if log_bytes else ""
    facts = f"{report.facts} fact{'' if report.facts == 1 else 's'}"
    message = f"{facts}, whole, {size(bytes_)}{log}"
    return [Finding("ledger", "ok", "ledger", message), *_checkpoint(patient, report.head)]


def _checkpoint(patient: Patient, head: int) -> list[Finding]:
    folder = Path(patient.folder)
    seen = checkpoint.look(folder, state_format=dump.STATE_FORMAT)
    if seen.damage:
        aside = f"mv {word(str(folder / checkpoint.CHECKPOINT_NAME))} "
        aside += word(str(folder / checkpoint.DAMAGED_NAME))
        return [
            Finding("checkpoint-damaged", "warn", "checkpoint", f"{seen.damage}; it is only a cache",
                    aside, lambda: _set_aside(folder))
        ]  # fmt: skip
    seq = seen.seq or 0
    age_ms = None if seen.saved_ms is None else max(0, patient.now_ms - seen.saved_ms)
    age_s = None if age_ms is None else age_ms // 1_000
    patient.measured["checkpoint"] = {"seq": seen.seq, "facts_behind": head - seq, "age_s": age_s}
    if head - seq > _BEHIND_FACTS_MAX:
        message = f"{head - seq} facts came after it; the next start folds them all"
        return [Finding("checkpoint-old", "warn", "checkpoint", message, "rally daemon restart")]
    if age_ms is None:
        return [Finding("checkpoint", "ok", "checkpoint", "none, and none is needed yet")]
    message = f"{span(age_ms)} old, {head - seq} facts behind"
    return [Finding("checkpoint", "ok", "checkpoint", message)]


def _set_aside(folder: Path) -> None:
    checkpoint.load(folder, state_format=dump.STATE_FORMAT)


def _bytes_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def size(bytes_: int) -> str:
    """A size for people."""
    amount = float(bytes_)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{bytes_} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"

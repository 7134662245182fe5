"""The checkpoint: the folded state of a room, kept so that starting does not fold all of history.

It is a cache and nothing else. The ledger is the truth; a checkpoint that is missing, torn, corrupt
or of another version costs a longer start and is never an error. So nothing here is fsync'ed: what
a power cut leaves behind fails its digest.

The file is one line of JSON (the header) and the payload. `digest` is the SHA-256 of the header
without `digest`, a line end, and the payload.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from rally.facilitation.files import write_whole
from rally.facilitation.ledger.folder import folder_lock
from rally.model.errors import Failure

CHECKPOINT_NAME = "checkpoint"
DAMAGED_NAME = "checkpoint.damaged"
_SAVING_NAME = "checkpoint.new"
_CONTAINER_FORMAT = 1


class Checkpoint(NamedTuple):
    """A saved state. It holds only for a ledger whose fact `seq` has the hash `hash`."""

    seq: int
    hash: str
    payload: bytes


_DAMAGED = Checkpoint(0, "", b"")


class Look(NamedTuple):
    """How a checkpoint is.

    Attributes:
        seq: of the last fact folded into it; None where there is none that this version can use.
        saved_ms: when it was saved; None where there is none.
        damage: what is wrong with the file, one line; empty where nothing is.
    """

    seq: int | None = None
    saved_ms: int | None = None
    damage: str = ""


class Loaded(NamedTuple):
    """What loading found.

    Attributes:
        checkpoint: the saved state, None when there is none that this version can use.
        warning: what was wrong with a damaged file, one line; empty otherwise.
    """

    checkpoint: Checkpoint | None
    warning: str = ""


def save(
    folder: Path,
    *,
    state_format: str,
    seq: int,
    hash: str,  # noqa: A002 - the field's name everywhere
    payload: bytes,
) -> bool:
    """Replace the checkpoint in `folder`, whole or not at all.

    Args:
        state_format: names the form of the payload; `load` must be given the same.
        seq: the last fact that is folded into the payload.
        hash: that fact's hash.

    Returns:
        Whether it was saved. It is not on a full or read-only disk, or while another process saves;
        the checkpoint before stays.
    """
    header = {
        "checkpoint": _CONTAINER_FORMAT,
        "state_format": state_format,
        "seq": seq,
        "hash": hash,
        "bytes": len(payload),
    }
    header["digest"] = _digest(header, payload)
    saving = folder / _SAVING_NAME  # only whoever holds the lock uses it
    try:
        with folder_lock(folder, wait=False) as alone:
            if not alone:
                return False
            line = orjson.dumps(header) + b"\n"
            file = folder / CHECKPOINT_NAME
            write_whole(file, line, payload, partial=saving, is_durable=False)
    except (Failure, OSError):
        return False
    return True


def load(folder: Path, *, state_format: str) -> Loaded:
    """The checkpoint in `folder`, if it is whole and of this state format.

    A damaged file is set aside as `checkpoint.damaged`. One of another format is left alone:
    another version of rally wrote it, may still use it, and the next save replaces it.
    """
    path = folder / CHECKPOINT_NAME
    try:
        found = _read(path, state_format)
    except FileNotFoundError:
        return Loaded(None)
    except OSError as error:
        return Loaded(None, f"the checkpoint cannot be read: {error.strerror}")
    return Loaded(None, _set_aside(path)) if found is _DAMAGED else Loaded(found)


def look(folder: Path, *, state_format: str) -> Look:
    """How the checkpoint in `folder` is; nothing is moved."""
    path = folder / CHECKPOINT_NAME
    try:
        found = _read(path, state_format)
        saved_ms = path.stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return Look()
    except OSError as error:
        return Look(damage=f"{path} cannot be read: {error.strerror}")
    if found is _DAMAGED:
        return Look(saved_ms=saved_ms, damage=f"{path} is damaged")
    return Look(None if found is None else found.seq, saved_ms)


def _read(path: Path, state_format: str) -> Checkpoint | None:
    """The checkpoint, `_DAMAGED`, or None for one of another format.

    Raises:
        OSError: it cannot be read.
    """
    line, _, payload = path.read_bytes().partition(b"\n")
    header = _header(line)
    if header.get("checkpoint", _CONTAINER_FORMAT) != _CONTAINER_FORMAT:
        return None
    digest = header.pop("digest", None)
    if digest is None or header.get("bytes") != len(payload) or digest != _digest(header, payload):
        return _DAMAGED
    if header["state_format"] != state_format:
        return None
    return Checkpoint(header["seq"], header["hash"], payload)


def _header(line: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        header = orjson.loads(line)
        if isinstance(header, dict):
            return header
    return {}


def _digest(header: dict[str, Any], payload: bytes) -> str:
    digest = sha256(orjson.dumps(header) + b"\n")
    digest.update(payload)
    return digest.hexdigest()


def _set_aside(path: Path) -> str:
    aside = path.with_name(DAMAGED_NAME)
    try:
        path.replace(aside)
    except OSError:
        return f"the checkpoint {path} is damaged and was ignored"
    return f"the checkpoint was damaged, was rebuilt, and is kept as {aside}"

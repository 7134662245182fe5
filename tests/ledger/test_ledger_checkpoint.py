"""The checkpoint is a cache: whatever happens to it, nothing but time is lost."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

from rally.facilitation.ledger.checkpoint import (
    CHECKPOINT_NAME,
    DAMAGED_NAME,
    Checkpoint,
    load,
    save,
)
from rally.facilitation.ledger.folder import folder_lock

PAYLOAD = bytes(range(256)) * 40
HASH = "ab" * 32


def put(folder: Path, *, seq: int = 7, payload: bytes = PAYLOAD) -> bool:
    return save(folder, state_format="0.1.0/1", seq=seq, hash=HASH, payload=payload)


@pytest.mark.parametrize("payload", [PAYLOAD, b"", b"\n", b"{}\n{}"])
def test_what_was_saved_is_loaded(tmp_path: Path, payload: bytes) -> None:
    """Payload, seq and hash come back as they were, with no warning."""
    assert put(tmp_path, payload=payload)
    assert load(tmp_path, state_format="0.1.0/1") == (Checkpoint(7, HASH, payload), "")
    assert (tmp_path / CHECKPOINT_NAME).stat().st_mode & 0o777 == 0o600


def test_the_newest_save_wins_and_leaves_one_file(tmp_path: Path) -> None:
    """Saving replaces, it does not pile up; what a killed saver left is used up."""
    (tmp_path / "checkpoint.new").write_bytes(b"half" * 10_000)
    assert put(tmp_path, seq=1)
    assert put(tmp_path, seq=2, payload=b"short")
    assert load(tmp_path, state_format="0.1.0/1").checkpoint == Checkpoint(2, HASH, b"short")
    assert os.listdir(tmp_path) == [CHECKPOINT_NAME]


def test_no_checkpoint_is_no_event(tmp_path: Path) -> None:
    """The first start finds nothing and says nothing."""
    assert load(tmp_path, state_format="0.1.0/1") == (None, "")
    assert load(tmp_path / "none", state_format="0.1.0/1") == (None, "")


@pytest.mark.parametrize("kept", [0, 1, 30, 200, 5_000, -1])
def test_a_torn_checkpoint_is_set_aside(tmp_path: Path, kept: int) -> None:
    """Every length that a crash can leave is noticed; the file is kept for whoever wants to look."""
    assert put(tmp_path)
    whole = (tmp_path / CHECKPOINT_NAME).read_bytes()
    (tmp_path / CHECKPOINT_NAME).write_bytes(whole[:kept])
    checkpoint, warning = load(tmp_path, state_format="0.1.0/1")
    assert checkpoint is None
    assert str(tmp_path / DAMAGED_NAME) in warning
    assert (tmp_path / DAMAGED_NAME).read_bytes() == whole[:kept]
    assert load(tmp_path, state_format="0.1.0/1") == (None, "")
    assert put(tmp_path)
    assert load(tmp_path, state_format="0.1.0/1").checkpoint is not None


def test_any_changed_byte_is_noticed(tmp_path: Path) -> None:
    """Header and payload alike are covered by the digest."""
    assert put(tmp_path, payload=b"payload")
    whole = (tmp_path / CHECKPOINT_NAME).read_bytes()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1
        (tmp_path / CHECKPOINT_NAME).write_bytes(changed)
        assert load(tmp_path, state_format="0.1.0/1").checkpoint is None, position
    (tmp_path / CHECKPOINT_NAME).write_bytes(whole)
    assert load(tmp_path, state_format="0.1.0/1").checkpoint is not None


@pytest.mark.parametrize("raw", [b"[]\n", b"7\n", b'"x"', b"\xff\xfe", b'{"digest":1}\n', b"\n\n"])
def test_any_other_file_is_set_aside(tmp_path: Path, raw: bytes) -> None:
    """What is no checkpoint at all is no error either."""
    (tmp_path / CHECKPOINT_NAME).write_bytes(raw)
    checkpoint, warning = load(tmp_path, state_format="0.1.0/1")
    assert checkpoint is None
    assert "damaged" in warning


def test_another_state_format_is_left_alone(tmp_path: Path) -> None:
    """Two versions of rally on one room do not take each other's checkpoint for damage."""
    assert put(tmp_path)
    assert load(tmp_path, state_format="0.2.0/2") == (None, "")
    assert load(tmp_path, state_format="0.1.0/1").checkpoint is not None


def test_a_save_that_fails_is_silent_and_keeps_the_one_before(tmp_path: Path) -> None:
    """No folder, or a name that cannot be written: no error, and the answer says so."""
    assert put(tmp_path)
    (tmp_path / "checkpoint.new").mkdir()
    assert not put(tmp_path, seq=8)
    assert load(tmp_path, state_format="0.1.0/1").checkpoint == Checkpoint(7, HASH, PAYLOAD)
    assert not put(tmp_path / "none")


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    """No half-written file stays. (A limit on file sizes stands for the disk's end.)"""
    assert put(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        assert not put(tmp_path, seq=8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert os.listdir(tmp_path) == [CHECKPOINT_NAME]
    assert load(tmp_path, state_format="0.1.0/1").checkpoint == Checkpoint(7, HASH, PAYLOAD)


def test_two_that_save_at_once_do_not_mix(tmp_path: Path) -> None:
    """While one holds the folder the other gives up: it is only a cache."""
    with folder_lock(tmp_path, wait=False):
        assert not put(tmp_path)
    assert put(tmp_path)

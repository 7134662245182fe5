"""What the machine can do to a room: nothing acknowledged is lost, and the answer stays honest."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rally.facilitation.ledger.damage import whole_to_seq
from rally.facilitation.ledger.verify import verify
from rally.facilitation.ops.common import Reply
from rally.facilitation.rooms import Rooms
from rally.model.errors import Failure, Refused

START_MS = 1_700_000_000_000


class SetClock:
    """A clock that stands where it was set; it may be set back."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now


class Room:
    """One room in a folder of its own, asked through the door that everybody uses."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = SetClock()
        self.rooms = Rooms(clock=self.clock)

    async def call(self, op: str, **params: Any) -> Reply:
        env = {"HOME": str(self.root.parent), "XDG_STATE_HOME": str(self.root.parent / "state")}
        return await self.rooms.call(op, params, cwd=str(self.root), env=env)

    async def head(self) -> int:
        return int((await self.call("log", limit=1)).data["head"])

    async def reopen(self) -> None:
        """Forget everything that this process knows."""
        await self.rooms.close()
        self.rooms = Rooms(clock=self.clock)

    @property
    def service(self) -> Any:
        return next(iter(self.rooms._open.values()))[0]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    root = tmp_path / "repo"
    root.mkdir()
    one = Room(root)
    yield one
    await one.rooms.close()


async def _fill_up(room: Room) -> None:
    """Let SQLite believe that the disk has no page left."""
    writer = room.service.ledger._writer
    (row,) = await writer.execute_fetchall("PRAGMA page_count")
    await writer.execute(f"PRAGMA max_page_count = {row[0]}")


async def test_a_full_disk_refuses_the_fact_and_keeps_what_was_acknowledged(room: Room) -> None:
    """`disk-full`, exit 1; everything acknowledged is there, and the room goes on afterwards."""
    await room.call("enter", tool="a")
    await _fill_up(room)
    acknowledged = 0
    with pytest.raises(Failure) as refusal:
        for number in range(500):
            await room.call("say", kind="note", tool="a", subject=f"{number} " + "x" * 400)
            acknowledged += 1
    assert (refusal.value.code, refusal.value.exit_code) == ("disk-full", 1)
    assert "ledger.db" in refusal.value.message
    assert await room.head() == 1 + acknowledged
    await room.reopen()
    await room.call("say", kind="note", tool="a", subject="there is room again")
    assert await room.head() == 2 + acknowledged
    assert (await verify(room.root / ".rally" / "ledger.db")).ok


async def test_on_a_full_disk_a_check_still_answers_and_says_that_it_could_not_renew(
    room: Room,
) -> None:
    """A check needs no room on the disk; the renewal that came with it does (contract K0, C6)."""
    await room.call("say", kind="claim", tool="a", paths=["src"], ttl="30m")
    await _fill_up(room)
    room.clock.now += 15 * 60_000
    for size in (4_000, 1, 1, 1):  # until not even a small fact fits
        with pytest.raises(Failure):
            while True:
                await room.call("say", kind="note", tool="b", subject="x", summary="x" * size)
    reply = await room.call("check", phase="before-write", tool="b", paths=["src/x.py"])
    assert reply.data["allow"] is False
    reply = await room.call("check", phase="before-write", tool="a", paths=["src/x.py"])
    assert reply.data["allow"] is True
    assert [one["code"] for one in reply.warnings] == ["renewal-failed"]


async def test_a_claim_that_reached_no_disk_is_held_by_nobody(room: Room) -> None:
    """The tentative state is thrown away with the append that failed."""
    await room.call("enter", tool="a")
    await _fill_up(room)
    with pytest.raises(Failure):
        while True:
            await room.call("say", kind="claim", tool="a", paths=["src"], summary="x" * 4000)
    held = (await room.call("room")).data["totals"]["active_claims"]
    facts = (await room.call("log", kinds=["claim"], limit=0)).data["count"]
    assert held == facts


@pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 4096, b'{"format": 99}\n'])
async def test_a_damaged_checkpoint_is_a_non_event(room: Room, damage: bytes) -> None:
    """The cache is set aside and the state is folded anew from the ledger."""
    await room.call("say", kind="claim", tool="a", paths=["src"])
    room.service.keep_checkpoint(at_least=1)
    cache = room.root / ".rally" / "checkpoint"
    assert cache.stat().st_size > 0
    await room.reopen()
    cache.write_bytes(damage)
    reply = await room.call("check", phase="before-write", tool="b", paths=["src/x"])
    assert [one["code"] for one in reply.data["findings"]] == ["claimed-path"]
    assert [one["code"] for one in reply.warnings] == ["checkpoint-rebuilt"]
    again = await room.call("check", phase="before-write", tool="b", paths=["src/x"])
    assert again.warnings == []


async def test_the_checkpoint_of_another_ledger_is_not_believed(room: Room, tmp_path: Path) -> None:
    """A checkpoint counts only for the very history that it was folded from."""
    await room.call("say", kind="claim", tool="a", paths=["src"])
    room.service.keep_checkpoint(at_least=1)
    other = Room(tmp_path / "other")
    other.root.mkdir()
    await other.call("say", kind="note", tool="z", subject="another history")
    await other.rooms.close()
    (other.root / ".rally" / "checkpoint").write_bytes(
        (room.root / ".rally" / "checkpoint").read_bytes()
    )
    other.rooms = Rooms(clock=other.clock)
    assert (await other.call("room")).data["totals"]["active_claims"] == 0
    await other.rooms.close()


async def test_a_clock_that_jumps_back_revives_no_lease_and_writes_no_earlier_time(
    room: Room,
) -> None:
    """Time never runs backwards inside a room (contract C6; ledger order is the truth)."""
    await room.call("say", kind="claim", tool="a", paths=["src"], ttl="10s")
    room.clock.now += 11_000
    await room.call("say", kind="claim", tool="b", paths=["src"], ttl="1h")
    room.clock.now -= 3_600_000
    with pytest.raises(Refused, match="claimed by b"):
        await room.call("say", kind="claim", tool="a", paths=["src"])
    await room.call("say", kind="note", tool="a", subject="after the jump")
    times = [fact["created_at"] for fact in (await room.call("log", limit=0)).data["facts"]]
    assert times == sorted(times)


async def test_a_room_that_is_deleted_under_an_open_service_starts_anew(room: Room) -> None:
    """No fact is written into a file that nobody can find any more."""
    import shutil

    await room.call("say", kind="claim", tool="a", paths=["src"])
    shutil.rmtree(room.root / ".rally")
    assert (await room.call("room")).data["head"] == 0
    assert not (room.root / ".rally").exists()
    await room.call("say", kind="claim", tool="b", paths=["src"])
    assert await room.head() == 1


async def test_a_folder_that_is_a_file_is_a_clear_error(room: Room) -> None:
    """`.rally` taken by something else: exit 1, and that something is untouched."""
    (room.root / ".rally").write_text("mine")
    with pytest.raises(Failure) as refusal:
        await room.call("say", kind="note", tool="a", subject="x")
    assert refusal.value.exit_code == 1
    assert (room.root / ".rally").read_text() == "mine"


async def test_a_ledger_that_is_no_ledger_is_named_and_left_alone(room: Room) -> None:
    """`corrupt-ledger` names the file and what to run; a check is never an allow (contract K0)."""
    await room.call("say", kind="note", tool="a", subject="x")
    await room.reopen()
    path = room.root / ".rally" / "ledger.db"
    for extra in ("-wal", "-shm"):
        Path(f"{path}{extra}").unlink(missing_ok=True)
    path.write_bytes(b"this is no database at all" * 400)
    before = path.read_bytes()
    for op, params in (
        ("check", {"phase": "before-write", "tool": "a", "paths": ["x"]}),
        ("say", {"kind": "note", "tool": "a", "subject": "y"}),
        ("room", {}),
    ):
        with pytest.raises(Failure) as refusal:
            await room.call(op, **params)
        assert refusal.value.code == "corrupt-ledger"
        assert "ledger.db" in refusal.value.message
        assert refusal.value.details["whole_to_seq"] == 0
        assert refusal.value.hint.startswith("mkdir ")
    assert path.read_bytes() == before


async def test_the_way_out_of_a_damaged_ledger_can_be_pasted(room: Room) -> None:
    """The error says how far the history is whole; its command sets the files aside, whoever has them
    open, and the room begins anew."""
    for number in range(6):
        await room.call("say", kind="note", tool="a", subject=f"subject-{number}")
    await room.reopen()
    path = room.root / ".rally" / "ledger.db"
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"subject-3", b"SUBJECT-3"))
    assert await whole_after_damage(room) == 3
    with pytest.raises(Failure) as refusal:
        path.write_bytes(b"garbage" * 999)
        await room.call("say", kind="note", tool="a", subject="lost")
    (room.root / ".rally" / "worktrees").mkdir()
    subprocess.run(["/bin/sh", "-c", refusal.value.hint], check=True)
    answer = await room.call("say", kind="note", tool="a", subject="anew")
    assert answer.data["fact"]["seq"] == 1
    assert (room.root / ".rally" / "damaged" / "ledger.db").read_bytes() == b"garbage" * 999
    assert (room.root / ".rally" / "worktrees").is_dir()


async def whole_after_damage(room: Room) -> int:
    """What `verify` says of how far the history is whole."""
    report = await verify(room.root / ".rally" / "ledger.db")
    assert not report.ok
    return whole_to_seq(room.root / ".rally" / "ledger.db")


async def test_a_ledger_that_was_deleted_beside_its_log_is_missed(room: Room) -> None:
    """The facts in the log belong to a ledger that is gone: no allow, no silent new beginning."""
    await room.call("say", kind="claim", tool="a", paths=["src"])
    await room.reopen()
    path = room.root / ".rally" / "ledger.db"
    path.unlink()
    Path(f"{path}-shm").unlink(missing_ok=True)
    Path(f"{path}-wal").write_bytes(b"facts that were acknowledged")
    for op, params in (
        ("check", {"phase": "before-write", "tool": "b", "paths": ["src"]}),
        ("say", {"kind": "claim", "tool": "b", "paths": ["src"]}),
        ("room", {}),
    ):
        with pytest.raises(Failure) as refusal:
            await room.call(op, **params)
        assert refusal.value.code == "corrupt-ledger"
        assert "ledger.db is gone" in refusal.value.message
    assert not path.exists()

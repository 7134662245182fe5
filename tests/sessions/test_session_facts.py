"""The facts about sessions: what the ledger knows and refuses, without any tmux."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rally.daemon.params import check_params
from rally.facilitation.rooms import Rooms
from rally.facilitation.state.dump import dump, load
from rally.model.errors import RallyError, Refused, UsageError

DATA = {"host": "here", "socket": "/tmp/s", "server": 1, "pane": "%0", "command": ["cat"]}


class Ledger:
    """A room, and two doors to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rooms = [Rooms(), Rooms()]

    async def call(self, op: str, *, door: int = 0, **params: Any) -> Any:
        """One operation, with its parameters checked as the daemon does."""
        env = {"HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state")}
        checked = check_params(op, params)
        data, _ = await self.rooms[door].call(op, checked, cwd=str(self.folder), env=env)
        return data

    async def session(self, action: str, **params: Any) -> Any:
        return await self.call("session", action=action, tool="operator", **params)

    async def start(self, **params: Any) -> Any:
        """A session that is being started."""
        return (await self.session("start", agent="demo", data=DATA, **params))["session"]

    async def names(self, door: int = 0) -> list[str]:
        listed = await self.call("session", door=door, action="list", tool="operator")
        return [row["name"] for row in listed["sessions"]]


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    made = Ledger(tmp_path)
    yield made
    for rooms in made.rooms:
        await rooms.close()


async def test_a_session_lives_from_its_start_to_its_end(ledger: Ledger) -> None:
    """Three facts; afterwards the name is free."""
    opened = await ledger.start(name="ann")
    assert (opened["name"], opened["tool"], opened["status"]) == ("ann", "ann", "starting")
    await ledger.session("started", id=opened["session_id"], data={"pane": "%3"})
    (row,) = (await ledger.session("list"))["sessions"]
    assert (row["status"], row["pane"], row["agent"]) == ("started", "%3", "demo")
    await ledger.session("end", id=opened["session_id"], status="stopped", reason="enough")
    assert await ledger.names() == []
    assert (await ledger.start(name="ann"))["session_id"] != opened["session_id"]


async def test_a_name_is_taken_once_through_any_door(ledger: Ledger) -> None:
    """Law 3: the decision is the ledger's, whoever asks."""
    await ledger.start(name="ann")
    with pytest.raises(Refused) as refusal:
        await ledger.call("session", door=1, action="start", agent="x", name="ann", tool="b")
    assert refusal.value.code == "name-taken"
    opened = await ledger.call("session", door=1, action="start", agent="x", tool="b")
    assert opened["session"]["name"] == "x-01"


async def test_a_session_ends_once(ledger: Ledger) -> None:
    """A second end, or a start that comes late, is refused; so nobody ends a successor."""
    first = await ledger.start(name="ann")
    await ledger.session("end", id=first["session_id"], status="gone")
    second = await ledger.start(name="ann")
    for words in ({"action": "end", "status": "stopped"}, {"action": "started"}):
        with pytest.raises(Refused) as refusal:
            await ledger.call("session", tool="b", id=first["session_id"], **words)
        assert refusal.value.code == "already-closed"
    assert (await ledger.session("list"))["sessions"][0]["session_id"] == second["session_id"]


async def test_a_pane_is_adopted_once(ledger: Ledger) -> None:
    """The same pane of the same server of the same machine."""
    await ledger.session("adopt", agent="a", data=DATA)
    with pytest.raises(Refused) as refusal:
        await ledger.session("adopt", agent="a", data=DATA)
    assert refusal.value.code == "pane-taken"
    await ledger.session("adopt", agent="a", data={**DATA, "server": 2})
    assert await ledger.names() == ["a-01", "a-02"]


async def test_what_is_withdrawn_is_undone(ledger: Ledger) -> None:
    """Withdrawing the start ends it, withdrawing the end brings it back, if its name is free."""

    async def retract(fact_id: str) -> None:
        await ledger.call("say", kind="retract", tool="ada", ref=fact_id, reason="a mistake")

    opened = await ledger.start(name="ann")
    told = await ledger.session("started", id=opened["session_id"], data={"pane": "%3"})
    await retract(told["fact"]["event_id"])
    assert (await ledger.session("list"))["sessions"][0]["status"] == "starting"
    end = await ledger.session("end", id=opened["session_id"], status="stopped")
    assert await ledger.names() == []
    await retract(end["fact"]["event_id"])
    assert await ledger.names() == ["ann"]
    end = await ledger.session("end", id=opened["session_id"], status="stopped")
    other = await ledger.start(name="ann")
    await retract(end["fact"]["event_id"])
    assert (await ledger.session("list"))["sessions"][0]["session_id"] == other["session_id"]
    await retract(other["session_id"])
    assert await ledger.names() == []
    assert await ledger.names(door=1) == []


async def test_sessions_outlive_a_checkpoint(ledger: Ledger) -> None:
    """The folded state keeps them, and so does its copy."""
    opened = await ledger.start(name="ann")
    await ledger.start()
    await ledger.session("started", id=opened["session_id"], data={"pane": "%3"})
    service = await ledger.rooms[0].service(str(ledger.folder), create=False, env={})
    copy = load(dump(service.state))
    assert copy.sessions == service.state.sessions
    assert list(copy.sessions) == ["ann", "demo-01"]
    assert copy.sessions["ann"].started is not None


async def test_a_fact_of_a_newer_rally_breaks_nothing(ledger: Ledger) -> None:
    """An ending that this version does not know ends the session; nothing else is done."""
    opened = await ledger.start(name="ann")
    service = await ledger.rooms[0].service(str(ledger.folder), create=False, env={})
    from rally.facilitation.state.fold import fold
    from rally.facilitation.state.past import Past
    from rally.model.fact import seal

    state = service.state
    for content in ({"status": "dreaming"}, {"subject": "ann", "status": "moved", "ref": "x"}):
        fact = seal(
            {"event_id": f"session-{state.head_seq}", "kind": "session", "tool": "b",
             "created_at": "2030-01-01T00:00:00.000Z", **content},
            seq=state.head_seq + 1, prev=state.head_hash,
        )  # fmt: skip
        fold(state, fact, Past())
        assert state.sessions["ann"].fact.event_id == opened["session_id"]


async def test_looking_makes_no_room(ledger: Ledger) -> None:
    """Reads, dry runs and refusals create nothing (contract R2)."""
    await ledger.session("list")
    await ledger.session("find", target="ann")
    await ledger.session("start", agent="demo", dry_run=True)
    for bad in ({"agent": "a b"}, {"agent": "demo", "name": "a b"}, {"agent": "demo", "target": "all"},
                {}):  # fmt: skip
        with pytest.raises(UsageError):
            await ledger.session("start", **bad)
    assert not (ledger.folder / ".rally").exists()


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"action": "nap"}, "usage"),
        ({"action": "start", "agent": 1}, "usage"),
        ({"action": "start", "agent": "a", "data": []}, "usage"),
        ({"action": "start", "agent": "a", "data": {"x": "\0"}}, "bad-text"),
        ({"action": "start", "agent": "a", "data": {"x": "a" * 70_000}}, "too-long"),
        ({"action": "end", "id": "session-none", "status": "stopped"}, "unknown-id"),
        ({"action": "end", "status": "stopped"}, "bad-value"),
        ({"action": "end", "id": "1", "status": "vanished"}, "bad-value"),
        ({"action": "started", "id": "note-1"}, "unknown-id"),
        ({"action": "find"}, "bad-value"),
        ({"action": "handoff", "id": "x", "target": "a"}, "unknown-id"),
        ({"action": "handoff", "id": "x"}, "bad-tool"),
    ],
)
async def test_bad_parameters_are_refused(
    ledger: Ledger, params: dict[str, Any], code: str
) -> None:
    """Contract T4: a clear error and an unchanged ledger, also over the socket."""
    await ledger.call("say", kind="note", tool="ada", subject="one")
    with pytest.raises(RallyError) as error:
        await ledger.call("session", **{"tool": "operator", **params})
    assert (error.value.code, error.value.exit_code) == (code, 2)
    assert (await ledger.call("log"))["head"] == 1

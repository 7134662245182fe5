"""Facts that another machine sent untrusted are shown, and change nothing (contract T3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rally.facilitation.rooms import Rooms
from rally.facilitation.service import RoomService
from rally.model.fact import seal


class Room:
    """One room, and what came into its ledger from elsewhere."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rooms = Rooms()

    async def call(self, op: str, **params: Any) -> dict[str, Any]:
        env = {"HOME": str(self.root.parent)}
        return (await self.rooms.call(op, params, cwd=str(self.root), env=env)).data

    def service(self) -> RoomService:
        return next(iter(self.rooms._open.values()))[0]

    async def arrive(self, kind: str, **fields: Any) -> str:
        """One untrusted fact, as an import appends it; its id."""
        ledger = self.service().ledger
        head = await ledger.head()
        event_id = f"{kind}-of-another-machine-{head.seq}"
        doc = {
            "event_id": event_id, "kind": kind, "tool": "far:1", "trust": "untrusted",
            "created_at": "2030-01-01T00:00:00.000Z", "origin": "far", **fields,
        }  # fmt: skip
        await ledger.append([seal(doc, seq=head.seq + 1, prev=head.hash)])
        return event_id

    async def reopen(self, *, checkpoint: bool) -> None:
        """Another process, from a checkpoint or from all of history."""
        self.service().keep_checkpoint(at_least=0 if checkpoint else 1 << 30)
        await self.rooms.close()
        self.rooms = Rooms()

    async def steps(self) -> dict[str, str]:
        """What has landed, as the list of tasks and as the graph tell it; they must agree."""
        dag = await self.call("dag", run="r")
        rows = (await self.call("task", action="list", run="r"))["tasks"]
        drawn = {node["step_id"]: node["status"] == "landed" for node in dag["nodes"]}
        assert {row["id"]: row["status"] == "landed" for row in rows}.items() <= drawn.items()
        return {row["id"]: row["status"] for row in rows}


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    root = tmp_path / "repo"
    root.mkdir()
    one = Room(root)
    yield one
    await one.rooms.close()


@pytest.mark.parametrize("checkpoint", [True, False])
async def test_an_untrusted_artifact_lands_no_step(room: Room, checkpoint: bool) -> None:
    """Neither the task nor what depends on it, in this process or after the next start."""
    add = {"action": "add", "run": "r", "tool": "a:1", "intent": "x", "read_only": True}
    await room.call("task", id="one", **add)
    await room.arrive("artifact", run="r", step="one", subject="done, honestly")
    await room.call("task", id="two", depends_on=["one"], **add)
    for _ in range(2):
        ready = {row["id"]: row["ready"] for row in
                 (await room.call("task", action="list", run="r"))["tasks"]}  # fmt: skip
        assert ready == {"one": True, "two": False}
        assert "landed" not in (await room.steps()).values()
        await room.reopen(checkpoint=checkpoint)


@pytest.mark.parametrize("checkpoint", [True, False])
async def test_an_untrusted_retraction_withdraws_nothing(room: Room, checkpoint: bool) -> None:
    """What it names stays landed, closed and shown, and can still be withdrawn by its author."""
    await room.call("task", action="add", run="r", id="one", tool="a:1", intent="x", read_only=True)
    said = await room.call(
        "say", kind="artifact", tool="a:1", run="r", step="one", subject="one", evidence=["ok"]
    )
    artifact = said["fact"]["event_id"]
    await room.arrive("retract", ref=artifact, reason="no")
    for _ in range(2):
        assert (await room.steps())["one"] == "landed"
        assert (await room.call("show", id=artifact))["retracted"] is False
        assert artifact in [
            one["event_id"] for one in (await room.call("room"))["recent_artifacts"]
        ]
        await room.reopen(checkpoint=checkpoint)
    await room.call("say", kind="retract", tool="a:1", ref=artifact, reason="wrong after all")
    assert (await room.steps())["one"] != "landed"
    await room.reopen(checkpoint=checkpoint)
    assert (await room.steps())["one"] != "landed"


async def test_an_untrusted_answer_is_not_brought_up_by_a_retraction(room: Room) -> None:
    """Withdrawing a resolve rebuilds the blocker from its facts; a foreign resolve is none of them."""
    blocker = (await room.call("say", kind="blocker", tool="a:1", subject="b"))["fact"]["event_id"]
    await room.arrive("resolve", ref=blocker)
    resolve = (await room.call("say", kind="resolve", tool="a:1", ref=blocker))["fact"]["event_id"]
    await room.call("say", kind="retract", tool="a:1", ref=resolve, reason="too early")
    state = await room.call("room")
    assert [one["event_id"] for one in state["active_blockers"]] == [blocker]


async def test_an_untrusted_artifact_is_no_finding_of_the_merge_check(room: Room) -> None:
    """It blocks nobody: `check-ci --strict` stays clean."""
    await room.call("say", kind="note", tool="a:1", subject="begin")
    await room.arrive("artifact", subject="without evidence")
    assert (await room.call("check-ci", strict=True))["clean"] is True


async def test_an_untrusted_receipt_answers_nothing(room: Room) -> None:
    """What the sender sees as answered was answered here."""
    said = await room.call(
        "say", kind="handoff", tool="a:1", target="b:1", subject="look", intent="question"
    )
    await room.arrive("receipt", ref=said["fact"]["event_id"], state="done", tool="b:1")
    (item,) = (await room.call("inbox", tool="a:1", sent=True))["items"]
    assert not item.get("receipt")
    (asked,) = (await room.call("inbox", tool="b:1"))["items"]
    assert asked["event_id"] == said["fact"]["event_id"]

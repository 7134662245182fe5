"""One interface for programs, with a daemon or without (contract R4)."""

from __future__ import annotations

from pathlib import Path

import pytest
from rallyd import holder

from rally.client.direct import Direct, open_client
from rally.model.errors import UsageError

Env = dict[str, str]


@pytest.fixture
def room(tmp_path: Path) -> str:
    folder = tmp_path / "room"
    (folder / ".rally").mkdir(parents=True, mode=0o700)
    return str(folder)


@pytest.mark.parametrize("switch", ["on", "off"])
async def test_the_same_questions_have_the_same_answers(env: Env, room: str, switch: str) -> None:
    """A runner does not see whether a daemon stands behind its client."""
    real = {name: value for name, value in env.items() if name != "PYTHONPATH"}
    client = await open_client(env={**real, "RALLY_DAEMON": switch}, cwd=room)
    try:
        assert isinstance(client, Direct) == (switch == "off")
        assert (holder(env) is None) == (switch == "off")
        said = await client.call("say", kind="note", tool="codex:1", subject="first")
        assert said["fact"]["seq"] == 1
        assert [one["code"] for one in said.warnings] == ["not-entered"]
        assert (await client.call("room"))["head"] == 1
        with pytest.raises(UsageError) as caught:
            await client.call("say", kind="note", tool="codex:1")
        assert caught.value.code == "missing-field"
        events = client.subscribe(since=0, want=["facts"])
        assert (await anext(events))["event"] == "head"
        assert (await anext(events))["facts"][0]["subject"] == "first"
        await events.aclose()
    finally:
        await client.close()

"""The client for programs and runners."""

from __future__ import annotations

import asyncio
import signal

import pytest
from rallyd import Daemon, end_background_daemon, holder, running

from rally import __version__
from rally.client.connection import Connection
from rally.daemon.versions import is_superseded_by
from rally.model.errors import Failure, Refused, UsageError

Env = dict[str, str]


async def test_it_starts_the_daemon_that_it_needs(env: Env) -> None:
    """A program needs no more set-up than a command."""
    async with await Connection.open(env=env) as connection:
        status = await connection.call("ping")
    assert (status["pid"], status["version"]) == (holder(env), __version__)


async def test_programs_that_start_together_share_one_daemon(env: Env) -> None:
    """Also within one process."""
    connections = await asyncio.gather(*(Connection.open(env=env) for _ in range(16)))
    pids = [(await connection.call("ping"))["pid"] for connection in connections]
    assert set(pids) == {holder(env)}
    for connection in connections:
        await connection.close()


async def test_answers_warnings_and_surroundings_arrive(daemon: Daemon) -> None:
    """The operation sees the folder and the RALLY_ variables, not the whole environment."""
    env = {**daemon.env, "RALLY_TOOL": "codex:1", "API_KEY": "secret"}
    async with await Connection.open(env=env, cwd="/tmp") as connection:
        answer = await connection.call("say", kind="echo", path=["a"], limit=3)
    assert answer["params"] == {"kind": "echo", "path": ["a"], "limit": 3}
    assert answer["cwd"] == "/tmp"
    assert answer["env"]["RALLY_TOOL"] == "codex:1"
    assert "API_KEY" not in answer["env"]
    assert answer.warnings == [{"code": "w", "message": "m"}]


async def test_a_refusal_is_raised_as_it_was_there(daemon: Daemon) -> None:
    """Class, code and details survive the socket."""
    async with await Connection.open(env=daemon.env) as connection:
        with pytest.raises(Refused) as caught:
            await connection.call("say", kind="refuse")
        assert (caught.value.code, caught.value.details) == ("claim-conflict", {"conflicts": [1]})
        with pytest.raises(Failure, match="ValueError"):
            await connection.call("say", kind="break")
        with pytest.raises(UsageError, match="op"):
            await connection.call("x" * 65)


async def test_calls_share_a_connection(daemon: Daemon) -> None:
    """A waiting one does not hold up the others."""
    async with await Connection.open(env=daemon.env) as connection:
        waiting = asyncio.create_task(connection.call("say", kind="block"))
        answers = await asyncio.gather(
            *(connection.call("say", kind="echo", n=n) for n in range(100))
        )
        assert [answer["params"]["n"] for answer in answers] == list(range(100))
        await connection.call("say", kind="raise-sign", sign="call-go")
        assert await waiting == {}


async def test_giving_up_withdraws_the_call(daemon: Daemon) -> None:
    """The daemon does not go on waiting for a caller that has turned away."""
    async with await Connection.open(env=daemon.env) as connection:
        waiting = asyncio.create_task(connection.call("say", kind="block"))
        await connection.call("say", kind="await-sign", sign="call-began")
        waiting.cancel()
        await connection.call("say", kind="await-sign", sign="call-cancelled")


async def test_events_arrive_until_the_subscription_is_closed(daemon: Daemon) -> None:
    """Leaving the loop ends it at the daemon too."""
    async with await Connection.open(env=daemon.env, cwd="/tmp") as connection:
        assert [e["number"] async for e in connection.subscribe(limit=3)] == [0, 1, 2]
        events = connection.subscribe(limit=2, run="endless")
        assert await anext(events) == {"number": 0, "cwd": "/tmp"}
        await connection.call("say", kind="await-sign", sign="subscription-began")
        await events.aclose()
        await connection.call("say", kind="await-sign", sign="subscription-cancelled")


async def test_a_lost_connection_ends_every_wait(daemon: Daemon) -> None:
    """Calls, subscriptions and later calls all say that the daemon is gone."""
    connection = await Connection.open(env=daemon.env)
    events = connection.subscribe(limit=1, run="endless")
    await anext(events)
    waiting = asyncio.create_task(connection.call("say", kind="block"))
    await connection.call("say", kind="await-sign", sign="call-began")
    daemon.signal(signal.SIGKILL)
    for failing in (waiting, anext(events), connection.call("say", kind="echo")):
        with pytest.raises(Failure) as caught:
            await failing
        assert caught.value.code == "unavailable"
    await connection.close()


async def test_what_a_leaving_daemon_did_not_begin_is_said(daemon: Daemon) -> None:
    """The caller may repeat it without a second thought."""
    connection = await Connection.open(env=daemon.env)
    await connection.call("stop")
    with pytest.raises(Failure, match=r"not begun|may have been done"):
        await connection.call("say", kind="echo")
    await connection.close()
    assert daemon.wait() == 0


async def test_without_starting_it_takes_what_is_there(env: Env) -> None:
    """For `rally daemon status`: none is an error, any version is welcome."""
    with pytest.raises(Failure) as caught:
        await Connection.open(env=env, start=False)
    assert caught.value.code == "no-daemon"
    with running(env, SMALL_VERSION="99.0"):
        async with await Connection.open(env=env, start=False) as connection:
            assert (await connection.call("ping"))["version"] == "99.0"
        with pytest.raises(Failure):
            await Connection.open(env=env)


async def test_an_older_daemon_is_replaced(env: Env) -> None:
    """A program is served by its own version."""
    with running(env, SMALL_VERSION="0.0.9") as old:
        async with await Connection.open(env=env) as connection:
            assert (await connection.call("ping"))["version"] == __version__
        assert old.wait() == 0
        end_background_daemon(env)


async def test_switched_off_means_off(env: Env) -> None:
    """`RALLY_DAEMON=off` starts none."""
    with pytest.raises(Failure):
        await Connection.open(env={**env, "RALLY_DAEMON": "off"})
    assert holder(env) is None


@pytest.mark.parametrize(
    ("own", "other", "leaves"),
    [
        ("0.1.0", "0.1.0", False),
        ("0.1.0", "0.1.1", True),
        ("0.9.0", "0.10.0", True),
        ("0.10.0", "0.9.0", False),
        ("1.0.0rc1", "1.0.0", True),
        ("1.0", "nonsense", False),
    ],
)
def test_the_newer_version_stays(own: str, other: str, leaves: bool) -> None:
    """Releases are compared as numbers."""
    assert is_superseded_by(own, other) is leaves

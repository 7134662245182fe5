"""wait and subscribe: sleeping until the room has changed (contract P8, X1)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any

from rally.facilitation.decide.context import Context
from rally.facilitation.decide.standbys import settle_condition
from rally.facilitation.intake import check_condition
from rally.facilitation.ledger.folder import room_gone
from rally.facilitation.ledger.port import FactQuery
from rally.facilitation.ops.common import Ask, Reply
from rally.facilitation.ops.look import log_query
from rally.facilitation.projections.wake_due import is_free, lapses, next_due_ms, wake_due
from rally.facilitation.service import RoomService
from rally.facilitation.state.past import Wants
from rally.facilitation.state.rules import holds_already
from rally.model.clock import to_rfc3339
from rally.model.durations import parse_duration_ms
from rally.model.errors import Refused, UsageError
from rally.model.fact import Fact
from rally.model.shell import word
from rally.model.text import check_choice

TIMEOUT_MS_MAX = 7 * 86_400_000
CHUNK = 500
# Kinds that can make a `fact:` condition true without naming the fact in `ref`.
ENDS_CLAIMS = frozenset({"claim", "leave", "release", "retract", "wake", "artifact", "standby"})


async def wait(ask: Ask) -> Reply:
    """Return when the conditions hold: all, or any with `any`.

    Raises:
        Refused: `timed-out`, with what held and what did not.
        UsageError: no condition, or a wrong one.
        Failure: `room-gone`, the ledger was removed or replaced meanwhile.
    """
    params, service = ask.params, ask.service
    caller = ask.caller()
    run = params.get("run")
    given = list(params.get("until") or ())
    if not given:
        raise UsageError("missing-field", "wait needs --until", hint="--until free:src/app.py")
    conditions = [check_condition(one, ask.path) for one in given]
    timeout = params.get("timeout")
    timeout_ms = parse_duration_ms(
        "10m" if timeout is None else timeout, max_ms=TIMEOUT_MS_MAX, name="--timeout"
    )
    started_ms = service.clock.now_ms()
    wants = Wants()
    wants.add("wait", {"until": conditions, "run": run})
    enough = any if params.get("any") else all

    def settle(context: Context) -> list[str]:
        return [settle_condition(context, one, run) for one in conditions]

    def look(context: Context) -> tuple[int, list[str], int | None]:
        held = [one for one in conditions if _holds(context, one, caller, run)]
        return context.state.head_seq, held, _next_lapse(context, conditions)

    with service.follow():
        conditions = await service.read(settle, wants=wants, renews=caller)
        while True:
            seq, held, lapse_ms = await service.read(look, wants=wants)
            now_ms = service.clock.now_ms()
            waited_ms = now_ms - started_ms
            if enough(one in held for one in conditions):
                data = {"conditions": _states(conditions, held), "waited_ms": waited_ms}
                return Reply(data, [])
            if waited_ms >= timeout_ms:
                missing = [one for one in conditions if one not in held]
                in_run = f" --run {word(run)}" if run else ""
                raise Refused(
                    "timed-out",
                    f"waited {waited_ms // 1000} s; not yet true: {', '.join(missing)}",
                    hint=f"rally say standby --tool {caller[0]}{in_run} --until {word(missing[0])}",
                    details={"conditions": _states(conditions, held), "waited_ms": waited_ms},
                )
            until_ms = started_ms + timeout_ms
            if lapse_ms is not None:
                until_ms = min(until_ms, lapse_ms)
            await _sleep(ask, seq, until_ms, conditions)


async def _sleep(ask: Ask, seq: int, until_ms: int, conditions: list[str]) -> None:
    """Sleep through changes that cannot matter to the conditions."""
    service = ask.service
    while True:
        _check_there(service)
        await service.changed(seq, until_ms=until_ms)
        head = service.state.head_seq
        news = [fact for fact in service.recent if fact.seq > seq]
        complete = len(news) == head - seq
        if service.clock.now_ms() >= until_ms or not complete or _matters(news, conditions):
            return
        seq = head


def _matters(news: Iterable[Fact], conditions: list[str]) -> bool:
    ids = {one.partition(":")[2] for one in conditions}
    return any(fact.kind in ENDS_CLAIMS or fact.step in ids or fact.ref in ids for fact in news)


def _states(conditions: list[str], held: list[str]) -> list[dict[str, Any]]:
    return [{"condition": one, "holds": one in held} for one in conditions]


def _holds(
    context: Context, condition: str, caller: tuple[str, str | None], run: str | None
) -> bool:
    form, _, rest = condition.partition(":")
    if form == "free":
        return is_free(context.state, rest, *caller, context.now_ms)
    return holds_already(context.state, context.past, run, condition)


def _next_lapse(context: Context, conditions: list[str]) -> int | None:
    return min(lapses(context.state, conditions, context.now_ms), default=None)


async def subscribe(ask: Ask) -> AsyncGenerator[dict[str, Any], None]:
    """Follow the room: `{"event": "facts", …}` as they come, and `{"event": "due", …}` whenever other
    standbys are due than before, or the next falls due at another time.

    Parameters: `since` (a seq; the head when it is not given), `want` (a list of `facts`, `due`), and
    the filters of `log`. The first event is always `{"event": "head", "seq": …}`.

    Raises:
        Failure: `room-gone`, the ledger that was followed was removed or replaced.
    """
    service = ask.service
    want = [check_choice(one, "want", ("facts", "due")) for one in ask.params.get("want") or ()]
    query = log_query(ask)
    with service.follow():
        seq = await service.read(lambda context: context.state.head_seq)
        yield {"event": "head", "seq": seq}
        since = ask.params.get("since")
        cursor = seq if since is None else int(since)
        known: tuple[list[str], int | None] | None = None
        while True:
            due, due_ms, head = await service.read(_due_now)
            if "facts" in want:
                async for facts in _news(ask, query, cursor, head):
                    yield {"event": "facts", "facts": [fact.doc for fact in facts]}
            cursor = max(cursor, head)
            ids = [entry["standby_event_id"] for entry in due]
            if "due" in want and (ids, due_ms) != known:
                known = (ids, due_ms)
                next_at = to_rfc3339(due_ms) if due_ms is not None else None
                yield {"event": "due", "due": due, "next_due_at": next_at}
            # Looked at right before sleeping, since what vanished earlier wakes nobody any more.
            _check_there(service)
            await service.changed(cursor, until_ms=due_ms if "due" in want else None)
            _check_there(service)


def _check_there(service: RoomService) -> None:
    if service.is_gone():
        raise room_gone(service.root)


def _due_now(context: Context) -> tuple[list[dict[str, Any]], int | None, int]:
    state, now_ms = context.state, context.now_ms
    return wake_due(state, now_ms), next_due_ms(state, now_ms), state.head_seq


async def _news(ask: Ask, query: FactQuery, cursor: int, head: int) -> AsyncIterator[list[Fact]]:
    while cursor < head:
        upto = min(head, cursor + CHUNK)
        facts = await ask.service.ledger.select(
            FactQuery(
                kinds=query.kinds, tool=query.tool, run=query.run, where=query.where,
                since_seq=cursor, until_seq=upto,
            )
        )  # fmt: skip
        if facts:
            yield facts
        cursor = upto

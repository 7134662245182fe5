"""What happens at each moment.

    session start   enter; what this agent must know
    turn start      end the standby that the hook itself wrote at the end of the last turn
    before write    check; with --auto-claim claim what is free, all of a call or nothing
    after write     one note per session and path, unless a claim says it already
    turn end        release what the hook claimed; a standby where the agent holds more
    session end     leave

A session's subagents act for it: they carry its id, and write inside its claims.
"""

from __future__ import annotations

from typing import Any

from rally.cli.hook.call import Call
from rally.cli.hook.journal import note
from rally.cli.hook.targets import Spot, Target
from rally.cli.hook.words import refused, remarks, stopped, welcome
from rally.hosts.hooks import Answer, Moment
from rally.model.errors import Refused
from rally.model.kinds import PATHS_MAX
from rally.model.visible import one_line

# How the hook's own claims and standbys are told from those that the agent made.
MARK = {"by": "hook"}
SUBJECT = "editing"
# A call that touches more files than this is noted by the hundred.
_NOTES_MAX = 50
_NOTED_MAX = 100
_NAME_CHARS_MAX = 200


async def _session_start(call: Call) -> Answer:
    spot = call.room()
    if spot is None:
        return call.hooks.neutral
    data = await call.ask(spot, "enter")
    return call.tell(welcome(data, call.caller, call.rooms.clock.now_ms()))


async def _before_write(call: Call) -> Answer:
    written = call.written()
    told: list[dict[str, Any]] = []
    free: list[tuple[Spot, list[str]]] = []
    for spot, targets in written.rooms:
        data = await _check(call, spot, targets)
        findings = data["findings"]
        if not data["allow"]:
            stops = [one for one in findings if one["severity"] == "stop"]
            text = stopped(stops, call.caller, call.elsewhere(spot))
            return call.hooks.block(call.request.event, text)
        told += [one for one in findings if one["severity"] == "warn"]
        if unclaimed := _unclaimed(findings, targets):
            free.append((spot, unclaimed))
    if written.wrong:
        raise written.wrong
    if call.request.auto_claim:
        told = [one for one in told if one["code"] != "outside-claim"]
        if lost := await _claim(call, free):
            spot, refusal = lost
            conflicts = refusal.details.get("conflicts", [])
            text = refused(refusal.message, conflicts, call.caller, call.elsewhere(spot))
            return call.hooks.block(call.request.event, text)
    return call.tell(remarks(told))


async def _check(call: Call, spot: Spot, targets: list[Target]) -> dict[str, Any]:
    paths = [target.path for target in targets]
    return await call.ask(spot, "check", phase="before-write", paths=paths)


def _unclaimed(findings: list[dict[str, Any]], targets: list[Target]) -> list[str]:
    """The files that nobody holds: neither the agent itself nor, in shared mode, somebody else.

    Whole folders are checked and not claimed: `git checkout .` is over at once, and would hold
    everybody up to the end of the turn.
    """
    kept_free = {one["path"] for one in findings if one["code"] == "shared-claim"}
    kept_free |= {target.name for target in targets if target.is_folder}
    bare = [one["path"] for one in findings if one["code"] == "unclaimed-path"]
    return [path for path in bare if path not in kept_free]


async def _claim(call: Call, free: list[tuple[Spot, list[str]]]) -> tuple[Spot, Refused] | None:
    """Claim everything, or nothing and say where and why: somebody was faster."""
    held: list[tuple[Spot, str]] = []
    for spot, paths in free:
        if len(paths) > PATHS_MAX:
            note(
                call.env, call.request, f"not claimed: {len(paths)} paths are too many for a claim"
            )
            continue
        try:
            said = await call.ask(
                spot, "say", kind="claim", paths=paths, subject=SUBJECT, data=MARK
            )
        except Refused as refusal:
            for place, claim_id in held:
                await call.ask(place, "say", kind="release", ref=claim_id)
            return spot, refusal
        held.append((spot, said["fact"]["event_id"]))
    for spot, _ in held:
        _remember(call, spot)
    return None


# Where the sessions of this daemon have claimed something, to find it again at the end of a turn. What
# is forgotten (a restart, no daemon) ends with its lease.
_claimed_in: dict[tuple[str, str | None], dict[str, Spot]] = {}
_SESSIONS_MAX = 1_000


def _remember(call: Call, spot: Spot) -> None:
    if len(_claimed_in) >= _SESSIONS_MAX:
        del _claimed_in[next(iter(_claimed_in))]
    _claimed_in.setdefault(call.caller, {})[spot.root] = spot


async def _release_elsewhere(call: Call, here: Spot | None) -> None:
    """End the hook's claims in the rooms of other repositories."""
    for root, spot in _claimed_in.pop(call.caller, {}).items():
        if here is None or root != here.root:
            await _release(call, spot)


async def _release(call: Call, spot: Spot) -> int:
    """End the hook's claims in a room; how many live ones of the agent are left there."""
    kept = 0
    for claim in (await call.ask(spot, "whoami")).get("claims", []):
        if claim.get("data") == MARK:
            await call.ask(spot, "say", kind="release", ref=claim["event_id"])
        else:
            kept += claim["status"] == "live"
    return kept


async def _after_write(call: Call) -> Answer:
    import asyncio  # loaded already

    for spot, targets in call.written().rooms:
        data = await _check(call, spot, targets)
        claimed = set(data["paths"]) - {
            one["path"]
            for one in data["findings"]
            if one["code"] in ("unclaimed-path", "claimed-path")
        }
        touched = [path for path in data["paths"] if path not in claimed]
        groups = [[path] for path in touched]
        if len(groups) > _NOTES_MAX:
            groups = [touched[at : at + _NOTED_MAX] for at in range(0, len(touched), _NOTED_MAX)]
        # Together, so that they share one fsync.
        await asyncio.gather(*(_note_touched(call, spot, group) for group in groups))
    return call.hooks.neutral


async def _note_touched(call: Call, spot: Spot, paths: list[str]) -> None:
    """Say it once in a session: the key makes every later time a repetition of the first."""
    from hashlib import sha256

    tool, session_id = call.caller
    digest = sha256("\0".join([tool, session_id or "", *paths]).encode()).hexdigest()
    what = one_line(paths[0], _NAME_CHARS_MAX) if len(paths) == 1 else f"{len(paths)} files"
    await call.ask(
        spot, "say", kind="note", subject=f"touched {what}", paths=paths, data=MARK,
        key=f"touched:{digest[:32]}",
    )  # fmt: skip


async def _turn_end(call: Call) -> Answer:
    spot = call.room()
    await _release_elsewhere(call, spot)
    if spot is None:
        return call.hooks.neutral
    kept = await _release(call, spot)
    # One standby is enough, and the agent's own says more than this one would.
    if kept and not await _standbys(call, spot):
        holds = "a claim" if kept == 1 else f"{kept} claims"
        reason = f"the turn ended and it still holds {holds}"
        await call.ask(spot, "say", kind="standby", reason=reason, data=MARK)
    return call.hooks.neutral


async def _turn_start(call: Call) -> Answer:
    spot = call.room()
    if spot is None:
        return call.hooks.neutral
    for standby in await _standbys(call, spot):
        if standby.get("data") == MARK:
            await call.ask(spot, "say", kind="wake", ref_standby=standby["event_id"])
    return call.hooks.neutral


async def _standbys(call: Call, spot: Spot) -> list[dict[str, Any]]:
    """The agent's open standbys."""
    tool, session_id = call.caller
    room = await call.ask(spot, "room", limit=0)
    return [
        one
        for one in room["standbys"]
        if one["tool"] == tool and one.get("session_id") in (None, session_id)
    ]


async def _session_end(call: Call) -> Answer:
    spot = call.room()
    await _release_elsewhere(call, spot)
    if spot is not None:
        seen = await call.ask(spot, "whoami")
        if seen["entered"] or seen["claims"]:
            await call.ask(spot, "leave", reason="the session ended")
    return call.hooks.neutral


MOMENTS = {
    Moment.SESSION_START: _session_start,
    Moment.TURN_START: _turn_start,
    Moment.BEFORE_WRITE: _before_write,
    Moment.AFTER_WRITE: _after_write,
    Moment.TURN_END: _turn_end,
    Moment.SESSION_END: _session_end,
}

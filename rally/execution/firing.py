"""Firing one due standby: take the turn, look again, run the command, write down how it ended."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import randbelow
from typing import Any

from rally.execution import attempts
from rally.execution.attempts import ATTEMPTS_MAX, Begun, Doc, Failed, Fired, Standing
from rally.execution.child import Ended
from rally.execution.commands import Commands, outcome
from rally.execution.leases import Leases
from rally.execution.link import Link
from rally.execution.reporter import Reporter, shown_command
from rally.execution.surroundings import wake_env
from rally.model.clock import Clock, from_rfc3339, to_rfc3339
from rally.model.errors import Refused, UsageError

# A lease that was seen to end at an instant is over one moment later.
_MOMENT_MS = 5


@dataclass(slots=True, frozen=True)
class Later:
    """Not now: look again at this instant."""

    at_ms: int


@dataclass(slots=True)
class Firing:
    """Fires standbys for one watcher.

    Attributes:
        link: the room.
        leases: who says it, and for how long.
        commands: run here.
        reporter: told what happens.
        clock: tells the time.
        base_env: see `surroundings.base_env`.
        on_wake: a command for `sh` instead of the one that rally suggests.
        began_ms: when the watcher began. What was settled before is no news to anybody: a standby
            stays due until its owner answers, and cron would tell of it every minute.
        keeps_pauses: whether a failed attempt is followed by a pause; without, the caller is itself
            the pause.
    """

    link: Link
    leases: Leases
    commands: Commands
    reporter: Reporter
    clock: Clock
    base_env: Mapping[str, str]
    on_wake: str | None
    began_ms: int
    keeps_pauses: bool

    def command(self, entry: Doc) -> list[str]:
        """The command for an entry of `wake-due`. rally's own needs no shell."""
        if self.on_wake is not None:
            return ["sh", "-c", self.on_wake]
        return shlex.split(entry["suggested_command"])

    async def look(self, standby_id: str) -> tuple[Doc, Standing, int | None]:
        """The standby's fact, how far its series is, and when it was given up, if it was."""
        shown = await self.link.call("show", id=standby_id)
        attempt, claim = attempts.last_attempt(standby_id, shown["referred_by"])
        about: list[Doc] = []
        if claim is not None:
            about = (await self.link.call("show", id=claim["event_id"]))["referred_by"]
        given_up_ms = attempts.given_up_ms(standby_id, shown["referred_by"])
        return shown["fact"], attempts.standing(attempt, claim, about), given_up_ms

    async def attempt(self, entry: Doc) -> Later | None:
        """Do what is to be done now about a due standby; None when nothing is left to do.

        Args:
            entry: as `wake-due` lists it.

        Raises:
            RallyError: the room cannot be asked or written.
        """
        standby_id = entry["standby_event_id"]
        standby, standing, given_up_ms = await self.look(standby_id)
        match standing:
            case Fired():
                if standing.ended_ms >= self.began_ms:
                    self._skip(entry, "fired-before", attempt=standing.attempt)
                return None
            case Failed() if standing.attempt >= ATTEMPTS_MAX:
                if given_up_ms is None or given_up_ms >= self.began_ms:
                    await self._give_up(entry, standing.attempt)
                return None
            case Failed() if self.keeps_pauses:
                pause = attempts.pause_ms(standing.attempt, randbelow(1_001) / 1_000)
                if standing.ended_ms + pause > self.clock.now_ms():
                    return Later(standing.ended_ms + pause)
            case Begun() if standing.attempt >= ATTEMPTS_MAX:
                return await self._end_last(entry, standing)
            case _:
                pass
        attempt = getattr(standing, "attempt", 0) + 1
        claim = await self._take(entry, attempt)
        if isinstance(claim, Later):
            return claim
        async with self.leases.held(claim["event_id"]):
            return await self._fire(entry, standby, claim, attempt)

    async def _take(self, entry: Doc, attempt: int) -> Doc | Later:
        """Take a turn: the claim, or when to look again."""
        standby_id = entry["standby_event_id"]
        self.link.check_room()
        try:
            said = await self.link.call(
                "say",
                kind="claim",
                **self.leases.caller,
                resources=[attempts.resource_of(standby_id)],
                ref=standby_id,
                key=attempts.key_of(standby_id, attempt),
                ttl=self.leases.ttl,
                subject=f"wake {entry['owner']}, attempt {attempt}",
            )
        except Refused as refusal:
            if refusal.code == "claim-conflict":
                return self._runs_elsewhere(entry, refusal.details["conflicts"][0])
            if refusal.code == "key-conflict":  # another was faster; the ledger says what it did
                return Later(self.clock.now_ms())
            raise
        claim: Doc = said["fact"]
        return claim

    def _runs_elsewhere(self, entry: Doc, conflict: Mapping[str, Any]) -> Later:
        until = conflict["lease_expires_at"]
        self._skip(entry, "running-elsewhere", detail=conflict["owner"], until=until)
        return Later(from_rfc3339(until) + _MOMENT_MS)

    async def _fire(self, entry: Doc, standby: Doc, claim: Doc, attempt: int) -> Later | None:
        """The turn is ours: run the command, unless the owner has answered meanwhile."""
        standby_id = entry["standby_event_id"]
        if not (await self.link.call("wake-due", id=standby_id))["due"]:
            await self._end(claim, key=attempts.end_key_of(standby_id, attempt), status="answered")
            self._skip(entry, "answered")
            return None
        argv = self.command(entry)
        about = {**_about(entry), "attempt": attempt}
        began_ms = self.clock.now_ms()
        ended: Ended | None = None
        error = None

        def started(pid: int) -> None:
            shown = shown_command(self.on_wake or argv)
            self.reporter.tell("fired", **about, cause=entry["cause"], command=shown, pid=pid)

        try:
            ended = await self.commands.run(
                argv, wake_env(self.base_env, standby), on_start=started
            )
        except OSError as failure:
            error = f"{argv[0]} cannot be started: {failure.strerror}"
        about["duration_ms"] = self.clock.now_ms() - began_ms
        if ended is not None and ended.succeeded:
            await self._end(
                claim, key=attempts.key_of(standby_id, attempt + 1), status=attempts.SUCCEEDED
            )
            self.reporter.tell("finished", **about, **outcome(ended))
            return None
        return await self._failed(entry, claim, about, {"error": error, **outcome(ended)})

    async def _failed(
        self, entry: Doc, claim: Doc, about: Doc, how: Mapping[str, Any]
    ) -> Later | None:
        standby_id, attempt = entry["standby_event_id"], about["attempt"]
        status = "timed-out" if how.get("timed_out") else "failed"
        await self._end(claim, key=attempts.end_key_of(standby_id, attempt), status=status, how=how)
        if attempt >= ATTEMPTS_MAX:
            risk = await self._say_risk(entry, attempt)
            self.reporter.tell("failed", **about, **how, gave_up=True, risk=risk)
            return None
        pause = attempts.pause_ms(attempt, randbelow(1_001) / 1_000)
        again_ms = self.clock.now_ms() + pause
        again_at = to_rfc3339(again_ms) if self.keeps_pauses else None
        self.reporter.tell("failed", **about, **how, retry_at=again_at)
        return Later(again_ms)

    async def _end(
        self, claim: Doc, *, key: str, status: str, how: Mapping[str, Any] | None = None
    ) -> None:
        """Write down how an attempt ended. Its lease may have lapsed, and others gone on without us."""
        data = {
            name: value
            for name, value in (how or {}).items()
            if name in ("exit_code", "signal") and value is not None
        }
        try:
            await self.link.call(
                "say",
                kind="release",
                **self.leases.caller,
                ref=claim["event_id"],
                key=key,
                status=status,
                data=data or None,
            )
        except UsageError as error:
            if error.code != "nothing-to-release":
                raise
        except Refused as refusal:
            if refusal.code != "key-conflict":
                raise

    async def _end_last(self, entry: Doc, begun: Begun) -> Later | None:
        """The last attempt has no end: once its lease has lapsed, that is its end."""
        standby_id = entry["standby_event_id"]
        try:
            await self.link.call(
                "say",
                kind="release",
                **self.leases.caller,
                ref=begun.claim_id,
                key=attempts.end_key_of(standby_id, begun.attempt),
                status="lapsed",
            )
        except Refused as refusal:
            if refusal.code == "not-owner":
                return self._runs_elsewhere(entry, refusal.details)
            if refusal.code != "key-conflict":
                raise
        except UsageError as error:
            if error.code != "nothing-to-release":
                raise
            return Later(self.clock.now_ms())
        await self._give_up(entry, begun.attempt)
        return None

    async def _give_up(self, entry: Doc, attempt: int) -> None:
        """All attempts are spent; whoever sees it first says so."""
        risk = await self._say_risk(entry, attempt)
        self._skip(entry, "gave-up", attempt=attempt, detail=risk)

    async def _say_risk(self, entry: Doc, attempt: int) -> str | None:
        """The id of the one risk fact about this standby."""
        standby_id = entry["standby_event_id"]
        place = {name: entry[name] for name in ("run", "step") if entry.get(name)}
        return await self.link.say_risk(
            **self.leases.caller,
            ref=standby_id,
            key=attempts.risk_key_of(standby_id),
            subject=f"{entry['owner']} could not be woken: {attempt} attempts failed",
            **place,
        )

    def _skip(self, entry: Doc, reason: str, **more: Any) -> None:
        self.reporter.tell("skipped", **_about(entry), reason=reason, **more)


def _about(entry: Doc) -> Doc:
    return {name: entry.get(name) for name in ("standby_event_id", "owner", "run", "step")}

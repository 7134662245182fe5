"""Holding a claim while a command runs in the foreground (contract X4): flock(1) with a lease.

One thread, no event loop while the command runs: the process sleeps in one system call until the
command ends, a signal comes, or a third of the lease is over. Each question to the room is a short
loop of its own, so a daemon that is replaced meanwhile does not matter.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from rally.execution.link import Link
from rally.execution.process import start_foreground
from rally.execution.signals import Signals
from rally.model.clock import Clock
from rally.model.errors import Failure, RallyError, Refused, UsageError
from rally.model.shell import word
from rally.model.visible import visible

if TYPE_CHECKING:
    from rally.execution.process import Process

NOT_FOUND, NOT_EXECUTABLE, SIGNALLED = 127, 126, 128
# A machine that slept, or a process that was stopped, finds out about its lease this soon.
_NAP_MS_MAX = 15_000
_TTL = "5m"  # where the caller names none
_SAY_CLAIM = "rally say claim"
# A room that cannot be asked must not keep signals from the command for longer.
_PATIENCE_S = 5.0


@dataclass(slots=True, frozen=True)
class Wanted:
    """What is to be held, and for what.

    Attributes:
        claim: the fields of the claim, as `say` takes them; `tool`, `session_id` and `key` among
            them.
        ttl_ms: how long the lease runs without being renewed.
        argv: the command.
        stdout: the descriptor that is the command's standard output; None: this process's own.
    """

    root: str
    claim: Mapping[str, Any]
    ttl_ms: int
    argv: tuple[str, ...]
    stdout: int | None = None


@dataclass(slots=True)
class Held:
    """What came of it.

    Attributes:
        exit_code: the command's; 128 + n for signal n, 127 not found, 126 not executable.
        is_lost: the lease was over before the command was.
    """

    claim_id: str
    fence: int
    exit_code: int = 0
    is_lost: bool = False
    warnings: list[dict[str, str]] = field(default_factory=list)


class InterruptedBySignal(Exception):  # no error of rally's: somebody stopped the wait
    """A signal came before the command was started; the claim is not held.

    Args:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Hold:
    """One `rally hold`. For the main thread of a process.

    Args:
        wanted: what to hold.
        env: the environment that it was called in.
        clock: tells the time.
        warn: told at once what is wrong, beside the warnings of `Held`.
    """

    def __init__(
        self,
        wanted: Wanted,
        *,
        env: Mapping[str, str],
        clock: Clock,
        warn: Callable[[str], None],
    ) -> None:
        self._wanted = wanted
        self._env = env
        self._clock = clock
        self._warn = warn
        self._caller = {name: wanted.claim[name] for name in ("tool", "session_id")}
        self._signals = Signals()

    def run(self) -> Held:
        """Claim, run the command, release.

        Raises:
            RallyError: the claim was refused; the command was not started.
            InterruptedBySignal: the wait for the claim was given up; the command was not started.
        """
        with self._signals:
            try:
                held = self._claim()
            except RallyError as error:
                error.hint = own_hint(error.hint, self._wanted)
                raise
            try:
                held.exit_code = self._run_command(held)
            finally:
                self._release(held)
        return held

    # --- the command

    def _run_command(self, held: Held) -> int:
        if self._signals.early:
            raise InterruptedBySignal(self._signals.early[0])
        try:
            with self._signals.let_through():
                child = start_foreground(
                    self._wanted.argv,
                    env={**self._env, "RALLY_FENCE": str(held.fence)},
                    stdout=self._wanted.stdout,
                )
        except FileNotFoundError:
            self._add_warning(held, "not-found", f"{self._wanted.argv[0]}: command not found")
            return NOT_FOUND
        except OSError as error:
            self._add_warning(
                held, "not-executable", f"{self._wanted.argv[0]}: {error.strerror or error}"
            )
            return NOT_EXECUTABLE
        return self._see_through(child, held)

    def _see_through(self, child: Process, held: Held) -> int:
        """Wait for the command's end, pass signals on, keep the lease alive."""
        third_ms = max(self._wanted.ttl_ms // 3, 1)
        renew_ms = self._clock.now_ms() + third_ms
        while (code := child.poll()) is None:
            left_ms = renew_ms - self._clock.now_ms()
            if left_ms <= 0 and not held.is_lost:
                self._renew(held)
                renew_ms = self._clock.now_ms() + third_ms
                continue
            nap_ms = _NAP_MS_MAX if held.is_lost else min(left_ms, _NAP_MS_MAX)
            arrived = self._signals.wait(nap_ms / 1_000)
            if arrived is not None and not arrived.from_terminal:
                child.send_signal(arrived.number)
        return code if code >= 0 else SIGNALLED - code

    # --- the claim

    def _claim(self) -> Held:
        async def claim(link: Link) -> Held:
            said = await link.call("say", **self._wanted.claim)
            return Held(said["fact"]["event_id"], said["fence"])

        async def claim_or_withdraw() -> Held:
            loop = asyncio.get_running_loop()
            link = Link(self._wanted.root, self._env)
            asking = loop.create_task(claim(link))
            self._signals.on_early = partial(_cancel_from_handler, loop, asking)
            try:
                if self._signals.early:
                    asking.cancel()
                await asyncio.wait((asking,))
                if asking.cancelled():
                    await self._withdraw(link)
                    raise InterruptedBySignal(self._signals.early[0])
                return asking.result()
            finally:
                self._signals.on_early = None
                await link.close()

        with self._signals.let_through():
            return asyncio.run(claim_or_withdraw())

    async def _withdraw(self, link: Link) -> None:
        """The wait was given up; it may have been granted in that very moment.

        Whether it was is asked by its key: what comes back as said before is held, and released.
        """
        again = {name: value for name, value in self._wanted.claim.items() if name != "wait"}
        try:
            async with asyncio.timeout(_PATIENCE_S):
                said = await link.call("say", **again)
                await link.call("say", kind="release", **self._caller, ref=said["fact"]["event_id"])
        except (RallyError, TimeoutError):
            return

    def _renew(self, held: Held) -> None:
        async def renew(link: Link) -> None:
            held.is_lost = not await link.is_held(held.claim_id, **self._caller)

        trouble = self._ask(renew)
        if held.is_lost:
            self._add_warning(
                held,
                "lease-lost",
                f"the lease of {held.claim_id} is over and others may write; "
                f"{word(self._wanted.argv[0])} runs on",
            )
        elif trouble is not None:
            self._add_warning(
                held, "renewal-failed", f"the lease was not renewed: {trouble.message}"
            )

    def _release(self, held: Held) -> None:
        async def release(link: Link) -> None:
            await link.call("say", kind="release", **self._caller, ref=held.claim_id)

        if held.is_lost:
            return
        trouble = self._ask(release)
        if isinstance(trouble, UsageError | Refused):
            held.is_lost = True
            self._add_warning(
                held, "lease-lost", f"the lease of {held.claim_id} was over before the command was"
            )
        elif trouble is not None:
            self._add_warning(
                held, "not-released", f"{held.claim_id} is not released: {trouble.message}"
            )

    def _ask(self, question: Callable[[Link], Any]) -> RallyError | None:
        """Put one question to the room in a loop of its own; the error that came of it."""

        async def ask() -> None:
            link = Link(self._wanted.root, self._env)
            try:
                if not link.has_room():
                    raise link.gone()
                async with asyncio.timeout(_PATIENCE_S):
                    await question(link)
            finally:
                await link.close()

        try:
            with self._signals.let_through():
                asyncio.run(ask())
        except RallyError as error:
            return error
        except TimeoutError:
            return Failure("unavailable", f"no answer within {_PATIENCE_S:g} s", hint="rally room")
        return None

    def _add_warning(self, held: Held, code: str, message: str) -> None:
        if any(one["code"] == code for one in held.warnings):
            return
        held.warnings.append({"code": code, "message": message})
        self._warn(visible(message))


def _cancel_from_handler(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Held]) -> None:
    """A signal's handler runs between two steps of the loop, which may be asleep."""
    loop.call_soon_threadsafe(task.cancel)


def claim_fields(given: Mapping[str, Any], argv: tuple[str, ...]) -> dict[str, Any]:
    """The claim of one `hold`: what was typed, a key, and a session where none is given.

    Without a session, two of them with one tool id would be one owner, and hold the same thing
    together (contract C4, C5).
    """
    unique = f"hold-{os.getpid()}-{token_hex(6)}"
    fields = {name: value for name, value in given.items() if value not in (None, (), "")}
    return {
        "kind": "claim",
        "subject": _own_subject(argv),
        "session_id": unique,
        **{
            name: list(value) if isinstance(value, tuple) else value
            for name, value in fields.items()
        },
        "key": unique,
    }


def _own_subject(argv: tuple[str, ...]) -> str:
    return f"hold: {os.path.basename(argv[0])}"


def own_hint(hint: str, wanted: Wanted) -> str:
    """The hint of a claim that was not granted, as `hold` would be called."""
    if not hint.startswith(_SAY_CLAIM):
        return hint
    flags, session_id = hint.removeprefix(_SAY_CLAIM), wanted.claim["session_id"]
    if session_id == wanted.claim["key"]:  # made up for this call
        flags = flags.replace(f" --session-id {session_id}", "")
    # What it says of its own accord it says again.
    for own in (f" --subject {word(_own_subject(wanted.argv))}", f" --ttl {_TTL}"):
        flags = flags.replace(own, "")
    return f"rally hold{flags} -- {' '.join(map(word, wanted.argv))}"


def signalled(number: int) -> int:
    """The exit code of a process that a signal ended."""
    return SIGNALLED + signal.Signals(number)

"""`rally top`: the room as `rally room` tells it, live as long as there is a terminal."""

from __future__ import annotations

import asyncio
import os
import signal
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from rally.cli.command import verb
from rally.cli.console import Console
from rally.cli.envelope import warning_text
from rally.cli.plan import OutputClosedError, Takeover
from rally.cli.screen import Screen
from rally.cli.terminal import emit
from rally.cli.text.room import show_room
from rally.execution.link import Link

LISTED, RUNS_SHOWN = 50, 4
# Places in a queue, and silence that turned into idleness: no fact tells of them.
_REFRESH_S = 15.0
# However much happens: the daemon is busy with us a quarter of the time at most, and a frame of a
# large terminal costs us 60 ms.
_REST_PER_ANSWER, _REST_S_MIN = 3, 0.2

# xterm's private modes: a screen of its own, no cursor, and no wrapping: where terminal and program
# disagree on the width of a character, a line is cut and does not push the others down.
_TAKE, _GIVE_BACK = b"\x1b[?1049h\x1b[?25l\x1b[?7l", b"\x1b[?7h\x1b[?25h\x1b[?1049l"
# Shown in one piece by terminals that can (mode 2026); each line is cleared before it is written.
_FRAME, _LINE, _END = "\x1b[?2026h\x1b[H\x1b[2K", "\r\n\x1b[2K", "\x1b[?2026l"


@verb("top", example="rally top", exits={0: "done, or left", 1: "", 2: ""})
def top() -> Takeover:
    """The room, live: claims, agents, standbys, runs, last facts.

    Drawn anew whenever something happens, and every second while it counts down; q leaves. Where
    standard output is no terminal, the room is printed once, as by `rally room`. Reading writes
    nothing.
    """
    console = Console.of(click.get_current_context())
    root = console.root()
    if not console.can_draw:
        return Takeover(lambda: console.guarded(lambda: _once(console, root)))
    return Takeover(lambda: console.guarded(lambda: Top(console, root).run()))


async def _once(console: Console, root: str) -> int:
    feed = Feed(Link(root, console.call.env))
    try:
        data = await feed.read()
    finally:
        await feed.link.close()
    if console.wants_json:
        console.answer(data, feed.warnings)
        return 0
    console.line(show_room(data, console.screen))
    if feed.warnings:
        console.call.err(warning_text(feed.warnings))
    return 0


class Feed:
    """The room, asked anew; runs only when something may have changed in them.

    A large run is read from the ledger, and whoever asks the daemon waits meanwhile.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        # The daemon says them once, to whoever asks first.
        self.warnings: list[dict[str, str]] = []
        self._counts: dict[str, dict[str, int]] = {}
        self._stale: set[str | None] = set()

    def heed(self, event: dict[str, Any]) -> None:
        """Note which runs an event of the room is about; None stands for all."""
        facts = event.get("facts")
        runs = {None} if facts is None else {fact["run"] for fact in facts if fact.get("run")}
        self._stale |= runs

    async def read(self) -> dict[str, Any]:
        """The answer of `room`, with `runs` (`{run, counts}`, newest first) and `facts`.

        Raises:
            RallyError: `room-gone`, or as `Link.call`.
        """
        self.link.check_room()
        stale, self._stale = self._stale, set()
        kept = {} if None in stale else {n: c for n, c in self._counts.items() if n not in stale}
        room = await self.link.call("room", limit=LISTED)
        self.warnings += [one for one in room.warnings if one not in self.warnings]
        facts = (await self.link.call("log", limit=LISTED))["facts"]
        begun = (await self.link.call("log", kinds=["run", "task"], limit=LISTED))["facts"]
        held = [*room["active_claims"], *room["standbys"], *room["recent_artifacts"]]
        said = sorted([*facts, *begun, *held], key=lambda fact: -fact["seq"])
        runs = list(dict.fromkeys(fact["run"] for fact in said if fact.get("run")))[:RUNS_SHOWN]
        for run in runs:
            if run not in kept:
                kept[run] = (await self.link.call("dag", run=run))["counts"]
        self._counts = kept
        return {**room, "runs": [{"run": run, "counts": kept[run]} for run in runs], "facts": facts}


class Top:
    """The live view of one room."""

    def __init__(self, console: Console, root: str) -> None:
        self._console = console
        self._feed = Feed(Link(root, console.call.env))
        self._data: dict[str, Any] = {}
        self._left, self._redraw, self._news = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(self) -> int:
        """Draw until somebody leaves; the terminal is as it was then, whatever happened."""
        work = (self._left.wait(), self._follow(), self._load(), self._draw())
        tasks = [asyncio.ensure_future(one) for one in work]
        try:
            with Terminal(self._left.set, self._redraw.set):
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._feed.link.close()
            if self._feed.warnings:
                self._console.call.err(warning_text(self._feed.warnings))
        for task in done:
            task.result()
        return 0

    async def _follow(self) -> None:
        async for event in self._feed.link.follow(since=None, want=["facts", "due"]):
            self._feed.heed(event)
            self._news.set()

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not await _happens(self._news, _REFRESH_S):
                self._feed.heed({})
            began_s = loop.time()
            self._data = await self._feed.read()
            self._redraw.set()
            await asyncio.sleep(max(_REST_S_MIN, _REST_PER_ANSWER * (loop.time() - began_s)))

    async def _draw(self) -> None:
        from rally.cli import top_view  # rich, for this alone

        while True:
            now_ms = self._console.clock.now_ms()
            if self._data:
                try:
                    columns, lines = os.get_terminal_size(1)
                    colour = self._console.screen.colour
                    screen = Screen(columns or 80, is_piped=False, colour=colour, now_ms=now_ms)
                    shown = top_view.view(self._data, screen, lines or 24)
                    drawn = _LINE.join(top_view.draw(shown, screen, lines or 24))
                    emit(1, f"{_FRAME}{drawn}{_END}".encode(errors="backslashreplace"))
                except OSError:  # the terminal is gone, and its reader with it
                    raise OutputClosedError from None
            await _happens(self._redraw, 1 - now_ms % 1_000 / 1_000)


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    """Wait for an event, which is then unset; false when it did not come in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    came = event.is_set()
    event.clear()
    return came


class Terminal:
    """A screen of our own and keys one by one while it is entered; all as before afterwards, and
    while the program is stopped.

    Args:
        leave: told when q was pressed, or a signal asks to end.
        redraw: told when the size changed, or somebody came back from Ctrl-Z.
    """

    def __init__(self, leave: Callable[[], None], redraw: Callable[[], None]) -> None:
        self._leave, self._redraw = leave, redraw
        self._before = termios.tcgetattr(0) if os.isatty(0) else None
        self._loop = asyncio.get_running_loop()
        self._handlers = {
            signal.SIGINT: leave, signal.SIGTERM: leave, signal.SIGHUP: leave,
            signal.SIGWINCH: redraw, signal.SIGTSTP: self._pause,
        }  # fmt: skip

    def __enter__(self) -> None:
        for number, handler in self._handlers.items():
            self._loop.add_signal_handler(number, handler)
        if self._before is not None:
            self._loop.add_reader(0, self._read)
        self._take()

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(0)
        self._give_back()
        for number in self._handlers:
            self._loop.remove_signal_handler(number)

    def _take(self) -> None:
        try:
            if self._before is not None:
                tty.setcbreak(0)
            emit(1, _TAKE)
        except BaseException:
            self._give_back()
            raise

    def _give_back(self) -> None:
        with suppress(OSError, OutputClosedError):
            emit(1, _GIVE_BACK)
        if self._before is not None:
            with suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self._before)

    def _pause(self) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
        self._redraw()

    def _read(self) -> None:
        try:
            keys = os.read(0, 1_024)
        except OSError:  # the terminal is gone
            keys = b""
        if not keys or b"q" in keys:
            self._leave()

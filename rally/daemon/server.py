"""The daemon's server: accepts this user's connections, counts what is going on, and leaves in
order.

Leaving (SIGTERM, `stop`, idleness, a newer version) goes so that no request is lost between two
daemons:

    1. the socket file goes away: nobody new can come here
    2. connections that wait to be accepted are accepted, the listener closes, the lock is let go
    3. a connection on which nothing runs is told `D`: none of its requests was begun
    4. what runs may finish within `FINISH_S`, then it is cancelled
    5. the rooms are closed
    6. the connections that asked for it with `stop` are closed: their owners know that all is done
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import rally
from rally.daemon.conversation import Conversation
from rally.daemon.peer import peer_uid
from rally.daemon.ports import Rooms, RunArgv
from rally.model.clock import SystemClock, to_rfc3339

_log = logging.getLogger("rally.daemon")

BACKLOG = 1024
FINISH_S = 2.0
_CANCEL_S = 1.0
_CLOSE_S = 5.0
# A connection is refused by the kernel while no descriptor is free; looking again costs nothing.
_NO_DESCRIPTOR_PAUSE_S = 0.1


class Server:
    """One daemon's connections.

    Args:
        rooms: answers calls; closed by the server when it leaves.
        run_argv: answers command lines.
        is_managed: systemd owns the socket: no idle exit, and newer versions do not replace this
            one.
        owner_uid: the only user who is served.
    """

    def __init__(
        self,
        rooms: Rooms,
        run_argv: RunArgv,
        *,
        is_managed: bool = False,
        owner_uid: int | None = None,
    ) -> None:
        self.rooms = rooms
        self.run_argv = run_argv
        self.is_managed = is_managed
        self.is_leaving = False
        self.version = rally.__version__
        self._owner_uid = os.geteuid() if owner_uid is None else owner_uid
        self._conversations: set[Conversation] = set()
        self._arrivals: set[asyncio.Task[Any]] = set()
        self._leave_asked = asyncio.Event()
        self._started_ms = SystemClock().now_ms()
        self._last_request_s = 0.0
        self._is_short = False

    async def serve(
        self,
        listener: socket.socket,
        *,
        idle_s: float | None = None,
        on_ready: Callable[[], None] = lambda: None,
        on_leave: Callable[[], None] = lambda: None,
    ) -> None:
        """Answer until `leave` is called, then finish.

        Args:
            listener: a bound Unix stream socket; closed at the end.
            idle_s: seconds without any request or connection after which the daemon leaves; None:
                never.
            on_ready: called once connections are accepted.
            on_leave: takes the socket file away and lets go of the lock.
        """
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        listener.listen(BACKLOG)
        loop.add_reader(listener, self._accept, listener)
        self.touch()
        if idle_s is not None:
            loop.call_later(idle_s, self._leave_if_idle, idle_s)
        on_ready()
        try:
            await self._leave_asked.wait()
        finally:
            await self._finish(listener, on_leave)

    def leave(self, why: str) -> None:
        """Begin to leave; repeatable."""
        if not self._leave_asked.is_set():
            _log.info("leaving: %s", why)
        self._leave_asked.set()

    def touch(self) -> None:
        """Note that a request came, which puts the idle exit off."""
        self._last_request_s = asyncio.get_running_loop().time()

    def status(self) -> dict[str, Any]:
        """The answer to `ping`."""
        now_ms = SystemClock().now_ms()
        return {
            "pid": os.getpid(),
            "version": self.version,
            "started_at": to_rfc3339(self._started_ms),
            "uptime_s": (now_ms - self._started_ms) // 1_000,
            "rooms": self.rooms.open_rooms(),
            "clients": len(self._conversations),
            "systemd": self.is_managed,
        }

    def forget(self, conversation: Conversation) -> None:
        """Called by a conversation that is over."""
        self._conversations.discard(conversation)

    def _accept(self, listener: socket.socket) -> None:
        """Accept all who wait."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                if not self._is_short:
                    _log.error("cannot accept connections: %s", error.strerror)
                self._is_short = True
                loop.remove_reader(listener)
                loop.call_later(_NO_DESCRIPTOR_PAUSE_S, self._accept_again, listener)
                return
            self._is_short = False
            if not self._is_owner(sock):
                sock.close()
                continue
            sock.setblocking(False)
            arrival = loop.create_task(
                loop.connect_accepted_socket(lambda: self._greet(Conversation(self)), sock)
            )
            self._arrivals.add(arrival)
            arrival.add_done_callback(self._arrivals.discard)

    def _accept_again(self, listener: socket.socket) -> None:
        if not self.is_leaving:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _greet(self, conversation: Conversation) -> Conversation:
        self._conversations.add(conversation)
        return conversation

    def _is_owner(self, sock: socket.socket) -> bool:
        try:
            uid = peer_uid(sock)
        except OSError as error:
            _log.warning("refused a peer that cannot be identified: %s", error)
            return False
        if uid != self._owner_uid:
            _log.warning("refused a peer of uid %d", uid)
        return uid == self._owner_uid

    def _leave_if_idle(self, idle_s: float) -> None:
        loop = asyncio.get_running_loop()
        quiet_s = loop.time() - self._last_request_s
        if self._conversations or self._arrivals or self.rooms.busy():
            quiet_s = 0.0
        if quiet_s >= idle_s:
            self.leave(f"idle for {idle_s:g} s")
        elif not self.is_leaving:
            loop.call_later(idle_s - quiet_s, self._leave_if_idle, idle_s)

    async def _finish(self, listener: socket.socket, on_leave: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.is_leaving = True
        on_leave()
        if not self.is_managed:  # systemd keeps its socket, and those who wait, for the next daemon
            self._accept(listener)
        loop.remove_reader(listener)
        listener.close()
        if self._arrivals:
            await asyncio.wait(self._arrivals, timeout=_CANCEL_S)
        running = [task for talk in list(self._conversations) for task in talk.leave()]
        if running:
            _, late = await asyncio.wait(running, timeout=FINISH_S)
            for task in late:
                task.cancel()
            if late:
                _log.info("gave up %d requests that did not finish in %g s", len(late), FINISH_S)
                await asyncio.wait(late, timeout=_CANCEL_S)
        for talk in list(self._conversations):
            if not talk.sees_off:
                talk.close()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self.rooms.close()
        finally:
            for talk in list(self._conversations):
                talk.close()

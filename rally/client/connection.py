"""A connection to the daemon for programs and runners: questions, answers and events.

    connection = await Connection.open()
    answer = await connection.call("room", tool="codex:1")
    async for event in connection.subscribe(since=answer["head"]):
        ...

Any number of calls and subscriptions share one connection. Names of operations and their parameters
are those of `rally.facilitation.rooms`; an answer is the operation's main result.
"""

from __future__ import annotations

import _socket
import asyncio
import itertools
import os
import socket
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

import orjson

from rally import __version__
from rally.client.launch import HELLO_S, ensure_daemon, lock_holder, replace_daemon
from rally.model.errors import Failure, RallyError, error_from_json
from rally.wire.door import knock
from rally.wire.frames import CALL, JSON, LEAVING, Decoder, FrameError, pack
from rally.wire.locations import socket_path

_SENT_VARIABLES: Final = frozenset({"HOME", "XDG_STATE_HOME"})


class Answer(dict[str, Any]):
    """The main result of an operation; `warnings` is what came beside it: `{code, message}`
    each."""

    warnings: list[dict[str, str]]


# What a waiting call is told: an answer, an event, or the error that ends it.
_News = Answer | dict[str, Any] | RallyError


class Connection:
    """An open connection to this user's daemon. Made by `open`; of one event loop."""

    def __init__(self, transport: asyncio.Transport, reader: _Reader, sent: dict[str, Any]) -> None:
        self._transport = transport
        self._reader = reader
        self._sent = sent
        self._numbers = itertools.count(1)

    @classmethod
    async def open(
        cls,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        start: bool = True,
    ) -> Connection:
        """Connect, starting or replacing the daemon where need be.

        Args:
            env: the caller's environment, which tells where the daemon is; this process's by
                default.
            cwd: the folder from which the room is found; this process's by default.
            start: start a daemon where none listens, and insist on this version. False takes what
                there is.

        Raises:
            Failure: `no-daemon`; nothing was asked. `details.silent` where one accepts connections
                and does not answer.
        """
        env = os.environ if env is None else env
        sent = {
            "cwd": str(Path.cwd()) if cwd is None else cwd,
            "env": {k: v for k, v in env.items() if k.startswith("RALLY_") or k in _SENT_VARIABLES},
        }
        connection = await cls._try_to_open(env, sent, any_version=not start)
        if connection is None and start:
            connection = await cls._try_to_open(env, sent, any_version=False)
        if connection is None:
            raise Failure("no-daemon", "no daemon can be reached", hint="rally daemon start")
        return connection

    @classmethod
    async def _try_to_open(
        cls, env: Mapping[str, str], sent: dict[str, Any], *, any_version: bool
    ) -> Connection | None:
        """A connection; None after what was in its way was, if possible, put right."""
        knocked = await _knock(env)
        if knocked is None:
            if not any_version:
                await asyncio.to_thread(ensure_daemon, env)
            return None
        sock = socket.socket(fileno=knocked.detach())
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            transport, reader = await loop.create_unix_connection(_Reader, sock=sock)
        except BaseException:
            sock.close()
            raise
        connection = cls(transport, reader, sent)
        try:
            async with asyncio.timeout(HELLO_S):
                version = (await connection.call("ping"))["version"]
        except TimeoutError:
            transport.abort()
            raise _silent(env) from None
        except RallyError:
            await connection.close()
            return None
        except BaseException:
            transport.abort()
            raise
        if any_version or version == __version__:
            return connection
        await connection.close()
        await asyncio.to_thread(replace_daemon, env, __version__)
        return None

    async def call(self, op: str, /, **params: Any) -> Answer:
        """Ask one question. Giving up (cancelling) withdraws it at the daemon.

        Raises:
            RallyError: the daemon's refusal, as it was raised there.
            Failure: `unavailable`; the connection was lost before the answer. A write may have been
                done (its message says which) and is safe to repeat with the same key.
        """
        number, news = self._begin(op, params)
        try:
            answer = await news.get()
        except asyncio.CancelledError:
            self._withdraw(number)
            raise
        finally:
            self._reader.waiting.pop(number, None)
        if isinstance(answer, RallyError):
            raise answer
        return cast(Answer, answer)

    async def subscribe(self, **params: Any) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a room as they happen; closing the generator ends the subscription.

        Raises:
            RallyError: as `call`.
        """
        number, news = self._begin("subscribe", params)
        is_over = False
        try:
            while True:
                item = await news.get()
                is_over = isinstance(item, RallyError | Answer)
                if isinstance(item, RallyError):
                    raise item
                if is_over:
                    return
                yield item
        finally:
            self._reader.waiting.pop(number, None)
            if not is_over:
                self._withdraw(number)

    async def close(self) -> None:
        """Close the connection; what is still asked on it is withdrawn."""
        self._transport.close()
        await self._reader.closed.wait()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()

    def _begin(self, op: str, params: dict[str, Any]) -> tuple[int, asyncio.Queue[_News]]:
        number = next(self._numbers)
        news: asyncio.Queue[_News] = asyncio.Queue()
        if self._reader.end is not None:
            raise unavailable(self._reader.end)
        self._reader.waiting[number] = news
        request = {"id": number, "op": op, "params": params, **self._sent}
        self._transport.write(pack(CALL, orjson.dumps(request)))
        return number, news

    def _withdraw(self, number: int) -> None:
        if self._reader.end is None and not self._transport.is_closing():
            request = {"id": next(self._numbers), "op": "cancel", "params": {"id": number}}
            self._transport.write(pack(CALL, orjson.dumps(request)))


class _Reader(asyncio.Protocol):
    """Hands what arrives to whoever waits for it."""

    def __init__(self) -> None:
        self.waiting: dict[int, asyncio.Queue[_News]] = {}
        self.closed = asyncio.Event()
        self.end: str | None = None
        self._decoder = Decoder()
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for kind, payload in self._decoder.feed(data):
                if kind == JSON:
                    self._deliver(orjson.loads(payload))
                elif kind == LEAVING:
                    self._finish("the daemon left; the request was not begun")
        except (FrameError, ValueError) as error:
            self._finish(f"the daemon sent what cannot be read: {error}")
            if self._transport is not None:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish("the connection to the daemon was lost; the request may have been done")
        self.closed.set()

    def _deliver(self, message: dict[str, Any]) -> None:
        news = self.waiting.get(cast(int, message.get("id")))
        if news is None:
            return
        if "event" in message:
            news.put_nowait(message["event"])
        elif message.get("ok"):
            answer = Answer(message["data"])
            answer.warnings = message.get("warnings", [])
            news.put_nowait(answer)
        else:
            news.put_nowait(error_from_json(message["error"]))

    def _finish(self, why: str) -> None:
        self.end = self.end or why
        for news in self.waiting.values():
            news.put_nowait(unavailable(self.end))
        self.waiting.clear()


async def _knock(env: Mapping[str, str]) -> _socket.socket | None:
    """`knock` in a thread. Who gives up meanwhile leaves no open connection behind."""
    knocking = asyncio.get_running_loop().run_in_executor(None, knock, env)
    try:
        return await asyncio.shield(knocking)
    except asyncio.CancelledError:
        unwanted = await knocking  # at most `KNOCK_S`
        if unwanted is not None:
            unwanted.close()
        raise


def _silent(env: Mapping[str, str]) -> Failure:
    pid = lock_holder(env)
    return Failure(
        "no-daemon",
        f"the daemon accepts connections and does not answer within {HELLO_S:g} s",
        hint=f"kill -9 {pid}" if pid is not None else "rally doctor",
        details={"silent": True, "pid": pid, "socket": socket_path(env)},
    )


def unavailable(why: str) -> Failure:
    """The error of a question that stays without an answer."""
    return Failure("unavailable", why, hint="try again; `rally daemon status` says more")

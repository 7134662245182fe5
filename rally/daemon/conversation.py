"""One connection to the daemon, from its first byte to its last (the format: `rally.wire.frames`).

A connection is of the form of its first frame. Each request is a task; when the connection goes,
its tasks are cancelled, since nobody is left to hear. What a task writes is gathered for the rest
of the loop's turn, so a short answer and its exit code leave in one system call and wake the client
once.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Coroutine
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from rally.cli.call import ArgvCall
from rally.daemon.calls import Call, error_frame, event_frame, read_call, result_frame
from rally.daemon.params import check_params
from rally.daemon.versions import is_superseded_by
from rally.model.errors import Failure, RallyError, UsageError
from rally.wire import frames
from rally.wire.argv import ArgvRequest, OtherProtocolError, unpack_argv

if TYPE_CHECKING:
    from rally.daemon.server import Server

_log = logging.getLogger("rally.daemon")

# Unanswered output that makes a streaming verb wait, and unanswered calls that make the client
# wait.
_UNSENT_BYTES_MAX = 256 * 1024
_CALLS_MAX = 1_024


class Conversation(asyncio.Protocol):
    """The daemon's side of one connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._decoder = frames.Decoder()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._awaiting_input: ArgvRequest | None = None
        self._is_argv = False
        self._gave_up = False
        self.sees_off = False
        self._unsent: list[bytes] = []
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._is_reading = True

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_UNSENT_BYTES_MAX)
        if self._server.is_leaving:
            self.leave()

    def data_received(self, data: bytes) -> None:
        try:
            for kind, payload in self._decoder.feed(data):
                if not self._transport.is_closing():
                    self._take(kind, payload)
        except frames.FrameError as error:
            self._refuse(
                UsageError(
                    "usage", str(error), hint="the format is described in rally/wire/frames.py"
                )
            )

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._can_write.set()
        self._server.forget(self)

    def pause_writing(self) -> None:
        self._can_write.clear()
        self._adjust_reading()

    def resume_writing(self) -> None:
        self._can_write.set()
        self._adjust_reading()

    # --- what the server calls

    def leave(self) -> list[asyncio.Task[None]]:
        """The tasks that still run; where none does, the client is told that nothing was begun.

        Who asked for `stop` is told by the end of its connection that the rooms are closed.
        """
        if not self._tasks and not self._gave_up:
            self._send(frames.pack(frames.LEAVING))
        if not self._tasks and not self.sees_off:
            self.close()
        return list(self._tasks.values())

    def close(self) -> None:
        """Send what is unsent and close."""
        self._flush()
        self._transport.close()

    # --- requests

    def _take(self, kind: bytes, payload: bytes) -> None:
        """Act on one frame. Raises FrameError where it has no place here."""
        if kind == frames.CALL and not self._is_argv:
            self._take_call(payload)
        elif kind == frames.ARGV and not self._is_argv and not self._tasks:
            self._is_argv = True
            self._take_argv(payload)
        elif kind == frames.INPUT and self._awaiting_input is not None:
            request, self._awaiting_input = self._awaiting_input, None
            self._start_argv(request, payload)
        elif kind == frames.DRAIN and not self._is_argv:
            self._take_drain(payload.decode("ascii", "replace"))
        else:
            raise frames.FrameError(f"a frame of type {kind!a} has no place here")

    def _take_argv(self, payload: bytes) -> None:
        try:
            request = unpack_argv(payload)
        except OtherProtocolError:
            self._send_version()
            return
        if request.version != self._server.version:
            self._send_version()
        elif request.has_input:
            self._awaiting_input = request
        else:
            self._start_argv(request, None)

    def _start_argv(self, request: ArgvRequest, stdin: bytes | None) -> None:
        """Begin, unless the caller has gone: it may be doing the same elsewhere by now."""
        hung_up = select.poll()
        hung_up.register(self._transport.get_extra_info("socket").fileno(), 0)
        if hung_up.poll(0):
            self.close()
        else:
            self._start(0, self._run_argv(request, stdin))

    def _take_drain(self, version: str) -> None:
        if self._server.is_managed or not is_superseded_by(self._server.version, version):
            self._send_version()
        else:
            self._server.leave(f"replaced by version {version!a}")

    def _send_version(self) -> None:
        body = f"{self._server.version}\0{frames.PROTOCOL}"
        self._send(frames.pack(frames.VERSION, body.encode()))
        self.close()

    def _take_call(self, payload: bytes) -> None:
        try:
            call = read_call(payload)
        except UsageError as error:
            self._send(error_frame(error.details.pop("id", None), error))
            return
        if call.id in self._tasks:
            twice = UsageError("usage", f"request {call.id} is still unanswered", hint="count up")
            self._send(error_frame(call.id, twice))
        elif call.op == "cancel":
            self._send(result_frame(call.id, {"cancelled": self._cancel(call.params.get("id"))}))
        elif self._server.is_leaving:
            late = Failure(
                "unavailable", "the daemon is leaving; nothing was begun", hint="try again"
            )
            self._send(error_frame(call.id, late))
        else:
            self._start(call.id, self._answer(call))
            if len(self._tasks) >= _CALLS_MAX:
                self._adjust_reading()

    def _cancel(self, number: object) -> bool:
        """Give up a request, which then stays without an answer; false if it has one already."""
        task = self._tasks.get(number) if type(number) is int else None
        return task is not None and task.cancel()

    def _start(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        self._server.touch()
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[number] = task
        task.add_done_callback(lambda task: self._ended(number, task))

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        self._server.touch()
        del self._tasks[number]
        self._gave_up = self._gave_up or task.cancelled()
        if self._transport.is_closing():
            return
        if self._is_argv:
            self.close()
        elif self._server.is_leaving and not self._tasks:
            self.leave()
        elif not self._is_reading:
            self._adjust_reading()

    # --- the two forms

    async def _run_argv(self, request: ArgvRequest, stdin: bytes | None) -> None:
        call = ArgvCall(
            cwd=request.cwd,
            env=request.env,
            width=request.width,
            colour=request.colour,
            stdin=stdin,
            out=lambda data: self._send_output(frames.OUT, data),
            err=lambda data: self._send_output(frames.ERR, data),
            drain=self._drain,
        )
        try:
            code = await self._server.run_argv(request.argv, call, self._server.rooms)
        except Exception as error:
            code = _print_failure(self._failure(error), request.argv, call)
        self._send(frames.pack(frames.EXIT, b"%d" % code))
        self._flush()

    async def _answer(self, call: Call) -> None:
        try:
            if call.op == "subscribe":
                await self._stream(call)
                answer = result_frame(call.id, {})
            else:
                answer = result_frame(call.id, *await self._reply(call))
        except Exception as error:
            answer = error_frame(call.id, self._failure(error))
        self._send(answer)
        self._flush()

    async def _reply(self, call: Call) -> tuple[dict[str, Any], list[dict[str, str]]]:
        server = self._server
        if call.op not in ("ping", "stop"):
            params = check_params(call.op, call.params)
            return await server.rooms.call(call.op, params, cwd=call.cwd, env=call.env)
        if call.op == "stop":
            self.sees_off = True
            server.leave("asked to stop")
        return server.status(), []

    async def _stream(self, call: Call) -> None:
        params = check_params(call.op, call.params)
        events = self._server.rooms.subscribe(params, cwd=call.cwd, env=call.env)
        async with aclosing(cast(Any, events)):
            async for event in events:
                self._send(event_frame(call.id, event))
                await self._drain()

    def _failure(self, error: Exception) -> RallyError:
        """The error as the client sees it; what is nobody's fault outside goes into the log."""
        if isinstance(error, RallyError):
            return error
        _log.error("a request failed", exc_info=error)
        return Failure(
            "internal",
            f"the daemon met a state that it does not know: {type(error).__name__}",
            hint="see `rally daemon logs`",
        )

    def _refuse(self, error: RallyError) -> None:
        """Answer bytes that are no request, and close: where the next frame begins is not known."""
        self._send(error_frame(None, error))
        for task in self._tasks.values():
            task.cancel()
        self.close()

    # --- output

    def _send_output(self, kind: bytes, data: bytes) -> None:
        for start in range(0, len(data), frames.CHUNK_BYTES_MAX):
            self._send(frames.pack(kind, data[start : start + frames.CHUNK_BYTES_MAX]))

    def _send(self, frame: bytes) -> None:
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(frame)

    def _flush(self) -> None:
        if self._unsent and not self._transport.is_closing():
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    async def _drain(self) -> None:
        self._flush()
        await self._can_write.wait()

    def _adjust_reading(self) -> None:
        """Read no further requests while answers pile up on this side."""
        wanted = self._can_write.is_set() and len(self._tasks) < _CALLS_MAX
        if wanted != self._is_reading and not self._transport.is_closing():
            self._is_reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()


def _print_failure(error: RallyError, argv: list[str], call: ArgvCall) -> int:
    """For what the verbs themselves did not catch; the exit code."""
    from rally.cli.parse import command_of, says_json
    from rally.cli.run import fail

    return fail(call, error, command=command_of(argv), wants_json=says_json(argv))

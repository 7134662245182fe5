"""A program that a runner looks after, from its start to the end of the last process it left.

Three things that go wrong elsewhere are settled here. A program that ignores SIGTERM, or leaves
processes behind, is ended with its whole process group: TERM, a grace, KILL. Both pipes are drained
all the time, and only their ends are kept, so no flood blocks the program or fills the memory. And a
process that left the group (`setsid`) while it holds a pipe open does not keep anybody waiting.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from rally.model.kinds import EVIDENCE_BYTES_MAX

if TYPE_CHECKING:
    from rally.execution.process import Process

TAIL_BYTES = 16 * 1024
# Of it so many as evidence: the last ones are what tells why.
TOLD_BYTES_MAX = EVIDENCE_BYTES_MAX - 256
# A log of more would fill somebody's disk.
LOG_BYTES_MAX = 64 * 1024 * 1024
# How long output that was written before the end may take to arrive.
_DRAIN_S = 1.0
# Nobody tells when the last process of a group ends; it is looked at this often, within the grace only.
_LOOK_S = 0.02


@dataclass(slots=True, frozen=True)
class Pipes:
    """What a program reads, and how much of what it prints is kept.

    Attributes:
        stdin: an open file; None: nothing. A file, and no pipe, so nobody has to feed it.
        keep_bytes: of the end of each output.
        logs: files for standard output and standard error, each up to `LOG_BYTES_MAX`.
    """

    stdin: BinaryIO | None = None
    keep_bytes: int = TAIL_BYTES
    logs: tuple[BinaryIO, BinaryIO] | None = None


@dataclass(slots=True, frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        exit_code: its exit code; 128 + n where signal n ended it.
        signal: the signal's number; None where it ended by itself.
        timed_out: its time was over.
        cut: it was told to end before its time.
        stdout, stderr: the last `Pipes.keep_bytes` of each.
        stdout_bytes, stderr_bytes: how much there was in all.
    """

    exit_code: int
    signal: int | None
    timed_out: bool
    cut: bool
    stdout: bytes
    stderr: bytes
    stdout_bytes: int
    stderr_bytes: int

    @property
    def succeeded(self) -> bool:
        """Whether it ended by itself, in time, with exit code 0."""
        return self.exit_code == 0 and not self.timed_out and not self.cut

    @property
    def told(self) -> str:
        """The end of what it printed, as text of at most `TOLD_BYTES_MAX` that a fact may hold."""
        outputs = (self.stdout, self.stderr)
        texts = [one.decode(errors="replace").replace("\0", "\ufffd") for one in outputs]
        whole = "\n".join(text for one in texts if (text := one.rstrip("\n")))
        return whole.encode()[-TOLD_BYTES_MAX:].decode(errors="ignore")


class Child:
    """A started program; made by `process.start_child`, of one event loop.

    Args:
        process: leader of its own process group, with a pipe each for its two outputs.
        pipes: how much of them is kept.
    """

    def __init__(self, process: Process, pipes: Pipes | None = None) -> None:
        self.pid = process.pid
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._cut = asyncio.Event()
        pipes = pipes or Pipes()
        out_log, err_log = pipes.logs or (None, None)
        self._tails = (_Tail(pipes.keep_bytes, out_log), _Tail(pipes.keep_bytes, err_log))
        self._pipes = self._loop.create_task(self._drain())
        # A thread waits for it, and not the event loop's child watcher: that one belongs to the
        # main thread or to the kernel's newer versions, depending on the Python.
        threading.Thread(target=self._wait, name=f"wait-{self.pid}", daemon=True).start()

    def cut_short(self) -> None:
        """Have it ended now; `ended` then answers."""
        self._cut.set()

    async def ended(self, *, timeout_s: float | None, grace_s: float) -> Ended:
        """Wait for its end, and end what it left behind. Given up (cancelled), it kills the group.

        Args:
            timeout_s: after so many seconds its group gets SIGTERM; None: never.
            grace_s: after so many more, SIGKILL.
        """
        cut = self._loop.create_task(self._cut.wait())
        try:
            await asyncio.wait(
                (self._exit, cut), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            was_running = not self._exit.done()
            await self._end_group(grace_s)
            code = await self._exit
        except BaseException:
            self._signal(signal.SIGKILL)
            raise
        else:
            await asyncio.wait((self._pipes,), timeout=_DRAIN_S)
        finally:
            cut.cancel()
            self._pipes.cancel()
        out, err = self._tails
        return Ended(
            exit_code=code if code >= 0 else 128 - code,
            signal=-code if code < 0 else None,
            timed_out=was_running and not self._cut.is_set(),
            cut=was_running and self._cut.is_set(),
            stdout=bytes(out.kept),
            stderr=bytes(err.kept),
            stdout_bytes=out.total_bytes,
            stderr_bytes=err.total_bytes,
        )

    async def _end_group(self, grace_s: float) -> None:
        """TERM to whatever is left of the group, KILL to what is left after the grace."""
        if not self._signal(signal.SIGTERM):
            return
        deadline = self._loop.time() + grace_s
        while self._loop.time() < deadline:
            await asyncio.wait((self._exit,), timeout=_LOOK_S)
            if self._exit.done():
                if not self._signal(0):
                    return
                await asyncio.sleep(_LOOK_S)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> bool:
        """Send a signal to the group; false where nothing of it is left."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            # macOS says so of a group in which only zombies are left.
            return False
        return True

    def _wait(self) -> None:
        code = self._process.wait()
        with suppress(RuntimeError):  # the loop was closed before the program ended
            self._loop.call_soon_threadsafe(self._exited, code)

    def _exited(self, code: int) -> None:
        if not self._exit.done():
            self._exit.set_result(code)

    async def _drain(self) -> None:
        transports = []
        try:
            for tail, pipe in zip(
                self._tails, (self._process.stdout, self._process.stderr), strict=True
            ):
                transport, _ = await self._loop.connect_read_pipe(lambda tail=tail: tail, pipe)  # type: ignore[misc]
                transports.append(transport)
            for tail in self._tails:
                await tail.closed.wait()
        finally:
            for transport in transports:
                transport.close()


class _Tail(asyncio.Protocol):
    """The end of what came through a pipe."""

    def __init__(self, keep_bytes: int, log: BinaryIO | None) -> None:
        self.kept = bytearray()
        self.total_bytes = 0
        self.closed = asyncio.Event()
        self._keep_bytes = keep_bytes
        self._log = log

    def data_received(self, data: bytes) -> None:
        if self._log is not None and self.total_bytes < LOG_BYTES_MAX:
            try:
                self._log.write(data[: LOG_BYTES_MAX - self.total_bytes])
            except OSError:  # a full disk; what is kept here is enough to go on
                self._log = None
        self.total_bytes += len(data)
        self.kept += data
        if len(self.kept) > self._keep_bytes:
            del self.kept[: -self._keep_bytes]

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

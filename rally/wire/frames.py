"""The one framing of rally's socket, for the relay, for programs and for the daemon.

A client in any language needs a hundred lines and no library:

    frame   = length, type, payload
    length  = 4 bytes, big-endian: the number of bytes of the payload (0 to 4 MiB)
    type    = 1 byte, an ASCII letter

A client opens the Unix stream socket `rallyd.sock` and uses one of two forms.

**argv** (what `rally` itself does; one request per connection):

    → A   fields separated by NUL: protocol ("1"), the client's rally version, working folder,
          terminal width ("0": not known), flags (letters: c = colour is wished, i = an I frame
          follows), number n of environment entries, n entries KEY=VALUE, then the arguments (the
          verb first)
    → I   standard input, whole, only where the flag `i` was given; the request begins
          when it is there
    ← O   bytes for standard output, any number of times
    ← E   bytes for standard error, any number of times
    ← X   the exit code in decimal digits; the answer is complete
    ← V   "version NUL protocol" of a daemon that cannot serve this client; nothing was begun
    ← D   the daemon is leaving; nothing of what it has not answered on this connection was begun

Closing the connection (or half of it) cancels the request.

**call** (programs; any number of requests on one connection, answered in any order):

    → C   JSON object {"id": integer, "op": text, "params": object, "cwd": text, "env": object of
          texts}
    ← J   JSON object {"id", "ok": true, "data": object, "warnings": list} or {"id", "ok": false,
          "error": object}; for a subscription any number of {"id", "event": object} before that.
          "id": null tells of bytes that were no request
    ← D   as above; requests that run are answered first

`env` carries the `RALLY_*` variables of the caller. The operations `ping`, `stop`, `cancel` and
`subscribe` are the daemon's own, every other one is a question to a room. `cancel` takes the `id`
to give up in `params`; what was given up stays without an answer. Bytes that are no frame make the
daemon close the connection.

    → Q   the version of a newer rally that asks the daemon to finish and leave. The connection is
          closed when it has done so; V is the answer of one that does not have to.
"""

from __future__ import annotations

PROTOCOL = "1"
HEADER_BYTES = 5
FRAME_BYTES_MAX = 4 * 1024 * 1024
# One write of output is cut to this, so that no answer, however long, outgrows a frame.
CHUNK_BYTES_MAX = 256 * 1024

ARGV, INPUT, CALL, DRAIN = b"A", b"I", b"C", b"Q"
OUT, ERR, EXIT, JSON, VERSION, LEAVING = b"O", b"E", b"X", b"J", b"V", b"D"

FLAG_COLOUR, FLAG_INPUT = "c", "i"


class FrameError(ValueError):
    """The bytes are no frame of this protocol; nothing of them was acted on."""


def pack(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame.

    Args:
        kind: one of the types above.
        payload: at most `FRAME_BYTES_MAX` bytes.
    """
    return len(payload).to_bytes(4, "big") + kind + payload


def pack_argv(fixed: tuple[bytes, ...], env: list[bytes], argv: list[bytes]) -> bytes:
    """An `A` frame.

    Args:
        fixed: client's rally version, absolute working folder, terminal width, flags.
        env: `KEY=VALUE` entries, may be empty.
        argv: the words after `rally`, at least the verb.
    """
    count = b"%d" % len(env)
    return pack(ARGV, b"\0".join((PROTOCOL.encode(), *fixed, count, *env, *argv)))


class Decoder:
    """Cuts a stream of bytes into frames, however it is torn."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished frame are held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The frames that are complete with `data`: (type, payload), in order, possibly none.

        Raises:
            FrameError: a frame says that it is over `FRAME_BYTES_MAX`. It is raised as soon as its
                header is there, so no peer makes this side hold more than one frame.
        """
        buffer = self._buffer
        buffer += data
        frames: list[tuple[bytes, bytes]] = []
        start = 0
        while len(buffer) - start >= HEADER_BYTES:
            length = int.from_bytes(buffer[start : start + 4], "big")
            if length > FRAME_BYTES_MAX:
                raise FrameError(
                    f"a frame of {length} bytes; at most {FRAME_BYTES_MAX} are allowed"
                )
            body = start + HEADER_BYTES
            if len(buffer) < body + length:
                break
            frames.append((bytes(buffer[start + 4 : body]), bytes(buffer[body : body + length])))
            start = body + length
        if start:
            del buffer[:start]
        return frames

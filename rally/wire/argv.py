"""Reading the `A` frame, the form in which `rally` hands over a whole command line.

The format is in `rally.wire.frames`, which also writes it; reading it is only the daemon's business
and stays out of the relay's imports.
"""

from __future__ import annotations

from dataclasses import dataclass

from rally.wire.frames import FLAG_COLOUR, FLAG_INPUT, PROTOCOL, FrameError

_FIXED_FIELDS = 6


@dataclass(slots=True, frozen=True)
class ArgvRequest:
    """The content of an `A` frame of this protocol.

    Attributes:
        version: the client's rally version.
        cwd: absolute working folder of the client.
        width: columns of its terminal, 0 where there is none.
        colour: whether coloured output is wished.
        has_input: whether an `I` frame follows.
        env: the environment that it sent.
        argv: the words after `rally`, one or more.
    """

    version: str
    cwd: str
    width: int
    colour: bool
    has_input: bool
    env: dict[str, str]
    argv: list[str]


class OtherProtocolError(FrameError):
    """An `A` frame of another protocol; nothing after its version can be understood."""


def unpack_argv(payload: bytes) -> ArgvRequest:
    """Read an `A` frame. Bytes that are no UTF-8 become lone surrogates, as in `sys.argv`.

    Raises:
        OtherProtocolError: it is written in another protocol.
        FrameError: it does not have the fields that it should.
    """
    fields = payload.decode("utf-8", "surrogateescape").split("\x00")
    if fields[0] != PROTOCOL:
        raise OtherProtocolError(f"protocol {fields[0][:16]!a} is not {PROTOCOL}")
    try:
        _, version, cwd, width, flags, count_text = fields[:_FIXED_FIELDS]
        columns, count = int(width), int(count_text)
    except ValueError:
        raise FrameError("an argv frame with missing or malformed fields") from None
    entries = fields[_FIXED_FIELDS : _FIXED_FIELDS + count] if count > 0 else []
    argv = fields[_FIXED_FIELDS + len(entries) :]
    if len(entries) != count or not argv or not cwd.startswith("/"):
        raise FrameError("an argv frame with missing or malformed fields")
    return ArgvRequest(
        version=version,
        cwd=cwd,
        width=max(0, columns),
        colour=FLAG_COLOUR in flags,
        has_input=FLAG_INPUT in flags,
        env=dict(entry.split("=", 1) for entry in entries if "=" in entry),
        argv=argv,
    )

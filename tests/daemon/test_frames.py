"""The framing by itself."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rally.wire.argv import OtherProtocolError, unpack_argv
from rally.wire.frames import (
    ARGV,
    FRAME_BYTES_MAX,
    HEADER_BYTES,
    Decoder,
    FrameError,
    pack,
    pack_argv,
)

FRAMES = st.lists(
    st.tuples(st.sampled_from([b"A", b"O", b"J"]), st.binary(max_size=40)), max_size=8
)
WORDS = st.lists(st.binary(max_size=20).filter(lambda b: b"\0" not in b), min_size=1, max_size=6)


@given(FRAMES, st.lists(st.integers(1, 13), min_size=1))
def test_a_stream_torn_anywhere_gives_the_same_frames(
    sent: list[tuple[bytes, bytes]], sizes: list[int]
) -> None:
    """However the kernel cuts the bytes, the frames come out whole and in order."""
    stream = b"".join(pack(kind, payload) for kind, payload in sent)
    decoder, received, turn = Decoder(), [], 0
    while stream:
        size = sizes[turn % len(sizes)]
        received += decoder.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert received == sent
    assert decoder.pending == 0


def test_a_frame_over_the_limit_is_refused_at_its_header() -> None:
    """Nobody can make this side gather more than one frame of the largest size."""
    header = (FRAME_BYTES_MAX + 1).to_bytes(4, "big") + ARGV
    with pytest.raises(FrameError, match=str(FRAME_BYTES_MAX)):
        Decoder().feed(header)
    assert Decoder().feed(FRAME_BYTES_MAX.to_bytes(4, "big") + ARGV) == []


@given(WORDS, st.booleans(), st.booleans())
def test_an_argv_frame_reads_back_as_it_was_written(
    words: list[bytes], colour: bool, has_input: bool
) -> None:
    """Any bytes but NUL survive as arguments, the empty one included."""
    flags = b"c" * colour + b"i" * has_input
    frame = pack_argv((b"1.2.3", b"/a b", b"120", flags), [b"RALLY_A=x=y", b"TERM="], words)
    request = unpack_argv(frame[HEADER_BYTES:])
    assert [word.encode("utf-8", "surrogateescape") for word in request.argv] == words
    assert (request.colour, request.has_input) == (colour, has_input)
    assert (request.version, request.cwd, request.width) == ("1.2.3", "/a b", 120)
    assert request.env == {"RALLY_A": "x=y", "TERM": ""}


@given(st.binary(max_size=60))
def test_no_bytes_crash_the_reader_of_argv_frames(payload: bytes) -> None:
    """They are a request or a FrameError, nothing else."""
    with contextlib.suppress(FrameError):
        unpack_argv(payload)


def test_another_protocol_is_told_apart_from_nonsense() -> None:
    """A client of another protocol can be told who answers."""
    with pytest.raises(OtherProtocolError):
        unpack_argv(b"2\x009.0\x00whatever")

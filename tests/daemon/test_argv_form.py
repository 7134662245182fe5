"""Command lines over the socket."""

from __future__ import annotations

import json
import struct

from rallyd import Daemon

from rally import __version__
from rally.wire import frames

VERSION = __version__.encode()


def test_a_command_line_arrives_whole_and_its_answer_comes_back(daemon: Daemon) -> None:
    """The verb sees words, folder, width, colour wish and environment as they were sent."""
    with daemon.connect() as peer:
        peer.send_argv("room", "show", "--path", "ä b", "")
        (kind, text), last = peer.rest()
    assert kind == frames.OUT
    assert text.decode() == (
        "['room', 'show', '--path', '\\xe4 b', ''] /tmp 80 True None [('RALLY_TOOL', 'a:1')]"
    )
    assert last == (frames.EXIT, b"0")


def test_standard_input_is_handed_over_whole(daemon: Daemon) -> None:
    """An `I` frame reaches the verb, however large and whatever its bytes."""
    with daemon.connect() as peer:
        peer.send_argv("say", "show", stdin=b"\x00\xff" * 300_000)
        text = b"".join(payload for _, payload in peer.rest())
    assert b"\\x00\\xff" * 300_000 in text


def test_a_request_with_input_begins_when_the_input_is_there(daemon: Daemon) -> None:
    """Until then it can be given up without anything having happened."""
    with daemon.connect() as peer, daemon.connect() as other:
        fixed = (VERSION, b"/tmp", b"80", b"i")
        peer.sock.sendall(frames.pack_argv(fixed, [], [b"say", b"stream"]))
        assert other.call("ping")["data"]["clients"] == 2
        assert not other.call("has-sign", sign="argv-began")["data"]["there"]
        peer.send(frames.INPUT, b"")
        assert other.call("await-sign", sign="argv-began")["ok"]


def test_bytes_that_are_no_utf8_survive(daemon: Daemon) -> None:
    """An argument of any bytes is seen as Python itself shows it in `sys.argv`."""
    with daemon.connect() as peer:
        peer.send_argv("say", "show", "\udcff")
        assert b"\\udcff" in peer.rest()[0][1]


def test_standard_error_and_exit_code_are_kept_apart(daemon: Daemon) -> None:
    """E frames carry standard error, X the code."""
    with daemon.connect() as peer:
        peer.send_argv("say", "err")
        assert peer.rest() == [(frames.ERR, b"error: no\nhint: yes\n"), (frames.EXIT, b"3")]


def test_output_streams_before_the_command_ends(daemon: Daemon) -> None:
    """What a waiting verb has printed is seen at once."""
    with daemon.connect() as peer, daemon.connect() as other:
        peer.send_argv("wait", "stream")
        assert peer.receive() == (frames.OUT, b"first\n")
        other.call("raise-sign", sign="argv-go")
        assert peer.rest() == [(frames.OUT, b"last\n"), (frames.EXIT, b"0")]


def test_a_client_that_goes_away_cancels_its_command(daemon: Daemon) -> None:
    """Ctrl-C on the client's side ends the wait on the daemon's."""
    with daemon.connect() as other:
        with daemon.connect() as peer:
            peer.send_argv("wait", "stream")
            peer.receive()
        assert other.call("await-sign", sign="argv-cancelled")["ok"]


def test_a_huge_answer_is_cut_into_frames(daemon: Daemon) -> None:
    """No answer is too long for the protocol."""
    with daemon.connect() as peer:
        peer.send_argv("log", "huge", "9000000")
        answer = peer.rest()
    assert sum(len(payload) for kind, payload in answer if kind == frames.OUT) == 9_000_000
    assert max(len(payload) for _, payload in answer) <= frames.CHUNK_BYTES_MAX


def test_a_slow_reader_makes_the_verb_wait(daemon: Daemon) -> None:
    """Output that nobody takes does not pile up in the daemon, and nothing of it is lost."""
    with daemon.connect() as peer, daemon.connect() as other:
        peer.send_argv("log", "flood", "512")
        assert peer.receive() is not None
        held = [other.call("written")["data"]["bytes"] for _ in range(200)][-1]
        assert held < 8_000_000
        assert sum(len(p) for k, p in peer.rest() if k == frames.OUT) == 511 * 65_536
        assert other.call("written")["data"]["bytes"] == 512 * 65_536


def test_a_verb_that_breaks_is_an_internal_error_and_the_log_knows_why(daemon: Daemon) -> None:
    """The caller gets code, hint and exit code 1, the log the traceback; the daemon goes on."""
    with daemon.connect() as peer:
        peer.send_argv("room", "break", "--json")
        (kind, text), last = peer.rest()
    assert (kind, last) == (frames.OUT, (frames.EXIT, b"1"))
    envelope = json.loads(text)
    assert envelope["schema"] == "rally.error.v1"
    assert envelope["command"] == "room"
    assert envelope["error"]["code"] == "internal"
    assert "ValueError: a broken verb" in daemon.log()
    with daemon.connect() as peer:
        peer.send_argv("room", "break")
        assert peer.rest()[0][1].startswith(b"error: the daemon met a state")


def test_bytes_that_are_no_request_are_refused_and_the_daemon_goes_on(daemon: Daemon) -> None:
    """Every kind of nonsense is answered with a usage error and the end of the connection."""
    fixed = (VERSION, b"/tmp", b"80", b"")
    for nonsense in (
        frames.pack(b"?", b""),
        frames.pack(frames.INPUT, b"unasked"),
        frames.pack(frames.ARGV, b"1\x00" + VERSION),
        frames.pack(frames.ARGV, b"1\x00" + VERSION + b"\x00/\x00wide\x00\x000\x00room"),
        frames.pack(frames.ARGV, b"1\x00" + VERSION + b"\x00/\x0080\x00\x009\x00room"),
        frames.pack(frames.ARGV, b"1\x00" + VERSION + b"\x00/\x0080\x00\x00-1\x00room"),
        frames.pack(frames.ARGV, b"1\x00" + VERSION + b"\x00relative\x0080\x00\x000\x00room"),
        frames.pack_argv(fixed, [], []),
        struct.pack(">I", frames.FRAME_BYTES_MAX + 1) + b"A",
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        with daemon.connect() as peer:
            peer.sock.sendall(nonsense)
            answer = peer.receive_json()
            assert answer["id"] is None, nonsense
            assert answer["error"]["code"] == "usage", nonsense
            assert peer.rest() == []
    with daemon.connect() as peer:
        assert peer.call("ping")["ok"]


def test_half_a_frame_and_silence_do_no_harm(daemon: Daemon) -> None:
    """A client that dies in the middle of its request leaves nothing behind."""
    whole = frames.pack_argv((VERSION, b"/tmp", b"80", b""), [], [b"room", b"stream"])
    for cut in (1, 4, 5, len(whole) - 1):
        with daemon.connect() as peer:
            peer.sock.sendall(whole[:cut])
    with daemon.connect() as peer:
        assert peer.call("ping")["data"]["clients"] >= 1


def test_one_connection_carries_one_command_line(daemon: Daemon) -> None:
    """A second one on top is refused, and the first is given up with it."""
    with daemon.connect() as peer, daemon.connect() as other:
        peer.send_argv("wait", "stream")
        peer.receive()
        peer.send_argv("room", "show")
        assert peer.receive_json()["error"]["code"] == "usage"
        assert other.call("await-sign", sign="argv-cancelled")["ok"]


def test_a_client_of_another_version_is_told_which_one_answers(daemon: Daemon) -> None:
    """V names the daemon's version, and nothing is begun."""
    with daemon.connect() as peer:
        peer.send_argv("room", "show", version="9.9.9")
        assert peer.rest() == [(frames.VERSION, VERSION + b"\x001")]
    with daemon.connect() as peer:
        peer.send(frames.ARGV, b"2\x00something else entirely")
        assert peer.rest() == [(frames.VERSION, VERSION + b"\x001")]

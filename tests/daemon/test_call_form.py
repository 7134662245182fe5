"""Requests of programs over the socket."""

from __future__ import annotations

import json
import threading

from rallyd import Daemon

from rally import __version__
from rally.wire import frames


def test_calls_are_answered_as_they_finish(daemon: Daemon) -> None:
    """A call that waits does not hold up the ones behind it on the same connection."""
    with daemon.connect() as peer:
        peer.send_call(1, "block")
        for number in range(2, 40):
            peer.send_call(number, "echo", n=number)
        answers = [peer.receive_json() for _ in range(2, 40)]
        assert [a["data"]["params"]["n"] for a in answers] == [a["id"] for a in answers]
        assert sorted(a["id"] for a in answers) == list(range(2, 40))
        peer.send_call(40, "raise-sign", sign="call-go")
        assert {peer.receive_json()["id"], peer.receive_json()["id"]} == {1, 40}


def test_an_answer_carries_result_and_warnings(daemon: Daemon) -> None:
    """The operation sees folder and environment, the caller sees data and warnings."""
    body = {
        "id": 7,
        "op": "say",
        "params": {"kind": "echo"},
        "cwd": "/x",
        "env": {"RALLY_TOOL": "t"},
    }
    with daemon.connect() as peer:
        peer.send(frames.CALL, json.dumps(body).encode())
        assert peer.receive_json() == {
            "id": 7,
            "ok": True,
            "data": {"params": {"kind": "echo"}, "cwd": "/x", "env": {"RALLY_TOOL": "t"}},
            "warnings": [{"code": "w", "message": "m"}],
        }


def test_a_refusal_travels_as_structure(daemon: Daemon) -> None:
    """Code, exit code, hint and details arrive as they were raised."""
    with daemon.connect() as peer:
        assert peer.call("refuse") == {
            "id": 1,
            "ok": False,
            "error": {
                "code": "claim-conflict",
                "message": "held",
                "hint": "wait",
                "exit_code": 3,
                "details": {"conflicts": [1]},
            },
        }


def test_an_operation_that_breaks_is_internal_and_the_connection_goes_on(daemon: Daemon) -> None:
    """One broken request costs nobody else anything, and the traceback is in the log."""
    with daemon.connect() as peer:
        assert peer.call("break")["error"]["code"] == "internal"
        assert peer.call("echo")["ok"]
    assert "ValueError: a broken operation" in daemon.log()


def test_malformed_requests_are_usage_errors_and_the_connection_goes_on(daemon: Daemon) -> None:
    """The answer names the field; it carries the id where one could be read, else null."""
    for body, number in (
        (b"", None),
        (b"nonsense", None),
        (b"[]", None),
        (b'"text"', None),
        (b"\xff\xfe", None),
        (b'{"op": "ping"}', None),
        (b'{"id": true, "op": "ping"}', None),
        (b'{"id": -1, "op": "ping"}', None),
        (b'{"id": "1", "op": "ping"}', None),
        (b'{"id": 5}', 5),
        (b'{"id": 5, "op": ""}', 5),
        (b'{"id": 5, "op": 3}', 5),
        (b'{"id": 5, "op": "room", "params": []}', 5),
        (b'{"id": 5, "op": "room", "cwd": "relative"}', 5),
        (b'{"id": 5, "op": "room", "env": {"A": 1}}', 5),
        (b'{"id": 5, "op": "room", "params": {"limit": "many"}}', 5),
        (b'{"id": 5, "op": "check", "params": {"phase": "before-write", "path": []}}', 5),
        (b'{"id": 5, "op": "subscribe", "params": {"since": 1.5}}', 5),
        (b'{"id": 5, "op": "\\ud800"}', None),
        (b"[" * 100_000, None),
    ):
        with daemon.connect() as peer:
            peer.send(frames.CALL, body)
            answer = peer.receive_json()
            assert (answer["id"], answer["ok"]) == (number, False), body
            assert answer["error"]["code"] == "usage", body
            assert peer.call("ping")["ok"], body


def test_an_id_in_use_is_refused(daemon: Daemon) -> None:
    """Two answers under one number could not be told apart."""
    with daemon.connect() as peer:
        peer.send_call(1, "block")
        peer.send_call(1, "echo")
        assert peer.receive_json()["error"]["code"] == "usage"


def test_a_cancelled_call_ends_and_stays_unanswered(daemon: Daemon) -> None:
    """Giving up reaches the operation itself."""
    with daemon.connect() as peer:
        peer.send_call(1, "block")
        peer.send_call(2, "await-sign", sign="call-began")
        assert peer.receive_json()["id"] == 2
        peer.send_call(2, "cancel", id=1)
        assert peer.receive_json()["data"] == {"cancelled": True}
        peer.send_call(3, "await-sign", sign="call-cancelled")
        assert peer.receive_json()["id"] == 3
        for wrong in (1, 99, "1", [1], None):
            peer.send_call(4, "cancel", id=wrong)
            assert peer.receive_json()["data"] == {"cancelled": False}


def test_a_connection_that_goes_away_cancels_its_calls(daemon: Daemon) -> None:
    """Nobody waits on behalf of a client that is gone."""
    with daemon.connect() as other:
        with daemon.connect() as peer:
            peer.send_call(1, "block")
            peer.send_call(2, "await-sign", sign="call-began")
            peer.receive_json()
        assert other.call("await-sign", sign="call-cancelled")["ok"]


def test_a_subscription_sends_events_and_then_its_end(daemon: Daemon) -> None:
    """Events carry the number of their subscription."""
    with daemon.connect() as peer:
        peer.send_call(9, "subscribe", limit=3)
        events = [peer.receive_json() for _ in range(3)]
        assert [(e["id"], e["event"]["number"]) for e in events] == [(9, 0), (9, 1), (9, 2)]
        assert peer.receive_json()["ok"]


def test_a_subscription_ends_with_its_connection(daemon: Daemon) -> None:
    """Its generator is closed, not left behind."""
    with daemon.connect() as other:
        with daemon.connect() as peer:
            peer.send_call(9, "subscribe", limit=1, run="endless")
            peer.receive_json()
        assert other.call("await-sign", sign="subscription-cancelled")["ok"]


def test_an_answer_that_fits_no_frame_says_so(daemon: Daemon) -> None:
    """The caller learns that it asked for too much, and can ask again."""
    with daemon.connect() as peer:
        assert peer.call("big", bytes=frames.FRAME_BYTES_MAX)["error"]["code"] == "unavailable"
        assert len(peer.call("big", bytes=3_000_000)["data"]["text"]) == 3_000_000


def test_thousands_of_calls_at_once_are_all_answered(daemon: Daemon) -> None:
    """A client may write far ahead of its reading without losing an answer."""
    with daemon.connect() as peer:
        ahead = threading.Thread(
            target=lambda: [peer.send_call(n, "echo", text="x" * 500) for n in range(3_000)]
        )
        ahead.start()
        assert {peer.receive_json()["id"] for _ in range(3_000)} == set(range(3_000))
        ahead.join()


def test_ping_tells_who_answers(daemon: Daemon) -> None:
    """Enough for `rally daemon status`."""
    with daemon.connect() as peer:
        status = peer.call("ping")["data"]
    assert status["pid"] == daemon.pid
    assert status["version"] == __version__
    assert status["started_at"].endswith("Z")
    assert status["uptime_s"] >= 0
    assert (status["rooms"], status["clients"], status["systemd"]) == (["/somewhere"], 1, False)


def test_argv_has_no_place_on_a_connection_with_calls_under_way(daemon: Daemon) -> None:
    """The two forms do not mix."""
    with daemon.connect() as peer:
        peer.send_call(1, "block")
        peer.send_argv("room", "show")
        assert peer.receive_json()["id"] is None
        assert peer.rest() == []

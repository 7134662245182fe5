"""Standbys: what ends one, what makes it due, and what it keeps alive."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from contract_room import Doc, Room, codes, ids


def open_standbys(room: Room) -> list[str]:
    return ids(room.data("room")["standbys"])


def due(room: Room) -> list[tuple[str, str]]:
    return [(one["standby_event_id"], one["cause"]) for one in room.data("wake-due")["due"]]


ENDS: list[tuple[str, str, Doc, bool]] = [
    ("a wake", "wake", {"ref_standby": "STANDBY"}, True),
    ("an artifact that refs it", "artifact", {"subject": "x", "ref": "STANDBY"}, True),
    (
        "an artifact that lands its step",
        "artifact",
        {"subject": "x", "run": "r", "step": "s"},
        True,
    ),
    ("leave", "leave", {}, True),
    ("an artifact of another step", "artifact", {"subject": "x", "run": "r", "step": "t"}, False),
    ("an artifact of another run", "artifact", {"subject": "x", "run": "q", "step": "s"}, False),
    ("a note", "note", {"subject": "x", "run": "r", "step": "s"}, False),
    ("a note about it", "note", {"subject": "x", "ref": "STANDBY"}, False),
    ("a claim", "claim", {"path": "src"}, False),
    ("a standby for another step", "standby", {"run": "r", "step": "t"}, False),
]


@pytest.mark.parametrize(
    ("kind", "fields", "ends"), [one[1:] for one in ENDS], ids=[one[0] for one in ENDS]
)
def test_what_ends_a_standby(warm: Room, kind: str, fields: Doc, ends: bool) -> None:
    """S1: a wake, an artifact that refs it or lands its step, or leave; nothing else."""
    warm.data("enter", "--tool", "a")
    standby = warm.say("standby", "a", run="r", step="s", until="free:nowhere")["event_id"]
    assert due(warm) == [(standby, "free")]
    given = {name: standby if value == "STANDBY" else value for name, value in fields.items()}
    warm.say(kind, "a", **given)
    assert (standby not in open_standbys(warm)) is ends
    assert ((standby, "free") not in due(warm)) is ends


def test_a_standby_ends_in_direct_mode_too(room: Room) -> None:
    """S1, R4."""
    standby = room.say("standby", "a", reason="x")
    room.say("wake", "a", ref_standby=standby["event_id"])
    assert open_standbys(room) == []


def test_a_newer_standby_of_the_same_tool_and_step_replaces_the_older(room: Room) -> None:
    """S2: of the same tool and step only; one without a step replaces one without a step."""
    given = room.by_daemon
    given.say("standby", "a", run="r", step="s", reason="1")
    keeps = [
        given.say("standby", "a", run="r", step="t"),
        given.say("standby", "b", run="r", step="s"),
        given.say("standby", "a", run="q", step="s"),
    ]
    given.say("standby", "a", reason="without a step")
    newer = room.say("standby", "a", run="r", step="s", reason="2")
    bare = room.say("standby", "a", reason="without a step, newer")
    assert set(open_standbys(room)) == {*ids(keeps), newer["event_id"], bare["event_id"]}


def test_a_standby_keeps_the_claims_of_its_tool_alive_until_it_wakes(room: Room) -> None:
    """S3: a lease of 30 minutes, dormant for two hours: nobody takes the claim over."""
    room.happened(60, "say", kind="claim", tool="a", paths=["src"])
    room.happened(60, "say", kind="claim", tool="b", paths=["docs"])
    standby = room.happened(59, "say", kind="standby", tool="a", wake_after="+2h")["fact"]
    assert codes(room.check("c", "src/x")) == ["claimed-path"]
    assert "claimed-path" not in codes(room.check("c", "docs/x"))
    (claim,) = room.data("room")["active_claims"]
    assert claim["tool"] == "a"
    assert claim["lease_expires_at"] >= standby["wake_after"]


def test_after_its_wake_time_the_claims_lapse(room: Room) -> None:
    """S3: until `wake_after`, and no longer."""
    room.happened(180, "say", kind="claim", tool="a", paths=["src"])
    room.happened(179, "say", kind="standby", tool="a", wake_after="+2h")
    assert "claimed-path" not in codes(room.check("c", "src/x"))


def test_a_short_standby_shortens_no_lease(warm: Room) -> None:
    """S3: an expiry never moves backwards."""
    claim = warm.say("claim", "a", path="src", ttl="2h")
    warm.say("standby", "a", wake_after="+1m")
    assert warm.data("room")["active_claims"][0]["lease_expires_at"] >= claim["lease_expires_at"]


CONDITIONS = ["time", "step", "fact: resolve", "fact: receipt", "fact: release", "free"]


@pytest.mark.parametrize("what", CONDITIONS)
def test_a_standby_is_due_when_its_condition_holds_and_says_why(warm: Room, what: str) -> None:
    """S4: `step:` landed, `fact:` resolved, receipted or released, `free:` claimed by nobody else."""
    warm.data("enter", "--tool", "a")
    end: tuple[str, str, Doc] | None = None
    if what == "time":
        standby = warm.say("standby", "a", wake_after="+1s", until="fact:1")
        warm.run("wait", "--tool", "z", "--until", "fact:1", "--timeout", "2s")
    elif what == "step":
        standby = warm.say("standby", "a", run="r", step="mine", until="step:s")
        end = ("artifact", "z", {"subject": "x", "run": "r", "step": "s"})
    elif what == "free":
        warm.say("claim", "z", path="src")
        standby = warm.say("standby", "a", until="free:src/x", wake_after="+1h")
        end = ("release", "z", {"path": "src"})
    else:
        kind, fields = {
            "fact: resolve": ("blocker", {"subject": "x"}),
            "fact: receipt": ("handoff", {"subject": "x", "target": "z"}),
            "fact: release": ("claim", {"path": "src"}),
        }[what]
        fact = warm.say(kind, "z", **fields)["event_id"]
        standby = warm.say("standby", "a", until=f"fact:{fact}")
        more = {"state": "acked"} if what == "fact: receipt" else {}
        end = (what.removeprefix("fact: "), "z", {"ref": fact, **more})
    if end is not None:
        assert due(warm) == []
        kind, tool, fields = end
        warm.say(kind, tool, **fields)
    assert due(warm) == [(standby["event_id"], what.split(":", maxsplit=1)[0])]


def test_time_and_condition_whichever_is_first(room: Room) -> None:
    """S4: due by time although the condition does not hold."""
    room.happened(60, "enter", tool="a")
    room.happened(60, "say", kind="claim", tool="z", paths=["src"], ttl="7d")
    standby = room.happened(59, "say", kind="standby", tool="a", until=["free:src"],
                            wake_after="+30m")["fact"]  # fmt: skip
    assert due(room) == [(standby["event_id"], "time")]


def test_a_condition_that_held_already_is_due_at_once(warm: Room) -> None:
    """S4: nothing is missed between looking and lying down."""
    warm.data("enter", "--tool", "a")
    warm.say("artifact", "z", subject="x", run="r", step="s")
    blocker = warm.say("blocker", "z", subject="x")
    warm.say("resolve", "z", ref=blocker["event_id"])
    for n, until in enumerate(("step:s", f"fact:{blocker['event_id']}", "free:src")):
        warm.say("standby", "a", run="r", step=f"m{n}", until=until)
    assert [cause for _, cause in due(warm)] == ["step", "fact", "free"]


def test_a_lapse_frees_a_path_for_a_standby(room: Room) -> None:
    """S4, C6: nobody has to say anything."""
    room.happened(60, "enter", tool="a")
    room.happened(60, "say", kind="claim", tool="z", paths=["src"])
    standby = room.happened(59, "say", kind="standby", tool="a", until=["free:src"])["fact"]
    assert due(room) == [(standby["event_id"], "free")]


def test_own_claims_and_shared_claims_of_others(warm: Room) -> None:
    """S4 `free:`: nobody *else* claims it, in whatever mode."""
    warm.data("enter", "--tool", "a")
    warm.say("claim", "a", path="src", mode="shared")
    warm.say("claim", "z", path="src", mode="shared")
    warm.say("standby", "a", until="free:src")
    assert due(warm) == []
    warm.say("release", "z", path="src")
    assert [cause for _, cause in due(warm)] == ["free"]


def test_a_standby_without_time_or_condition_is_never_due(room: Room) -> None:
    """Kind standby, S1: only a wake ends it."""
    room.happened(60 * 24 * 30, "enter", tool="a")
    room.happened(60 * 24 * 30, "say", kind="standby", tool="a")
    assert due(room) == []
    assert len(open_standbys(room)) == 1


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2031-05-06T07:08:09Z", "2031-05-06T07:08:09.000Z"),
        ("2031-05-06T07:08:09.1234+02:00", "2031-05-06T05:08:09.123Z"),
        ("+1d", None),
    ],
)
def test_a_wake_time_is_an_instant_or_a_span_from_now(
    warm: Room, written: str, instant: str | None
) -> None:
    """S4, O7: RFC 3339 with any offset, or `+30m`."""
    fact = warm.say("standby", "a", wake_after=written)
    if instant:
        assert fact["wake_after"] == instant
    else:
        woken = datetime.fromisoformat(fact["wake_after"]).timestamp()
        assert woken - time.time() == pytest.approx(86_400, abs=60)


OTHER_TIMES = (
    "noon 2031-05-06 30 2031-13-01T00:00:00Z + -5m 2031-05-06T07:08:09 +99999999d "
    "9999-12-31T23:59:59-23:00"
).split()


@pytest.mark.parametrize("written", OTHER_TIMES)
def test_other_wake_times_are_usage_errors(warm: Room, written: str) -> None:
    """S4, O7, T4: exit 2 with the value; nothing is written."""
    answer = warm.run("say", "standby", "--tool", "a", f"--wake-after={written}", "--json")
    assert answer.code == 2, answer
    assert written in answer.error["message"]
    assert warm.head() == 0

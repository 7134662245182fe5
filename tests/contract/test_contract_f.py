"""Facts: their fields, their kinds with what each requires and does, their limits, their keys."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import datetime
from typing import Any

import pytest
from contract_room import DAEMON, Doc, Room, World, codes, flags, ids

from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.model.fact import seal

KINDS = (
    "enter leave claim renew release artifact blocker resolve decision handoff receipt risk lesson "
    "note standby wake run task memory lead mission session retract"
).split()
OWN_COMMAND = ["run", "task", "memory", "lead", "mission", "session"]
KIB = 1024


def shown(room: Room, name: str) -> list[Doc]:
    """One list of `room`."""
    found = room.data("room")[name]
    assert isinstance(found, list)
    return found


# --- F1-F3: fields, kinds, saying ------------------------------------------------------------------


def test_every_field_that_was_given_is_in_the_fact_and_no_other(room: Room) -> None:
    """F1: the names of the fields; absent when empty."""
    ref = room.by_daemon.say("note", "z", subject="earlier")["event_id"]
    fact = room.say(
        "blocker", "a:1", session_id="s1", subject="sub", summary="sum", path=["p1", "p2"],
        resource=["port:1"], run="r", step="s", parent_step=["s0", "s1"], ref=ref, target="human",
        thread="t", uri="https://u", evidence=["e1", "e2"], status="open", severity="high",
        reason="why", key="k1", data='{"n": [1, "ü"]}',
    )  # fmt: skip
    written = {
        "kind": "blocker", "tool": "a:1", "session_id": "s1", "subject": "sub", "summary": "sum",
        "paths": ["p1", "p2"], "resources": ["port:1"], "run": "r", "step": "s",
        "parent_steps": ["s0", "s1"], "ref": ref, "target": "human", "thread": "t",
        "uri": "https://u", "evidence": ["e1", "e2"], "status": "open", "severity": "high",
        "reason": "why", "key": "k1", "data": {"n": [1, "ü"]}, "seq": 2,
    }  # fmt: skip
    assert written.items() <= fact.items()
    assert set(fact) - set(written) == {"event_id", "created_at", "prev", "hash"}
    assert room.data("show", fact["event_id"])["fact"] == fact
    bare = room.by_daemon.say("note", "a", subject="x")
    assert set(bare) == {"event_id", "kind", "tool", "created_at", "subject", "seq", "prev", "hash"}


def test_a_standby_reference_is_stored_as_ref(warm: Room) -> None:
    """F1: `--ref-standby` is stored as `ref`."""
    standby = warm.by_daemon.say("standby", "a")
    wake = warm.say("wake", "a", ref_standby=standby["event_id"])
    assert wake["ref"] == standby["event_id"]


def test_empty_values_leave_no_trace(warm: Room) -> None:
    """F1: absent when empty."""
    fact = warm.say("note", "a", subject="x", summary="", uri="", run="", reason="", data="{}")
    assert not {"summary", "uri", "run", "reason", "data"} & set(fact)


async def test_a_fact_of_an_unknown_kind_is_kept_shown_and_carried_along(world: World) -> None:
    """F2: written by a newer version; old commands go on, and the history stays whole."""
    room = world.room()
    claim = room.say("claim", "a", path="src")
    ledger = await SqliteLedger.open(str(room.root / ".rally" / "ledger.db"), create=False)
    head = await ledger.head()
    newer = {
        "event_id": "hologram-abc123abc123", "kind": "hologram", "tool": "z",
        "created_at": claim["created_at"], "subject": "from the future", "paths": ["src"],
        "beam": {"strength": 3}, "status": "shiny",
    }  # fmt: skip
    await ledger.append([seal(newer, seq=head.seq + 1, prev=head.hash)])
    await ledger.close()
    for asked in (room.by_daemon, room.directly):
        fact = asked.data("show", "hologram-abc123abc123")["fact"]
        assert newer.items() <= fact.items()
        assert "from the future" in asked.run("log").out
        assert [one["seq"] for one in asked.data("log", "--kind", "hologram")["facts"]] == [2]
        assert asked.data("room")["head"] >= 2
        assert asked.run("room").code == 0
        assert codes(asked.check("b", "src")) == ["claimed-path"]
    assert room.say("note", "a", subject="goes on")["seq"] == 3
    assert room.data("verify")["ok"] is True


def test_an_unknown_kind_lists_the_kinds_and_the_near_miss(warm: Room) -> None:
    """F3: exit 2; the error lists the kinds; a near miss is named in the hint."""
    error = warm.no_say(2, "unknown-kind", "artefact", "a", subject="x")
    for kind in KINDS:
        assert kind in error["message"] or kind in OWN_COMMAND, kind
    assert "artifact" in error["hint"]
    assert warm.no_say(2, "unknown-kind", "clam", "a", path="x")["hint"].find("claim") >= 0


@pytest.mark.parametrize("kind", OWN_COMMAND)
def test_kinds_with_a_command_of_their_own_name_it(warm: Room, kind: str) -> None:
    """F2, F3: they exist, and `say` points to the command that writes them."""
    error = warm.ask("say", kind, "--tool", "a", "--subject", "x", exits=2).error
    assert error["hint"].startswith("rally ")


def test_the_environment_says_who_calls_unless_a_flag_does(room: Room) -> None:
    """F3: `RALLY_TOOL` and `RALLY_SESSION_ID`; the flag wins."""
    env = {"RALLY_TOOL": "env:1", "RALLY_SESSION_ID": "s-env"}
    fact = room.data("say", "note", "--subject", "x", env=env)["fact"]
    assert (fact["tool"], fact["session_id"]) == ("env:1", "s-env")
    fact = room.data("say", "note", "--subject", "x", "--tool", "b", "--session-id", "s", env=env)
    assert (fact["fact"]["tool"], fact["fact"]["session_id"]) == ("b", "s")


@pytest.mark.parametrize("flag", ["summary", "evidence"])
def test_a_dash_reads_standard_input(room: Room, flag: str) -> None:
    """F3: `--summary -` and `--evidence -`."""
    text = "line one\nline 'two' ü \\ $x\n"
    words = ["say", "note", "--tool", "a", "--subject", "x", f"--{flag}", "-"]
    fact = room.data(*words, stdin=text.encode())["fact"]
    (found,) = fact["evidence"] if flag == "evidence" else [fact["summary"]]
    assert found.rstrip("\n") == text.rstrip("\n")
    with_equals = room.data(*words[:-2], f"--{flag}=-", stdin=b"short")["fact"]
    assert "short" in str(with_equals[flag])


def test_standard_input_is_left_alone_without_a_dash(warm: Room) -> None:
    """F3: a command in a pipeline does not swallow what is meant for the next."""
    line = "printf 'mine\\n' | { rally say note --tool a --subject x >/dev/null 2>&1; cat; }"
    assert warm.sh(line).out == "mine\n"


# --- F4, F5: limits -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tool", ["a", "9", "A.b_c:d@e/f-g", "claude:1", "x" * 128, "human", "human:ada", "a-", "alls"]
)
def test_these_are_tool_ids(warm: Room, tool: str) -> None:
    """F4: 1-128 characters of the alphabet, beginning with a letter or digit."""
    assert warm.say("note", tool, subject="x")["tool"] == tool


@pytest.mark.parametrize(
    "tool",
    ["unknown", "all", "rally", "x" * 129, "-a", ".a", ":a", "/a", "_a", "a b", "a\tb", "ä", "a\n",
     "a;b", "a$b", "a'b", "٣", "a\u202eb"],
)  # fmt: skip
def test_these_are_no_tool_ids(warm: Room, tool: str) -> None:
    """F4, T4: exit 2 `bad-tool`, as a caller, as a target and in a question."""
    warm.no_say(2, "bad-tool", "note", tool, subject="x")
    warm.by_daemon.refused(2, "bad-tool", "next", f"--tool={tool}")
    if tool != "all":
        warm.by_daemon.no_say(2, "bad-tool", "handoff", "a", subject="x", target=tool)


def test_an_empty_tool_is_a_missing_tool(warm: Room) -> None:
    """F3, F4: the required flag was given without a value."""
    warm.no_say(2, "missing-tool", "note", "", subject="x")


AT_THE_LIMIT: list[tuple[str, dict[str, Any]]] = [
    ("subject of 500 characters", {"subject": "x" * 500}),
    ("subject of 500 wide characters", {"subject": "語" * 500}),
    ("summary of 16 KiB", {"subject": "x", "summary": "y" * (16 * KIB)}),
    ("100 evidence entries", {"subject": "x", "evidence": [f"e{n}" for n in range(100)]}),
    ("100 equal ones", {"subject": "x", "evidence": ["ok"] * 100}),
    ("evidence of 8 KiB", {"subject": "x", "evidence": ["e" * (8 * KIB)]}),
    ("1,000 paths", {"subject": "x", "path": [f"p{n}" for n in range(1000)]}),
]
OVER_THE_LIMIT: list[tuple[str, dict[str, Any]]] = [
    ("subject", {"subject": "x" * 501}),
    ("wide subject", {"subject": "語" * 501}),
    ("summary", {"subject": "x", "summary": "y" * (16 * KIB + 1)}),
    ("wide summary", {"subject": "x", "summary": "語" * (16 * KIB // 3 + 1)}),
    ("evidence entries", {"subject": "x", "evidence": [f"e{n}" for n in range(101)]}),
    ("evidence", {"subject": "x", "evidence": ["e" * (8 * KIB + 1)]}),
    ("paths", {"subject": "x", "path": [f"p{n}" for n in range(1001)]}),
    ("whole fact", {"subject": "x", "evidence": [str(n) * (8 * KIB) for n in range(8)]}),
    ("data", {"subject": "x", "data": json.dumps({"d": "x" * (64 * KIB)})}),
    ("64 KiB subject", {"subject": "x" * (64 * KIB)}),
]


@pytest.mark.parametrize("fields", [f for _, f in AT_THE_LIMIT], ids=[n for n, _ in AT_THE_LIMIT])
def test_what_is_at_the_limit_is_accepted(warm: Room, fields: dict[str, Any]) -> None:
    """F5: subject 500 characters, summary 16 KiB, evidence 100 entries of 8 KiB, 1,000 paths."""
    fact = warm.say("note", "a", **fields)
    assert fact["seq"] == 1
    assert fact.get("evidence", []) == fields.get("evidence", [])


@pytest.mark.parametrize(
    "fields", [f for _, f in OVER_THE_LIMIT], ids=[n for n, _ in OVER_THE_LIMIT]
)
def test_what_is_over_a_limit_is_refused_and_nothing_is_written(
    warm: Room, fields: dict[str, Any]
) -> None:
    """F5, T4: exit 2 `too-long`; a whole fact is at most 64 KiB."""
    error = warm.no_say(2, "too-long", "note", "a", **fields)
    assert len(error["message"]) < 1000
    assert error["hint"]


@pytest.mark.parametrize("flag", ["run", "step", "thread", "key", "status", "uri", "reason",
                                  "resource", "parent-step", "session-id", "ref", "target"])  # fmt: skip
def test_a_huge_value_in_any_field_is_an_ordinary_error(warm: Room, flag: str) -> None:
    """F5, T4: 64 KiB in a short field."""
    words = ["say", "note", "--tool", "a", "--subject", "x", f"--{flag}", "x" * (64 * KIB)]
    answer = warm.run(*words, "--json")
    assert answer.code == 2, answer
    assert answer.error["code"] in ("too-long", "bad-tool", "unknown-id")
    assert len(answer.out) < 2000


@pytest.mark.parametrize("flag", ["summary", "evidence"])
@pytest.mark.parametrize("text", [b"a\0b", b"\0", b"ab\xff\xfe", b"\xed\xa0\x80", b"\xc3"])
def test_nul_bytes_and_bad_utf8_on_standard_input_are_refused(
    warm: Room, flag: str, text: bytes
) -> None:
    """F5, T4: exit 2 and nothing is written."""
    words = ["say", "note", "--tool", "a", "--subject", "x", f"--{flag}", "-"]
    for asked in (warm, warm.directly) if flag == "summary" else (warm,):
        assert asked.refused(2, "bad-text", *words, stdin=text)
    assert warm.head() == 0


@pytest.mark.parametrize(
    "flag",
    ["subject", "summary", "path", "resource", "run", "step", "parent-step", "ref", "target",
     "thread", "uri", "evidence", "status", "reason", "key", "data", "tool", "session-id"],
)  # fmt: skip
def test_bad_utf8_in_any_argument_is_refused(warm: Room, flag: str) -> None:
    """F5, T4: bytes that are no UTF-8, in every field; the error itself is clean JSON."""
    given = {"tool": b"a", "subject": b"x", flag: b"ab\xff\xfec"}
    words = [part for name, value in given.items() for part in (f"--{name}".encode(), value)]
    for asked in (warm, warm.directly) if flag in ("subject", "path", "data") else (warm,):
        answer = asked.run(b"say", b"note", *words, b"--json")
        assert answer.code == 2, answer
        assert answer.error["code"] in ("bad-text", "bad-tool", "bad-value"), answer
    assert warm.head() == 0


@pytest.mark.parametrize("words", [["room", "--path"], ["show"], ["dag", "--run"], ["--room"],
                                   ["log", "--grep"], [], ["mission", "--tool", "a", "--set"],
                                   ["log", "--kind"], ["wait", "--tool", "a", "--until"]])  # fmt: skip
def test_bad_utf8_anywhere_else_is_an_ordinary_answer(warm: Room, words: list[str]) -> None:
    """F5, T4: no command fails in an unforeseen way."""
    answer = warm.run(*words, b"a\xff\xfe", "--json")
    assert answer.code in (0, 2), answer
    assert answer.envelope


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ('{"a": "x\\u0000y"}', "bad-text"),
        ('{"a\\u0000": 1}', "bad-text"),
        ('{"a": "\\ud800"}', "bad-value"),
        ("[1]", "bad-value"),
        ('"text"', "bad-value"),
        ("{", "bad-value"),
        ("NaN", "bad-value"),
        ('{"a": NaN}', "bad-value"),
        ('{"a":' * 2000 + "1" + "}" * 2000, "bad-value"),
        ("x", "bad-value"),
    ],
)
def test_data_that_is_no_clean_json_object_is_refused(warm: Room, data: str, code: str) -> None:
    """F3, F5, T4: `--data <json>`; NUL has other ways in than argv."""
    answer = warm.run("say", "note", "--tool", "a", "--subject", "x", "--data", data, "--json")
    assert answer.code == 2
    assert answer.error["code"] in (code, "bad-text"), answer
    assert len(answer.out) < 2000
    assert warm.head() == 0


@pytest.mark.parametrize(
    "document",
    [
        {"a": "\\u0000", "b": "back\\slash", "c": "ü\u202e\n\t"},
        {"big": 2**53, "neg": -1, "f": 0.5, "none": None, "yes": True, "": ""},
        {"seq": 99, "event_id": "forged", "hash": "0", "tool": "someone"},
    ],
)
def test_data_comes_back_as_it_was(warm: Room, document: Doc) -> None:
    """F1, F3: any JSON object; its keys are its own and forge nothing."""
    fact = warm.say("note", "a", subject="x", data=json.dumps(document))
    assert fact["data"] == document
    assert (fact["seq"], fact["tool"]) == (1, "a")
    assert warm.data("show", "1")["fact"]["data"] == document
    assert warm.by_daemon.data("verify")["ok"] is True


def test_shell_characters_and_awkward_text_are_only_text(room: Room) -> None:
    """F5, O5: every character that is no NUL survives unchanged."""
    text = (
        "`id` $(id) ${x} ; | & < > * ? [a] ~ # ! 'q' \"d\" \\ \x1b[31m \u202e \t é e\u0301 日本 🦀"
    )
    fact = room.say("note", "a", subject=text, summary=f"{text}\n{text}\r\n", uri=text, reason=text)
    assert (fact["subject"], fact["uri"], fact["reason"]) == (text, text, text)
    assert fact["summary"].startswith(f"{text}\n{text}")


# --- F6-F8: keys, presence, crashes ----------------------------------------------------------------


def test_the_same_key_with_the_same_content_answers_the_first_fact(room: Room) -> None:
    """F6: `"replayed": true`, and nothing is written."""
    words = ["say", "claim", "--tool", "a", "--path", "x", "--subject", "s", "--key", "k"]
    first = room.data(*words)
    again = room.data(*words)
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert again["fact"] == first["fact"]
    assert again["fence"] == first["fence"]
    assert len(room.facts()) == 1


@pytest.mark.parametrize(
    "other", [{"subject": "t"}, {"path": "y"}, {"summary": "more"}, {"run": "r", "step": "s"}]
)
def test_the_same_key_with_other_content_is_refused(warm: Room, other: Doc) -> None:
    """F6: exit 3 `key-conflict`; nothing is written."""
    fields: Doc = {"subject": "s", "path": "x", "key": "k"}
    first = warm.by_daemon.say("note", "a", **fields)
    error = warm.no_say(3, "key-conflict", "note", "a", **{**fields, **other})
    assert first["event_id"] in json.dumps(error)


def test_a_key_belongs_to_who_said_it_and_to_its_kind(warm: Room) -> None:
    """F6: another tool, or another kind, is other content."""
    warm.say("note", "a", subject="s", key="k")
    warm.no_say(3, "key-conflict", "note", "b", subject="s", key="k")
    warm.no_say(3, "key-conflict", "lesson", "a", subject="s", key="k")


def test_of_many_retries_at_once_one_writes(warm: Room) -> None:
    """F6, F8: the same keyed command, eight times at once, by daemon and directly: one fact."""
    words = ["say", "artifact", "--tool", "a", "--subject", "s", "--key", "k", "--json"]
    began = [(warm if n % 2 else warm.directly).start(*words) for n in range(8)]
    answers = [json.loads(one.communicate(timeout=30)[0])["data"]["say"] for one in began]
    assert len({one["fact"]["event_id"] for one in answers}) == 1
    assert sorted(one["replayed"] for one in answers) == [False] + [True] * 7
    assert len(warm.facts()) == 1


def test_who_has_not_entered_may_speak_and_is_not_present(room: Room) -> None:
    """F7: warning `not-entered`; not counted in `tools[]`."""
    answer = room.ask("say", "note", "--tool", "a", "--subject", "x")
    assert answer.warned == ["not-entered"]
    assert shown(room, "tools") == []
    room.ask("enter", "--tool", "a")
    assert room.ask("say", "note", "--tool", "a", "--subject", "x").warned == []
    assert [one["tool"] for one in shown(room, "tools")] == ["a"]
    text = room.run("say", "note", "--tool", "b", "--subject", "x")
    assert "warning: " in text.err
    assert text.code == 0


def test_a_killed_command_wrote_its_fact_whole_or_not_at_all(warm: Room) -> None:
    """F8, R3: direct writers killed anywhere; the history is whole and a keyed retry is safe."""
    warm.say("note", "a", subject="first")
    finished = 0
    for n in range(8):
        words = ["say", "note", "--tool", "a", "--subject", str(n), "--key", f"k{n}"]
        began = warm.directly.start(*words)
        try:
            began.communicate(timeout=0.03 + 0.012 * n)
            finished += 1
        except subprocess.TimeoutExpired:
            began.kill()
            began.communicate()
    assert warm.data("verify")["ok"] is True
    for n in range(8):
        warm.say("note", "a", subject=str(n), key=f"k{n}")
    subjects = [fact["subject"] for fact in warm.facts()]
    assert sorted(subjects) == sorted(["first", *map(str, range(8))])


# --- the kinds ------------------------------------------------------------------------------------

REQUIRED: list[tuple[str, dict[str, str], str]] = [
    ("claim", {}, "claims-nothing"),
    ("claim", {"run": "r"}, "claims-nothing"),
    ("claim", {"step": "s"}, "claims-nothing"),
    ("release", {}, "missing-field"),
    ("artifact", {}, "missing-field"),
    ("blocker", {}, "missing-field"),
    ("resolve", {}, "missing-field"),
    ("decision", {}, "missing-field"),
    ("handoff", {"subject": "x"}, "missing-field"),
    ("handoff", {"target": "b"}, "missing-field"),
    ("receipt", {"state": "done"}, "missing-field"),
    ("receipt", {"ref": "1"}, "missing-field"),
    ("risk", {}, "missing-field"),
    ("lesson", {}, "missing-field"),
    ("note", {}, "missing-field"),
    ("note", {"subject": ""}, "missing-field"),
    ("note", {"subject": " \t\n"}, "missing-field"),
    ("retract", {"ref": "1", "reason": " "}, "missing-field"),
    ("wake", {}, "missing-field"),
    ("retract", {"ref": "1"}, "missing-field"),
    ("retract", {"reason": "x"}, "missing-field"),
]


@pytest.mark.parametrize(("kind", "fields", "code"), REQUIRED)
def test_a_kind_requires_its_fields(warm: Room, kind: str, fields: Doc, code: str) -> None:
    """Kinds, T4: what is missing is named; exit 2, nothing written."""
    warm.say("handoff", "z", subject="x", target="a")
    error = warm.no_say(2, code, kind, "a", **fields)
    assert "--" in error["message"] + error["hint"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("claim", {"path": "x", "mode": "half"}),
        ("blocker", {"subject": "x", "severity": "awful"}),
        ("handoff", {"subject": "x", "target": "b", "intent": "beg"}),
        ("receipt", {"ref": "1", "state": "maybe"}),
        ("enter", {"tier": "slow"}),
        ("decision", {"subject": "x", "status": "perhaps"}),
    ],
)
def test_a_choice_takes_its_words_only(warm: Room, kind: str, fields: Doc) -> None:
    """Kinds, O2: exit 2 `bad-value`, naming the value and the choices."""
    warm.say("handoff", "z", subject="x", target="a")
    error = warm.no_say(2, "bad-value", kind, "a", **fields)
    value = next(v for k, v in fields.items() if k in ("mode", "severity", "intent", "state",
                                                       "tier", "status"))  # fmt: skip
    assert value in error["message"]


def test_enter_records_role_tier_and_what_is_watched(warm: Room) -> None:
    """Kind enter: `--role`, `--tier`, `--path*`; the same by `say enter`."""
    warm.ask("enter", "--tool", "a", "--role", "builder", "--tier", "fast", "--path", "src")
    warm.by_daemon.say("enter", "b", role="critic", tier="frontier", path="docs")
    rows = {row["tool"]: row for row in shown(warm, "tools")}
    assert (rows["a"]["role"], rows["a"]["tier"]) == ("builder", "fast")
    assert (rows["b"]["role"], rows["b"]["tier"]) == ("critic", "frontier")
    assert [fact["paths"] for fact in warm.facts("--kind", "enter")] == [["src"], ["docs"]]


def test_a_second_live_enter_under_another_session_is_accepted_with_a_warning(room: Room) -> None:
    """Kind enter: warning `duplicate-tool`; not for the same session, nor after leave."""
    words = ["enter", "--tool", "a", "--session-id"]
    assert room.ask(*words, "s1").warned == []
    assert room.by_daemon.ask(*words, "s1").warned == []
    assert room.ask(*words, "s2").warned == ["duplicate-tool"]
    room.by_daemon.ask("leave", "--tool", "b")
    room.by_daemon.ask("enter", "--tool", "b", "--session-id", "s1")
    room.by_daemon.ask("leave", "--tool", "b", "--session-id", "s1")
    assert room.by_daemon.ask("enter", "--tool", "b", "--session-id", "s2").warned == []


def test_leave_releases_the_claims_and_ends_the_standbys(room: Room) -> None:
    """Kind leave, C5: what the tool owns ends; what others hold stays."""
    given = room.by_daemon
    given.ask("enter", "--tool", "a")
    given.say("claim", "a", path="src")
    given.say("claim", "a", resource="port:1")
    given.say("claim", "b", path="docs")
    given.say("standby", "a", reason="x")
    room.ask("leave", "--tool", "a")
    assert [one["tool"] for one in shown(room, "active_claims")] == ["b"]
    assert shown(room, "standbys") == []
    assert room.check("c", "src")["allow"] is True
    assert [row["status"] for row in shown(room, "tools")] == ["gone"]


def test_leave_of_one_session_spares_the_claims_of_another(warm: Room) -> None:
    """Kind leave, C5: the claims it *owns*: same tool and, where both are given, same session."""
    given = warm.by_daemon
    for session in ("s1", "s2"):
        given.ask("enter", "--tool", "a", "--session-id", session)
        given.say("claim", "a", session_id=session, path=f"src/{session}")
    warm.ask("leave", "--tool", "a", "--session-id", "s1")
    assert [one["paths"] for one in shown(warm, "active_claims")] == [["src/s2"]]


def test_renew_extends_all_leases_of_the_caller_and_no_other(warm: Room) -> None:
    """Kind renew, C6: the effect: a claim that would have lapsed does not."""
    warm.happened(29, "say", kind="claim", tool="a", paths=["src"], ttl="30m")
    warm.happened(29, "say", kind="claim", tool="a", resources=["port:1"], ttl="40m")
    warm.happened(29, "say", kind="claim", tool="b", paths=["docs"], ttl="30m")
    before = {one["event_id"]: one["lease_expires_at"] for one in shown(warm, "active_claims")}
    warm.say("renew", "a")
    for one in shown(warm, "active_claims"):
        left_s = instant(one["lease_expires_at"]) - time.time()
        if one["tool"] == "a":
            assert left_s == pytest.approx({"30m": 1800, "40m": 2400}[one["ttl"]], abs=20)
        else:
            assert one["lease_expires_at"] == before[one["event_id"]]


def test_a_renew_without_a_lease_requires_nothing_and_says_that_it_did_nothing(warm: Room) -> None:
    """Kind renew: it requires nothing; of others' leases it extends none."""
    other = warm.by_daemon.say("claim", "b", path="src")
    answer = warm.run("say", "renew", "--tool", "a", "--json")
    assert answer.code == 0
    assert "nothing-to-renew" in [one["code"] for one in json.loads(answer.out)["warnings"]]
    (claim,) = shown(warm, "active_claims")
    assert claim["lease_expires_at"] == other["lease_expires_at"]


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


ACTIVITIES = [
    ["next", "--tool", "a"],
    ["inbox", "--tool", "a"],
    ["whoami", "--tool", "a"],
    ["check", "before-write", "--tool", "a", "--path", "src/x"],
    ["check", "before-complete", "--tool", "a"],
    ["say", "note", "--tool", "a", "--subject", "x"],
    ["enter", "--tool", "a"],
    ["wait", "--tool", "a", "--until", "free:nowhere"],
]


@pytest.mark.parametrize("words", ACTIVITIES)
def test_any_command_of_the_owner_renews_after_a_third_of_the_lease_and_once(
    warm: Room, words: list[str]
) -> None:
    """Kind renew, C6, K1: rally writes it by itself, at most once per third of a lease."""
    warm.happened(12, "say", kind="claim", tool="a", paths=["src"], ttl="30m")
    for _ in range(2):
        warm.ask(*words)
    renewals = warm.facts("--kind", "renew")
    assert [one["tool"] for one in renewals] == ["a"]
    (claim,) = shown(warm, "active_claims")
    assert instant(claim["lease_expires_at"]) - time.time() == pytest.approx(1800, abs=30)


def test_a_young_lease_is_not_renewed_and_looking_writes_nothing(warm: Room) -> None:
    """Kind renew, C6: within the first third no fact; a view that names no caller never writes."""
    warm.happened(8, "say", kind="claim", tool="a", paths=["src"], ttl="30m")
    warm.happened(8, "say", kind="claim", tool="b", paths=["docs"], ttl="20m")
    for words in (["next", "--tool", "a"], ["check", "before-write", "--tool", "a", "--path", "src"],
                  ["room"], ["log"], ["wake-due"], ["check-ci"], ["status"], ["show", "1"],
                  ["dag", "--run", "r"], ["next", "--tool", "c"]):  # fmt: skip
        warm.ask(*words)
    assert len(warm.facts()) == 2


def test_a_claim_that_its_owner_keeps_using_survives(room: Room) -> None:
    """Kind renew, C6: activity 20 minutes ago, claim 40 minutes old, lease 30 minutes."""
    room.happened(40, "say", kind="claim", tool="a", paths=["src"], ttl="30m")
    room.happened(20, "check", phase="before-write", tool="a", paths=["src/x"])
    assert codes(room.check("b", "src/x")) == ["claimed-path"]


def test_release_by_id_ends_that_claim(room: Room) -> None:
    """Kind release: `--ref`, an event id or a seq."""
    one = room.by_daemon.say("claim", "a", path="src")
    two = room.by_daemon.say("claim", "a", path="docs")
    room.say("release", "a", ref=one["event_id"])
    assert ids(shown(room, "active_claims")) == [two["event_id"]]
    room.say("release", "a", ref=str(two["seq"]))
    assert shown(room, "active_claims") == []


def test_release_by_path_ends_all_own_claims_that_overlap_and_no_other(warm: Room) -> None:
    """Kind release, C2: by path: all own claims that overlap."""
    given = warm.by_daemon
    for path in ("src/a/x", "src/a/*.py", "src/ab", "docs"):
        given.say("claim", "a", path=path)
    given.say("claim", "b", path="src/c")
    warm.say("release", "a", path="src/a")
    assert [one["paths"] for one in shown(warm, "active_claims")] == [
        ["src/ab"],
        ["docs"],
        ["src/c"],
    ]
    warm.say("release", "a", path=["."])
    assert [one["tool"] for one in shown(warm, "active_claims")] == ["b"]


def test_releasing_nothing_is_an_error_that_lists_what_is_held(room: Room) -> None:
    """Kind release: no match: exit 2, listing the caller's open claims."""
    mine = room.by_daemon.say("claim", "a", path="src")
    room.by_daemon.say("claim", "b", path="docs")
    error = room.no_say(2, "nothing-to-release", "release", "a", path="lib")
    told = json.dumps(error)
    assert mine["event_id"] in told
    assert "docs" not in told
    room.by_daemon.no_say(2, "nothing-to-release", "release", "a", path="docs")
    room.by_daemon.no_say(2, "unknown-id", "release", "a", ref="claim-nix")
    room.by_daemon.no_say(2, "wrong-kind", "release", "a",
                          ref=room.by_daemon.say("note", "a", subject="x")["event_id"])  # fmt: skip
    people = room.run("say", "release", "--tool", "a", "--path", "lib")
    assert mine["event_id"] in people.err


@pytest.mark.parametrize("kind", ["receipt", "resolve"])
def test_an_artifact_asks_its_target_for_a_review_until_that_answers(warm: Room, kind: str) -> None:
    """Kind artifact: `--target T`; a receipt or resolve by T ends that."""
    fact = warm.by_daemon.say("artifact", "a", subject="made", uri="u", evidence=["e"], target="b")
    asked = warm.data("next", "--tool", "b")
    assert (asked["action"], asked["fact"]["event_id"]) == ("review_artifact", fact["event_id"])
    assert warm.by_daemon.data("next", "--tool", "c")["action"] == "wait"
    warm.no_say(3, "not-target", "receipt", "c", ref=fact["event_id"], state="done")
    more = {"state": "done"} if kind == "receipt" else {}
    warm.say(kind, "b", ref=fact["event_id"], **more)
    assert warm.data("next", "--tool", "b")["action"] == "wait"


def test_an_artifact_lands_its_step_and_releases_the_steps_claim(room: Room) -> None:
    """Kind artifact: lands the step; with `--release` it also ends the step's claim."""
    given = room.by_daemon
    given.say("claim", "a", path="src", run="r", step="s1")
    given.say("claim", "a", path="docs")
    room.say("artifact", "a", subject="made", run="r", step="s1", release=True)
    assert [one["paths"] for one in shown(room, "active_claims")] == [["docs"]]
    (node,) = room.data("dag", "--run", "r")["nodes"]
    assert (node["step_id"], node["status"]) == ("s1", "landed")


def test_an_artifact_without_release_leaves_the_claim(warm: Room) -> None:
    """Kind artifact: only `--release` ends the claim."""
    warm.by_daemon.say("claim", "a", path="src", run="r", step="s1")
    warm.say("artifact", "a", subject="made", run="r", step="s1")
    assert len(shown(warm, "active_claims")) == 1


def test_an_artifact_ends_the_standby_that_it_refs(warm: Room) -> None:
    """Kind artifact, S1."""
    standby = warm.by_daemon.say("standby", "a", reason="x")
    warm.say("artifact", "a", subject="made", ref=standby["event_id"])
    assert shown(warm, "standbys") == []


def test_a_blocker_is_open_until_anyone_resolves_it(room: Room) -> None:
    """Kinds blocker, resolve: severity, scope and target are kept; anyone closes it."""
    given = room.by_daemon
    fact = given.say(
        "blocker", "a", subject="stuck", severity="critical", path="db", target="human"
    )
    (found,) = shown(room, "active_blockers")
    assert (found["severity"], found["paths"], found["target"]) == ("critical", ["db"], "human")
    room.say("resolve", "z", ref=fact["event_id"])
    assert shown(room, "active_blockers") == []
    room.no_say(3, "already-closed", "resolve", "z", ref=fact["event_id"])


def test_resolve_closes_a_risk_and_knows_what_it_cannot_close(warm: Room) -> None:
    """Kind resolve: a blocker or risk (anyone); an unknown id or another kind is exit 2."""
    given = warm.by_daemon
    risk = given.say("risk", "a", subject="maybe")
    assert ids(shown(warm, "open_risks")) == [risk["event_id"]]
    warm.say("resolve", "z", ref=risk["event_id"])
    assert shown(warm, "open_risks") == []
    note = given.say("note", "a", subject="x")
    warm.no_say(2, "wrong-kind", "resolve", "a", ref=note["event_id"])
    warm.no_say(2, "unknown-id", "resolve", "a", ref="blocker-nix")


@pytest.mark.parametrize(("who", "allowed"), [("a", True), ("b", True), ("c", False)])
def test_a_handoff_is_resolved_by_its_target_or_withdrawn_by_its_sender(
    warm: Room, who: str, allowed: bool
) -> None:
    """Kind resolve: others are refused, 3 `not-target`."""
    fact = warm.by_daemon.say("handoff", "a", subject="x", target="b")
    if allowed:
        warm.say("resolve", who, ref=fact["event_id"])
    else:
        warm.no_say(3, "not-target", "resolve", who, ref=fact["event_id"])
    assert (shown(warm, "open_handoffs") == []) is allowed


def test_a_decision_stands_until_a_later_one_supersedes_it(room: Room) -> None:
    """Kind decision: `--status binding|advisory`; `--ref` supersedes an earlier one."""
    given = room.by_daemon
    first = given.say("decision", "a", subject="tabs", path="src")
    advice = given.say("decision", "a", subject="be kind", status="advisory")
    assert ids(shown(room, "current_decisions")) == [first["event_id"], advice["event_id"]]
    second = room.say("decision", "b", subject="spaces", path="src", ref=first["event_id"])
    assert set(ids(shown(room, "current_decisions"))) == {advice["event_id"], second["event_id"]}
    found = [
        one for one in room.check("c", "src/x")["findings"] if one["code"] == "binding-decision"
    ]
    assert [one["fact_id"] for one in found] == [second["event_id"]]
    room.no_say(2, "wrong-kind", "decision", "a", subject="x",
                ref=given.say("note", "a", subject="n")["event_id"])  # fmt: skip


def test_a_handoff_says_by_when_it_wants_an_answer(warm: Room) -> None:
    """Kind handoff: intent work by default; `--ack-within` becomes `ack_by`."""
    fact = warm.say("handoff", "a", subject="x", target="b", ack_within="10m")
    assert fact["intent"] == "work"
    assert instant(fact["ack_by"]) - instant(fact["created_at"]) == pytest.approx(600)
    assert "ack_by" not in warm.by_daemon.say("handoff", "a", subject="x", target="all")


CLOSES: list[tuple[str, str, bool]] = [
    (intent, state, state in ("rejected", "done")
     or (state == "accepted" and intent not in ("work", "review")))
    for intent in ("work", "review", "plan", "question", "shutdown", "message")
    for state in ("acked", "accepted", "rejected", "done")
]  # fmt: skip


@pytest.mark.parametrize(("intent", "state", "closes"), CLOSES)
def test_a_receipt_closes_a_handoff_or_leaves_it_open(
    warm: Room, intent: str, state: str, closes: bool
) -> None:
    """Kind receipt: `acked` = seen; `accepted` closes what asks for no work; the others close."""
    fact = warm.say("handoff", "a", subject="x", target="b", intent=intent)
    warm.say("receipt", "b", ref=fact["event_id"], state=state, reason="because")
    inbox = warm.data("inbox", "--tool", "b")
    assert inbox["total"] == (0 if closes else 1)
    assert len(shown(warm, "open_handoffs")) == (0 if closes else 1)
    if not closes:
        assert inbox["items"][0]["receipt"] == state
        warm.say("receipt", "b", ref=fact["event_id"], state="done")
        assert warm.data("inbox", "--tool", "b")["total"] == 0


def test_an_accepted_handoff_is_closed_by_an_artifact_that_refs_it(warm: Room) -> None:
    """Kind receipt: work and review stay open until `done`, or such an artifact."""
    fact = warm.by_daemon.say("handoff", "a", subject="x", target="b")
    warm.by_daemon.say("receipt", "b", ref=fact["event_id"], state="accepted")
    warm.by_daemon.say("artifact", "c", subject="of somebody else", ref=fact["event_id"])
    assert warm.data("inbox", "--tool", "b")["total"] == 1
    warm.say("artifact", "b", subject="made", ref=fact["event_id"])
    assert warm.data("inbox", "--tool", "b")["total"] == 0


def test_only_the_target_sends_a_receipt(warm: Room) -> None:
    """Kind receipt: else 3 `not-target`, also for the sender; an unknown id is exit 2."""
    fact = warm.by_daemon.say("handoff", "a", subject="x", target="b")
    for who in ("a", "c"):
        error = warm.no_say(3, "not-target", "receipt", who, ref=fact["event_id"], state="done")
        assert "b" in error["message"]
    warm.no_say(2, "unknown-id", "receipt", "b", ref="handoff-nix", state="done")
    note = warm.by_daemon.say("note", "a", subject="x")
    warm.by_daemon.no_say(2, "wrong-kind", "receipt", "b", ref=note["event_id"], state="done")


def test_a_handoff_to_all_is_answered_by_anyone_once_each(room: Room) -> None:
    """Kind receipt: for `all`: anyone, once each; else 3 `not-target`."""
    fact = room.by_daemon.say("handoff", "a", subject="x", target="all", intent="question")
    room.say("receipt", "b", ref=fact["event_id"], state="acked")
    room.no_say(3, "not-target", "receipt", "b", ref=fact["event_id"], state="acked")
    room.say("receipt", "c", ref=fact["event_id"], state="acked")


def test_what_one_has_done_the_others_may_still_answer(room: Room) -> None:
    """Kind receipt: `done` closes, and for `all`: anyone, once each; not what its sender withdrew."""
    fact = room.by_daemon.say("handoff", "a", subject="x", target="all")
    for who in ("b", "c"):
        room.say("receipt", who, ref=fact["event_id"], state="done")
        room.no_say(3, "not-target", "receipt", who, ref=fact["event_id"], state="done")
        assert shown(room, "open_handoffs") == []
    fact = room.by_daemon.say("handoff", "a", subject="x", target="all")
    room.say("resolve", "a", ref=fact["event_id"])
    room.no_say(3, "already-closed", "receipt", "b", ref=fact["event_id"], state="done")


@pytest.mark.parametrize("kind", ["risk", "lesson", "note"])
def test_remarks_are_kept_and_found(warm: Room, kind: str) -> None:
    """Kinds risk, lesson, note: a subject is all they need."""
    fact = warm.say(kind, "a", subject="remember this")
    assert ids(warm.facts("--kind", kind)) == [fact["event_id"]]
    assert ids(shown(warm, "open_risks")) == ([fact["event_id"]] if kind == "risk" else [])


def test_a_standby_says_when_it_wants_to_be_woken(warm: Room) -> None:
    """Kind standby: `--wake-after +30m|ISO`, `--reason`, `--until`; none = only a wake ends it."""
    soon = warm.say("standby", "a", wake_after="+30m", reason="r")
    assert instant(soon["wake_after"]) - instant(soon["created_at"]) == pytest.approx(1800)
    plain = warm.by_daemon.say("standby", "a", wake_after="2h")  # O7: a leading + is allowed
    assert instant(plain["wake_after"]) - instant(plain["created_at"]) == pytest.approx(7200)
    later = warm.by_daemon.say("standby", "b", wake_after="2033-01-01T00:00:00Z", until="free:src")
    assert later["wake_after"] == "2033-01-01T00:00:00.000Z"
    assert later["until"] == ["free:src"]
    endless = warm.by_daemon.say("standby", "c")
    assert "wake_after" not in endless
    assert len(shown(warm, "standbys")) == 3


def test_a_wake_closes_that_standby(room: Room) -> None:
    """Kind wake: `--ref-standby`; an unknown id or another kind is exit 2."""
    standby = room.by_daemon.say("standby", "a")
    other = room.by_daemon.say("standby", "b")
    room.say("wake", "a", ref_standby=standby["event_id"])
    assert ids(shown(room, "standbys")) == [other["event_id"]]
    room.no_say(2, "unknown-id", "wake", "a", ref_standby="standby-nix")
    note = room.by_daemon.say("note", "a", subject="x")
    room.by_daemon.no_say(2, "wrong-kind", "wake", "a", ref_standby=note["event_id"])
    room.by_daemon.no_say(3, "already-closed", "wake", "a", ref_standby=standby["event_id"])


RETRACTABLE: list[tuple[str, Doc, str]] = [
    ("blocker", {"subject": "x", "path": "src"}, "active_blockers"),
    ("decision", {"subject": "x", "path": "src"}, "current_decisions"),
    ("risk", {"subject": "x"}, "open_risks"),
    ("handoff", {"subject": "x", "target": "b"}, "open_handoffs"),
    ("standby", {}, "standbys"),
    ("artifact", {"subject": "x", "run": "r", "step": "s"}, "recent_artifacts"),
    ("claim", {"path": "src"}, "active_claims"),
]


@pytest.mark.parametrize(("kind", "fields", "where"), RETRACTABLE)
def test_a_retracted_fact_leaves_every_projection_and_stays_in_the_ledger(
    warm: Room, kind: str, fields: Doc, where: str
) -> None:
    """Kind retract: withdrawn from every view; it stays in the ledger."""
    fact = warm.by_daemon.say(kind, "a", **fields)
    assert ids(shown(warm, where)) == [fact["event_id"]]
    warm.say("retract", "a", ref=fact["event_id"], reason="a mistake")
    whole = warm.data("room")
    assert whole[where] == []
    assert whole["totals"][where] == 0
    assert warm.check("c", "src/x")["findings"] in ([], [warm.check("c", "src/x")["findings"][0]])
    assert codes(warm.by_daemon.check("c", "src/x")) == ["unclaimed-path"]
    assert warm.by_daemon.data("inbox", "--tool", "b")["total"] == 0
    nodes = warm.by_daemon.data("dag", "--run", "r")["nodes"]
    assert [node["status"] for node in nodes if node["status"] == "landed"] == []
    assert warm.data("show", fact["event_id"])["fact"]["hash"] == fact["hash"]


def test_a_claim_is_retracted_by_its_owner_only(room: Room) -> None:
    """Kind retract: a claim only by its owner, else 3 `not-owner`; retracted, it is released."""
    claim = room.by_daemon.say("claim", "a", path="src")
    error = room.no_say(3, "not-owner", "retract", "b", ref=claim["event_id"], reason="want it")
    assert "a" in error["message"]
    room.say("retract", "a", ref=claim["event_id"], reason="mistake")
    assert room.say("claim", "b", path="src")


def test_a_lead_fact_is_retracted_by_its_owner_only(warm: Room) -> None:
    """Kind retract: the seat cannot be taken away by withdrawing the fact."""
    taken = warm.by_daemon.data("lead", "take", "--tool", "a")["fact"]
    warm.no_say(3, "not-owner", "retract", "b", ref=taken["event_id"], reason="coup")
    assert warm.data("lead", "show")["lead"]["tool"] == "a"
    warm.say("retract", "a", ref=taken["event_id"], reason="mistake")
    assert warm.data("lead", "show")["lead"] is None


def test_what_a_retracted_fact_had_closed_is_not_lost(warm: Room) -> None:
    """Kind retract: a withdrawn resolve closes nothing."""
    blocker = warm.by_daemon.say("blocker", "a", subject="x")
    resolve = warm.by_daemon.say("resolve", "b", ref=blocker["event_id"])
    warm.say("retract", "b", ref=resolve["event_id"], reason="too early")
    assert ids(shown(warm, "active_blockers")) == [blocker["event_id"]]


def test_retract_knows_its_target(warm: Room) -> None:
    """Kind retract, T4: an unknown id is exit 2; twice is refused."""
    note = warm.by_daemon.say("note", "a", subject="x")
    warm.no_say(2, "unknown-id", "retract", "a", ref="note-nix", reason="x")
    warm.by_daemon.say("retract", "a", ref=note["event_id"], reason="x")
    warm.no_say(3, "already-closed", "retract", "a", ref=note["event_id"], reason="x")


def test_flags_of_another_kind_are_refused(warm: Room) -> None:
    """Kinds, T4: a flag that the kind gives no meaning is an error, not a silent loss."""
    for kind, fields in (
        ("note", {"subject": "x", "ttl": "5m"}),
        ("note", {"subject": "x", "force": True}),
        ("claim", {"path": "x", "wake_after": "+5m"}),
        ("blocker", {"subject": "x", "state": "done"}),
    ):
        error = warm.no_say(2, "bad-field", kind, "a", **fields)
        assert flags(fields)[2] in error["message"] or flags(fields)[-2] in error["message"], error


def test_the_kinds_are_those_of_the_contract(world: World) -> None:
    """F2: the list of kinds in the error is the contract's, but for those with their own command."""
    listed = world.room(DAEMON).no_say(2, "unknown-kind", "x-x", "a")["details"]["kinds"]
    assert set(listed) == set(KINDS) - set(OWN_COMMAND)


def test_a_replayed_claim_that_has_ended_says_so(warm: Room) -> None:
    """F6, C7: the first fact is answered again, and nobody is led to think that it still holds."""
    words = ["say", "claim", "--tool", "a", "--path", "x", "--key", "k"]
    first = warm.data(*words)["fact"]
    assert warm.ask(*words).warned == []
    warm.say("release", "a", path="x")
    again = warm.ask(*words)
    assert (again.data["fact"], again.warned) == (first, ["claim-ended"])
    text = warm.run(*words)
    assert "holds x" not in text.out
    assert "ended" in text.err


REPEATED: list[tuple[str, Doc]] = [
    ("enter", {"role": "r"}), ("claim", {"path": "./src/", "ttl": "30m"}),
    ("renew", {}), ("release", {"path": "src"}),
    ("artifact", {"subject": "x", "run": "r", "step": "s", "release": True}),
    ("blocker", {"subject": "x"}), ("resolve", {"ref": "BLOCKER"}),
    ("decision", {"subject": "x"}), ("handoff", {"subject": "x", "target": "b", "ack_within": "5m"}),
    ("receipt", {"ref": "HANDOFF", "state": "done"}), ("standby", {"wake_after": "+30m"}),
    ("wake", {"ref_standby": "STANDBY"}), ("retract", {"ref": "NOTE", "reason": "x"}), ("leave", {}),
]  # fmt: skip


def test_every_kind_can_be_repeated_with_its_key(warm: Room) -> None:
    """F6, F8: relative times, closed targets and released claims are no other content."""
    given = {
        "BLOCKER": warm.say("blocker", "z", subject="x"),
        "HANDOFF": warm.say("handoff", "z", subject="x", target="a"),
        "STANDBY": warm.say("standby", "a", run="r", step="other"),
        "NOTE": warm.say("note", "a", subject="x"),
    }
    warm.say("claim", "a", path="lib", run="r", step="s")
    for kind, fields in REPEATED:
        named = {k: given[v]["event_id"] if v in given else v for k, v in fields.items()}
        first = warm.say(kind, "a", **named, key=f"k-{kind}")
        head = warm.head()
        again = warm.ask("say", kind, "--tool", "a", *flags(named), "--key", f"k-{kind}")
        assert (again.data["replayed"], again.data["fact"]) == (True, first), kind
        assert warm.head() == head, kind

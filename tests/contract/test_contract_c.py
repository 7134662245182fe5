"""Claims: one form of a path, one rule of overlap, one holder, and who may end it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from datetime import datetime

import pytest
from contract_room import DIRECT, Doc, Room, codes, finding, flags, ids


def claims(room: Room, name: str = "active_claims") -> list[Doc]:
    found = room.data("room")[name]
    assert isinstance(found, list)
    return found


def holders(room: Room) -> list[tuple[str, list[str]]]:
    return [(one["tool"], one.get("paths", [])) for one in claims(room)]


# --- C1: one form of a path -----------------------------------------------------------------------

FORMS = [
    ("src/a.py", "src/a.py"),
    ("./src/a.py", "src/a.py"),
    ("src//a.py", "src/a.py"),
    ("src/./a.py", "src/a.py"),
    ("src/x/../a.py", "src/a.py"),
    ("src/", "src"),
    (".", "."),
    ("./", "."),
    ("src/..", "."),
    ("caf\u0065\u0301", "caf\u00e9"),
    ("not/there/yet", "not/there/yet"),
    ("a b/ c", "a b/ c"),
    ("~/x", "~/x"),
    ("-x", "-x"),
    ("...", "..."),
    ("src/*.py", "src/*.py"),
    ("./src/**/x?.py", "src/**/x?.py"),
]


@pytest.mark.parametrize(("typed", "form"), FORMS)
def test_a_path_has_one_form(warm: Room, typed: str, form: str) -> None:
    """C1: relative to the repository, POSIX, NFC; a path need not exist."""
    assert warm.say("claim", "a", path=typed)["paths"] == [form]


def test_two_spellings_of_one_path_are_one_path(warm: Room) -> None:
    """C1: a claim names it once."""
    fact = warm.say(
        "claim", "a", path=["src/a", "./src//a", "src/b/../a", str(warm.root / "src/a")]
    )
    assert fact["paths"] == ["src/a"]


def test_absolute_paths_links_and_linked_worktrees_come_to_the_same_form(room: Room) -> None:
    """C1: absolute, through symbolic links, and seen from a linked worktree."""
    room.git("init", "-q", "-b", "main")
    (room.root / "src").mkdir()
    (room.root / "src" / "a.py").write_text("1")
    (room.root / "link").symlink_to("src")
    room.git("add", ".")
    room.git("commit", "-qm", "x")
    name = f"../{room.root.name}-wt"
    room.git("worktree", "add", "-q", name, "-b", "side")
    linked = room.root.parent / name.removeprefix("../")
    through = room.root.with_name(room.root.name + "-lnk")
    through.symlink_to(room.root)
    room.by_daemon.say("claim", "a", path="src/a.py")
    for typed, folder in (
        (str(room.root / "src/a.py"), room.root),
        ("link/a.py", room.root),
        (str(through / "link" / "a.py"), room.root),
        (str(linked / "src/a.py"), room.root),
        (str(linked / "link/a.py"), linked),
        ("src/a.py", linked),
        ("src/a.py", room.root / "src"),
    ):
        check = room.data("check", "before-write", "--tool", "b", "--path", typed, cwd=folder)
        assert check["paths"] == ["src/a.py"], typed
        assert codes(check) == ["claimed-path"]


def test_case_is_ignored_where_the_repository_ignores_it(room: Room) -> None:
    """C1: and only there."""
    room.git("init", "-q")
    room.by_daemon.say("claim", "a", path="Docs/x")
    assert codes(room.check("b", "docs/x")) == ["unclaimed-path"]
    room.git("config", "core.ignorecase", "true")
    room.by_daemon.say("claim", "a", path="Src/Äpp.py")
    assert codes(room.check("b", "SRC/äPP.py")) == ["claimed-path"]


OUTSIDE = ["..", "../x", "src/../../x", "/etc/passwd", "/", "src/../..", "out/x"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_that_leaves_the_room_is_refused_wherever_it_is_given(warm: Room, path: str) -> None:
    """C1, T4: exit 2 `path-outside-room`; also through a symbolic link."""
    (warm.root / "out").symlink_to("/usr")
    warm.by_daemon.say("note", "a", subject="x")
    error = warm.no_say(2, "path-outside-room", "claim", "a", path=["fine", path])
    assert path in error["message"]
    given = warm.by_daemon
    for kind in ("release", "enter", "note", "blocker", "decision"):
        subject = None if kind in ("release", "enter") else "x"
        given.no_say(2, "path-outside-room", kind, "a", path=path, subject=subject)
    given.no_say(2, "path-outside-room", "standby", "a", until=f"free:{path}")
    for words in (
        ["check", "before-write", "--tool", "a"],
        ["room"],
        ["log"],
        ["enter", "--tool", "a"],
    ):
        given.refused(2, "path-outside-room", *words, "--path", path)
    given.refused(2, "path-outside-room", "wait", "--tool", "a", "--until", f"free:{path}")


@pytest.mark.parametrize("path", ["", "x/../**/../y", "**/..", "x" * 5000, "a\0b".replace("\0", "\n"),
                                  "a\x1b[31m", "a\u202eb", "\x7f"])  # fmt: skip
def test_what_can_be_no_path_is_an_ordinary_error_or_an_ordinary_path(
    warm: Room, path: str
) -> None:
    """C1, O5, T4: never a crash, never a claim on something else."""
    answer = warm.run("say", "claim", "--tool", "a", f"--path={path}", "--json")
    assert answer.code in (0, 2), answer
    if answer.code == 0:
        assert answer.data["fact"]["paths"] == [path]
        warm.say("release", "a", path=path)
    else:
        assert answer.error["code"] in ("bad-path", "bad-text", "too-long", "claims-nothing")


# --- C2: one rule of overlap ----------------------------------------------------------------------

OVERLAPS = [
    ("src", "src", True),
    ("src", "src/a/b.py", True),
    ("src/a", "src/ab", False),
    ("src/a", "src/a.py", False),
    (".", "anything/at/all", True),
    ("src/*.py", "src/a.py", True),
    ("src/*.py", "src/a.md", False),
    ("src/*.py", "src/b/c.py", False),
    ("src/**", "src/b/c.py", True),
    ("src/**/*.py", "src/a.py", True),
    ("**/*.py", "deep/er/x.py", True),
    ("**/*.py", "**/*.md", False),
    ("src/*.py", "src/a*", True),
    ("src/a?c", "src/abc", True),
    ("src/a?c", "src/ac", False),
    ("src/a*z", "src/ab*yz", True),
    ("src/*/x", "src/a", True),
    ("*", "README.md", True),
    ("*/a", "src/*", True),
    ("src/[ab].py", "src/a.py", False),
    ("Src", "src", False),
    ("docs", "src", False),
]


@pytest.mark.parametrize(("one", "other", "expected"), OVERLAPS)
def test_overlap_is_the_same_in_every_command_and_both_ways_round(
    warm: Room, one: str, other: str, expected: bool
) -> None:
    """C2: claim, check and release; equal, above on a segment boundary, or wildcards that meet."""
    for mine, yours in ((one, other), (other, one)):
        warm.say("claim", "a", path=mine)
        assert ("claimed-path" in codes(warm.check("b", yours))) is expected
        asked = warm.run("say", "claim", "--tool", "b", "--path", yours, "--json")
        assert asked.code == (3 if expected else 0), asked
        released = warm.run("say", "release", "--tool", "a", "--path", yours)
        assert released.code == (0 if expected else 2), released
        for who in () if expected else ("a", "b"):
            warm.run("leave", "--tool", who)


def test_resources_overlap_when_equal(warm: Room) -> None:
    """C2: named resources; a name is no path and no pattern."""
    warm.by_daemon.say("claim", "a", resource=["port:5432", "device:gpu0"])
    conflict = warm.no_say(3, "claim-conflict", "claim", "b", resource="port:5432")
    assert "port:5432" in json.dumps(conflict["details"]["conflicts"])
    for free in ("port:5433", "port:543", "port:5432/x", "PORT:5432", "port:*"):
        warm.by_daemon.say("claim", "b", resource=free)
    warm.by_daemon.say("claim", "b", path="port:5432")


# --- C3: all or nothing, one holder ---------------------------------------------------------------


def test_a_conflict_lists_every_held_path_with_its_holder(room: Room) -> None:
    """C3: `details.conflicts[]`: path, held, owner, claim_id, since, lease_expires_at, subject."""
    given = room.by_daemon
    one = given.say("claim", "a", path="src/a", subject="first")
    two = given.say("claim", "c", path="docs", subject="second", ttl="2h")
    error = room.no_say(3, "claim-conflict", "claim", "b", path=["lib", "src", "docs/x.md"])
    told = [
        (c["path"], c["held"], c["owner"], c["claim_id"], c["since"], c["lease_expires_at"])
        for c in error["details"]["conflicts"]
    ]
    assert told == [
        ("src", "src/a", "a", one["event_id"], one["created_at"], one["lease_expires_at"]),
        ("docs/x.md", "docs", "c", two["event_id"], two["created_at"], two["lease_expires_at"]),
    ]
    assert [c["subject"] for c in error["details"]["conflicts"]] == ["first", "second"]
    for word in ("src", "a", one["lease_expires_at"]):
        assert word in error["message"]


def test_a_conflict_has_every_key_that_the_contract_names(warm: Room) -> None:
    """C3: `path` and `subject` are null for a resource, and for a claim without a subject."""
    warm.by_daemon.say("claim", "a", resource="port:1")
    error = warm.no_say(3, "claim-conflict", "claim", "b", resource="port:1")
    (conflict,) = error["details"]["conflicts"]
    assert (conflict["path"], conflict["subject"]) == (None, None)
    assert (conflict["resource"], conflict["held"], conflict["owner"]) == ("port:1", "port:1", "a")


def test_the_hint_waits_for_the_same_claim_under_the_same_session(warm: Room) -> None:
    """C3, C5, C8, O2: what is pasted is the claim that was asked for, mode and session included."""
    warm.say("claim", "a", path="src", ttl="1s")
    words = ["--tool", "b", "--session-id", "it's 1", "--mode", "shared", "--path", "src/x y"]
    refused = warm.ask("say", "claim", *words, exits=3).error
    fact = warm.sh(f"{refused['hint']} --json").data["fact"]
    assert (fact["session_id"], fact["mode"], fact["paths"]) == ("it's 1", "shared", ["src/x y"])


def test_a_claim_is_granted_whole_or_not_at_all(warm: Room) -> None:
    """C3: one held path of three: none is granted, and the free ones stay free."""
    warm.by_daemon.say("claim", "a", path="src")
    warm.no_say(3, "claim-conflict", "claim", "b", path=["lib", "src/x", "docs"], resource="port:1")
    assert warm.say("claim", "c", path=["lib", "docs"], resource="port:1")["seq"] == 2


def test_of_many_who_claim_at_once_exactly_one_is_granted(warm: Room) -> None:
    """C3: by the daemon and directly, on paths that overlap each other."""
    paths = ["src", "src/a", "src/**", "src/a/b.py", "**/b.py", "src/a/*"]
    began = [
        (warm if n % 2 else warm.directly).start(
            "say", "claim", "--tool", f"t{n}", "--path", paths[n % len(paths)], "--json"
        )
        for n in range(12)
    ]
    ended = [(one.communicate(timeout=30)[0], one.returncode) for one in began]
    assert sorted(code for _, code in ended) == [0] + [3] * 11, ended
    assert len(claims(warm)) == 1
    winner = next(json.loads(out)["data"]["say"]["fact"] for out, code in ended if code == 0)
    assert ids(claims(warm)) == [winner["event_id"]]


@pytest.mark.parametrize(
    "fields", [{}, {"subject": "x"}, {"run": "r"}, {"step": "s"}, {"path": ""}]
)
def test_a_claim_that_names_nothing_to_hold_is_a_usage_error(warm: Room, fields: Doc) -> None:
    """C3: exit 2: there is no claim that silently protects nothing."""
    answer = warm.run("say", "claim", "--tool", "a", *flags(fields), "--json")
    assert answer.code == 2
    assert answer.error["code"] in ("claims-nothing", "bad-path")
    assert warm.head() == 0


# --- C4, C5: modes and owners ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "asked", "conflict"),
    [
        ("exclusive", "exclusive", True),
        ("exclusive", "shared", True),
        ("shared", "exclusive", True),
        ("shared", "shared", False),
    ],
)
def test_shared_conflicts_only_with_exclusive(
    warm: Room, held: str, asked: str, conflict: bool
) -> None:
    """C4: and exclusive, the default, with everything that overlaps."""
    assert warm.say("claim", "z", path="elsewhere")["mode"] == "exclusive"
    warm.say("claim", "a", path="src", mode=held)
    if conflict:
        error = warm.no_say(3, "claim-conflict", "claim", "b", path="src/x", mode=asked)
        assert [one["owner"] for one in error["details"]["conflicts"]] == ["a"]
    else:
        warm.say("claim", "b", path="src/x", mode=asked)


def test_own_claims_never_conflict_with_each_other(warm: Room) -> None:
    """C4: the same and overlapping paths, in any mode."""
    for path, mode in (
        ("src", "exclusive"),
        ("src", "shared"),
        ("src/a", "exclusive"),
        (".", "shared"),
    ):
        warm.by_daemon.say("claim", "a", path=path, mode=mode)
    warm.say("claim", "a", path="src/a/b", resource="port:1")
    assert len(claims(warm)) == 5


def test_a_claim_of_a_step_alone_takes_the_step_and_no_path(room: Room) -> None:
    """C4: a read-only task; another owner cannot take the same step."""
    room.by_daemon.say("claim", "a", run="r", step="s1")
    room.no_say(3, "claim-conflict", "claim", "b", run="r", step="s1")
    room.by_daemon.say("claim", "b", run="r", step="s2")
    room.by_daemon.say("claim", "b", run="r2", step="s1")
    assert room.say("claim", "b", path=".")


@pytest.mark.parametrize(
    ("claimed", "calling", "owns"),
    [
        ("s1", "s1", True),
        ("s1", "s2", False),
        ("s1", None, True),
        (None, "s2", True),
        (None, None, True),
    ],
)
def test_the_owner_is_the_tool_and_where_both_are_given_the_session(
    warm: Room, claimed: str | None, calling: str | None, owns: bool
) -> None:
    """C5: for claims, checks, releases and before-complete alike."""
    warm.say("claim", "a", session_id=claimed, path="src")
    session = flags({"session_id": calling})
    check = warm.data("check", "before-write", "--tool", "a", "--path", "src/x", *session)
    assert codes(check) == ([] if owns else ["claimed-path"])
    complete = warm.data("check", "before-complete", "--tool", "a", *session)
    assert (codes(complete) == ["owned-active-claim"]) is owns
    assert (warm.data("next", "--tool", "a", *session)["action"] == "continue_claim") is owns
    words = ["say", "claim", "--tool", "a", "--path", "src/y", *session]
    assert warm.run(*words).code == (0 if owns else 3)
    words = ["say", "release", "--tool", "a", "--ref", "1", *session]
    assert warm.run(*words).code == (0 if owns else 3)


def test_the_same_tool_name_with_a_prefix_is_somebody_else(warm: Room) -> None:
    """C5: ids are compared whole."""
    warm.say("claim", "claude:1", path="src")
    for other in ("claude:10", "claude", "Claude:1", "claude:1/sub"):
        assert codes(warm.check(other, "src")) == ["claimed-path"]


# --- C6, C7: leases and fences ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl", "seconds"), [(None, 1800), ("1s", 1), ("7d", 604800), ("90m", 5400)]
)
def test_a_lease_lasts_as_long_as_was_asked(warm: Room, ttl: str | None, seconds: int) -> None:
    """C6: `--ttl`, default 30 minutes, from one second to seven days."""
    fact = warm.say("claim", "a", path="src", ttl=ttl)
    begin, end = (datetime.fromisoformat(fact[key]) for key in ("created_at", "lease_expires_at"))
    assert (end - begin).total_seconds() == seconds


@pytest.mark.parametrize("ttl", ["0s", "8d", "169h", "7d1s", "-5m"])
def test_a_lease_outside_the_limits_is_a_usage_error(warm: Room, ttl: str) -> None:
    """C6, T4: exit 2 and nothing is written."""
    answer = warm.run("say", "claim", "--tool", "a", "--path", "x", f"--ttl={ttl}", "--json")
    assert answer.code == 2
    assert ttl in answer.error["message"]
    assert warm.head() == 0


def test_a_lapsed_claim_blocks_nobody_and_shows_as_lapsed(room: Room) -> None:
    """C6: it is listed apart; others may write; a lapse is no event in the ledger."""
    claim = room.happened(31, "say", kind="claim", tool="a", paths=["src"])["fact"]
    check = room.check("b", "src/x")
    assert check["allow"] is True
    assert codes(check) == ["lapsed-claim", "unclaimed-path"]
    whole = room.data("room")
    assert (ids(whole["active_claims"]), ids(whole["lapsed_claims"])) == ([], [claim["event_id"]])
    assert "lapsed" in room.run("room").out
    assert len(room.facts()) == 1


def test_a_new_claim_takes_a_lapsed_one_over_and_the_old_owner_is_told(room: Room) -> None:
    """C6, C7: the old owner's next check says so, with and without the fence."""
    old = room.happened(31, "say", kind="claim", tool="a", paths=["src", "docs"])["fact"]
    before = room.check("a", "src/x", fence=old["fence"])
    assert "lapsed-claim" in codes(before)
    assert "stale-fence" not in codes(before)
    new = room.say("claim", "b", path="src/x")
    assert new["fence"] > old["fence"]
    assert codes(room.check("a", "src/x")) == ["claimed-path", "lapsed-claim"]
    check = room.check("a", "docs/y", fence=old["fence"])
    assert codes(check) == ["lapsed-claim", "stale-fence", "unclaimed-path"]
    told = finding(check, "lapsed-claim")
    assert (told["fact_id"], told["owner"]) == (old["event_id"], "a")
    assert "b took it over" in told["message"]
    whole = room.data("room")
    assert (ids(whole["active_claims"]), whole["lapsed_claims"]) == ([new["event_id"]], [])


def test_a_lapsed_claim_that_nobody_took_is_revived_by_renew(warm: Room) -> None:
    """C6: and is not once somebody has taken it over."""
    warm.happened(31, "say", kind="claim", tool="a", paths=["src"])
    warm.say("renew", "a")
    assert codes(warm.check("b", "src")) == ["claimed-path"]


def test_a_renew_revives_nothing_that_was_taken_over(warm: Room) -> None:
    """C6, C7: the new holder keeps it."""
    warm.happened(45, "say", kind="claim", tool="a", paths=["src"])
    warm.happened(5, "say", kind="claim", tool="b", paths=["src"])
    warm.run("say", "renew", "--tool", "a")
    assert holders(warm) == [("b", ["src"])]


def test_a_fence_is_the_claims_seq_and_good_while_it_lives(room: Room) -> None:
    """C7: no finding for the live claim, renewed or not."""
    room.by_daemon.say("note", "z", subject="x")
    said = room.data("say", "claim", "--tool", "a", "--path", "src")
    assert said["fence"] == said["fact"]["fence"] == said["fact"]["seq"] == 2
    room.by_daemon.say("renew", "a")
    check = room.check("a", "src/x", fence=said["fence"], strict=True)
    assert (check["allow"], check["findings"]) == (True, [])


@pytest.mark.parametrize("how", ["released", "retracted", "forced", "left", "landed", "moved"])
def test_a_fence_is_stale_once_its_claim_has_ended(warm: Room, how: str) -> None:
    """C7: however it ended; a stop, exit 4 with --strict."""
    claim = warm.say("claim", "a", path="src", run="r", step="s")
    fence, ref = claim["fence"], claim["event_id"]
    if how == "released":
        warm.say("release", "a", ref=ref)
    elif how == "retracted":
        warm.say("retract", "a", ref=ref, reason="x")
    elif how == "forced":
        warm.say("release", "human", ref=ref, force=True, reason="x")
    elif how == "left":
        warm.ask("leave", "--tool", "a")
    elif how == "landed":
        warm.say("artifact", "a", subject="x", run="r", step="s", release=True)
    else:
        handoff = warm.say("handoff", "a", target="b", subject="x", claim=ref)
        warm.say("receipt", "b", ref=handoff["event_id"], state="accepted")
    check = warm.check("a", "src/x", fence=fence, strict=True, exits=4)
    assert "stale-fence" in codes(check)
    assert check["allow"] is False
    if how != "moved":  # a new claim on the same path does not make the old fence good
        warm.say("claim", "a", path="src")
        assert codes(warm.check("a", "src/x", fence=fence)) == ["stale-fence"]


@pytest.mark.parametrize("fence", ["99", "1", "0", "-1"])
def test_a_fence_that_is_no_claim_of_the_caller_is_never_good(warm: Room, fence: str) -> None:
    """C7, K0: unknown is no allow."""
    warm.say("note", "a", subject="x")
    warm.say("claim", "b", path="docs")
    answer = warm.run("check", "before-write", "--tool", "a", "--path", "src", f"--fence={fence}",
                      "--json")  # fmt: skip
    assert answer.code == 2 or "stale-fence" in codes(answer.data), answer


# --- C8: waiting ----------------------------------------------------------------------------------


def begin_wait(room: Room, tool: str, *words: str, wait: str = "20s") -> subprocess.Popen[bytes]:
    """Somebody who queues; returns once the room shows it (in direct mode nobody sees it)."""
    began = room.start("say", "claim", "--tool", tool, *words, "--wait", wait, "--json")
    if room.mode != DIRECT:
        while tool not in [one["tool"] for one in room.data("room")["waiting"]]:
            assert began.poll() is None, began.communicate()
    return began


def ended(process: subprocess.Popen[bytes]) -> tuple[int, Doc]:
    out, err = process.communicate(timeout=30)
    assert err == b""
    return process.returncode, json.loads(out)


def test_a_wait_is_granted_when_the_paths_become_free(room: Room) -> None:
    """C8: in both modes; the fence is the new claim's."""
    room.by_daemon.say("claim", "a", path="src")
    waiter = begin_wait(room, "b", "--path", "src/x")
    room.by_daemon.say("release", "a", path="src")
    code, answer = ended(waiter)
    assert (code, answer["ok"]) == (0, True)
    assert holders(room) == [("b", ["src/x"])]
    assert answer["data"]["say"]["fence"] == claims(room)[0]["seq"]


def test_a_wait_is_granted_when_the_lease_in_the_way_lapses(room: Room) -> None:
    """C8, C6: nobody has to say anything for it."""
    room.by_daemon.say("claim", "a", path="src", ttl="1s")
    started = time.monotonic()
    fact = room.say("claim", "b", path="src", wait="20s")
    assert fact["seq"] == 2
    assert time.monotonic() - started < 10


def test_a_wait_for_what_is_free_is_granted_at_once(warm: Room) -> None:
    """C8: `--wait` costs nothing where nobody is in the way."""
    assert warm.say("claim", "a", path="src", wait="60s")["seq"] == 1


def test_waiters_are_served_in_order_of_arrival(warm: Room) -> None:
    """C8: the queue is kept by the daemon."""
    warm.say("claim", "a", path="src")
    waiters = [
        begin_wait(warm, f"w{n}", "--path", f"src/{'x' if n != 1 else '**'}") for n in range(3)
    ]
    assert [one["tool"] for one in warm.data("room")["waiting"]] == ["w0", "w1", "w2"]
    assert "waiting" in warm.run("room").out
    warm.no_say(3, "claim-conflict", "claim", "late", path="src/x")
    warm.say("release", "a", path="src")
    for n, waiter in enumerate(waiters):
        code, answer = ended(waiter)
        assert code == 0, answer
        assert holders(warm) == [(f"w{n}", answer["data"]["say"]["fact"]["paths"])]
        warm.say("release", f"w{n}", ref=str(answer["data"]["say"]["fence"]))
    assert warm.data("room")["waiting"] == []


def test_who_waits_for_a_step_is_seen_to_wait_for_it(warm: Room) -> None:
    """C8, P2: `waiting[]` names what is waited for, also where that is no path."""
    warm.by_daemon.say("claim", "a", run="r", step="build")
    waiter = begin_wait(warm, "b", "--run", "r", "--step", "build")
    (shown,) = warm.data("room")["waiting"]
    assert (shown["paths"], shown["run"], shown["step"]) == ([], "r", "build")
    assert "r/build" in warm.run("room").out.partition("waiting")[2]
    warm.by_daemon.say("leave", "a")
    assert ended(waiter)[0] == 0


def test_nobody_overtakes_who_waits(warm: Room) -> None:
    """C8: in order of arrival, also against who does not wait."""
    warm.say("claim", "a", path="src/x")
    waiter = begin_wait(warm, "b", "--path", "src")
    answer = warm.run("say", "claim", "--tool", "c", "--path", "src/y", "--json")
    warm.say("release", "a", path="src/x")
    code, granted = ended(waiter) if answer.code != 0 else (None, None)
    if answer.code == 0:  # free at that moment: the contract lets c have it; b waits on
        warm.say("release", "c", path="src/y")
        code, granted = ended(waiter)
    assert code == 0, granted


def test_at_the_end_of_the_wait_the_claim_is_refused(room: Room) -> None:
    """C8: exit 3, naming who holds it by then; nothing is left in the queue."""
    room.by_daemon.say("claim", "a", path="src")
    error = room.no_say(3, "claim-conflict", "claim", "b", path="src/x", wait="1s")
    assert [one["owner"] for one in error["details"]["conflicts"]] == ["a"]
    assert room.data("room")["waiting"] == []
    assert holders(room) == [("a", ["src"])]


def test_a_wait_that_would_close_a_circle_is_refused_at_once(warm: Room) -> None:
    """C8: with `details.cycle`; the other wait goes on."""
    warm.say("claim", "a", path="x")
    warm.say("claim", "b", path="y")
    waiter = begin_wait(warm, "a", "--path", "y")
    started = time.monotonic()
    error = warm.no_say(3, "deadlock", "claim", "b", path="x", wait="20s")
    assert time.monotonic() - started < 10
    assert {"a", "b"} <= set(error["details"]["cycle"])
    warm.say("release", "b", path="y")
    assert ended(waiter)[0] == 0


def test_an_interrupt_leaves_the_queue(warm: Room) -> None:
    """C8, O3: Ctrl-C: exit 130, and the next in line is served; so does a killed one."""
    warm.say("claim", "a", path="src")
    gone = begin_wait(warm, "w0", "--path", "src")
    killed = begin_wait(warm, "w1", "--path", "src")
    stays = begin_wait(warm, "w2", "--path", "src")
    gone.send_signal(signal.SIGINT)
    out, _ = gone.communicate(timeout=20)
    assert (gone.returncode, json.loads(out)["error"]["code"]) == (130, "interrupted")
    killed.kill()
    killed.communicate()
    while len(warm.data("room")["waiting"]) > 1:
        pass
    warm.say("release", "a", path="src")
    assert ended(stays)[0] == 0
    assert holders(warm) == [("w2", ["src"])]


@pytest.mark.parametrize("wait", ["soon", "-1s", "10", "9d"])
def test_a_bad_wait_is_a_usage_error(warm: Room, wait: str) -> None:
    """C8, O7, T4."""
    answer = warm.run("say", "claim", "--tool", "a", "--path", "x", f"--wait={wait}", "--json")
    assert answer.code == 2, answer


# --- C9: who may end a claim ----------------------------------------------------------------------


def test_nobody_but_the_owner_ends_a_live_claim(room: Room) -> None:
    """C9: exit 3 `not-owner`, naming the owner and when the lease ends."""
    claim = room.by_daemon.say("claim", "a", path="src")
    error = room.no_say(3, "not-owner", "release", "b", ref=claim["event_id"])
    assert "a" in error["message"]
    assert claim["lease_expires_at"] in error["message"]
    assert "--force" not in error["hint"]


def test_no_other_way_in_ends_the_claim_of_another(warm: Room) -> None:
    """C9: resolve, receipt, retract, wake, artifact, leave, handoff: one rule for all of them."""
    claim = warm.say("claim", "a", path="src", run="r", step="s")
    ref = claim["event_id"]
    tries: list[tuple[str, Doc]] = [
        ("release", {"path": "src"}),
        ("release", {"ref": ref, "force": True, "reason": "x"}),
        ("release", {"ref": ref, "reason": "x"}),
        ("resolve", {"ref": ref}),
        ("receipt", {"ref": ref, "state": "done"}),
        ("retract", {"ref": ref, "reason": "x"}),
        ("wake", {"ref_standby": ref}),
        ("artifact", {"subject": "x", "run": "r", "step": "s", "release": True}),
        ("handoff", {"subject": "x", "target": "b", "claim": ref}),
        ("leave", {}),
        ("enter", {"session_id": "other"}),
        ("renew", {}),
    ]
    for kind, fields in tries:
        warm.run("say", kind, "--tool", "b", *flags(fields))
    warm.run("task", "drop", "--tool", "b", "--run", "r", "--id", "s")
    warm.run("task", "done", "--tool", "b", "--run", "r", "--id", "s")
    assert ids(claims(warm)) == [ref]
    assert claims(warm)[0]["lease_expires_at"] == claim["lease_expires_at"]
    assert codes(warm.check("a", "src/x", fence=claim["fence"])) == []


def test_anyone_ends_a_claim_whose_lease_is_over(room: Room) -> None:
    """C9: once the lease has lapsed."""
    claim = room.happened(31, "say", kind="claim", tool="a", paths=["src"])["fact"]
    room.say("release", "b", ref=claim["event_id"])
    assert room.data("room")["lapsed_claims"] == []


@pytest.mark.parametrize("who", ["lead:1", "human", "human:ada", "other"])
def test_the_lead_or_a_person_ends_it_by_force_with_a_reason(warm: Room, who: str) -> None:
    """C9: recorded; nobody else may."""
    claim = warm.say("claim", "a", path="src")
    warm.data("lead", "take", "--tool", "lead:1")
    assert warm.run("say", "release", "--tool", who, "--ref", claim["event_id"]).code == 3
    without = warm.run("say", "release", "--tool", who, "--ref", claim["event_id"], "--force")
    assert without.code in (2, 3)
    if who == "other":
        warm.no_say(3, "not-owner", "release", who, ref=claim["event_id"], force=True, reason="x")
        return
    assert without.code == 2
    fact = warm.say("release", who, ref=claim["event_id"], force=True, reason="he is asleep")
    assert (fact["tool"], fact["reason"], fact["ref"]) == (who, "he is asleep", claim["event_id"])
    assert claims(warm) == []


def test_authority_is_that_of_the_moment(warm: Room) -> None:
    """C9: who was the lead is the lead no more."""
    claim = warm.say("claim", "a", path="src")
    warm.data("lead", "take", "--tool", "one")
    warm.data("lead", "give", "--tool", "one", "--to", "two")
    warm.no_say(3, "not-owner", "release", "one", ref=claim["event_id"], force=True, reason="x")
    warm.say("release", "two", ref=claim["event_id"], force=True, reason="x")


def test_a_claim_on_what_cannot_exist_any_more_is_released_by_id(warm: Room) -> None:
    """C9: a deleted path is no obstacle."""
    (warm.root / "gone").mkdir()
    claim = warm.say("claim", "a", path="gone/x")
    (warm.root / "gone").rmdir()
    (warm.root / "gone").symlink_to("/nowhere")
    warm.say("release", "a", ref=claim["event_id"])
    assert claims(warm) == []


# --- C10: transfer --------------------------------------------------------------------------------


def offer(room: Room) -> tuple[Doc, Doc]:
    claim = room.say("claim", "a", path=["src", "docs"], resource="port:1", run="r", step="s",
                     subject="the work", ttl="1h")  # fmt: skip
    return claim, room.say("handoff", "a", target="b", subject="yours", claim=claim["event_id"])


def test_a_claim_moves_in_one_step_when_the_target_accepts(room: Room) -> None:
    """C10: A's claim ends and B's begins, with a new fence; until then A holds it."""
    claim, handoff = offer(room.by_daemon)
    assert holders(room) == [("a", ["src", "docs"])]
    assert codes(room.check("a", "src", fence=claim["fence"])) == []
    before = room.head()
    room.say("receipt", "b", ref=handoff["event_id"], state="accepted")
    (moved,) = claims(room)
    assert (moved["tool"], moved["paths"], moved["resources"]) == ("b", ["src", "docs"], ["port:1"])
    assert (moved.get("run"), moved.get("step")) == ("r", "s")
    assert moved["fence"] > before
    assert codes(room.check("a", "src")) == ["claimed-path"]
    assert "stale-fence" in codes(room.check("a", "src", fence=claim["fence"]))
    assert codes(room.check("b", "src", fence=moved["fence"])) == []
    assert room.data("verify")["ok"] is True


@pytest.mark.parametrize("state", ["rejected", "acked", "done"])
def test_other_answers_move_nothing(warm: Room, state: str) -> None:
    """C10: rejected: nothing moves; only `accepted` does."""
    claim, handoff = offer(warm)
    warm.say("receipt", "b", ref=handoff["event_id"], state=state)
    assert ids(claims(warm)) == [claim["event_id"]]


def test_when_the_lease_is_over_nothing_moves(warm: Room) -> None:
    """C10: the lease ended before the answer."""
    claim = warm.happened(40, "say", kind="claim", tool="a", paths=["src"])["fact"]
    handoff = warm.happened(39, "say", kind="handoff", tool="a", target="b", subject="x",
                            claim=claim["event_id"])["fact"]  # fmt: skip
    warm.run("say", "receipt", "--tool", "b", "--ref", handoff["event_id"], "--state", "accepted")
    assert claims(warm) == []


def test_a_claim_that_ended_meanwhile_does_not_move(warm: Room) -> None:
    """C10: released by its owner, and held by somebody else by now."""
    claim, handoff = offer(warm.by_daemon)
    warm.by_daemon.say("release", "a", ref=claim["event_id"])
    warm.by_daemon.say("claim", "c", path="src")
    warm.run("say", "receipt", "--tool", "b", "--ref", handoff["event_id"], "--state", "accepted")
    assert holders(warm) == [("c", ["src"])]


def test_only_the_owner_offers_a_claim_and_only_the_target_gets_it(warm: Room) -> None:
    """C10: others are refused; an unknown or ended claim is an error."""
    claim, handoff = offer(warm.by_daemon)
    warm.no_say(3, "not-owner", "handoff", "c", target="c", subject="x", claim=claim["event_id"])
    warm.by_daemon.no_say(
        3, "not-target", "receipt", "c", ref=handoff["event_id"], state="accepted"
    )
    warm.by_daemon.no_say(
        2, "unknown-id", "handoff", "a", target="b", subject="x", claim="claim-nix"
    )
    warm.by_daemon.no_say(2, "wrong-kind", "handoff", "a", target="b", subject="x",
                          claim=handoff["event_id"])  # fmt: skip
    assert ids(claims(warm)) == [claim["event_id"]]


def test_the_finding_names_the_holder_of_the_moment(warm: Room) -> None:
    """C10, K2: after the transfer the check tells of b."""
    _, handoff = offer(warm)
    warm.say("receipt", "b", ref=handoff["event_id"], state="accepted")
    assert finding(warm.check("c", "docs"), "claimed-path")["owner"] == "b"

"""Checks: every finding fires where it must, is silent where it must, and unknown is no allow."""

from __future__ import annotations

import json

import pytest
from contract_room import Doc, Room, codes, finding, flags


def severity(check: Doc, code: str) -> str:
    return str(finding(check, code)["severity"])


# --- K0, K1 ---------------------------------------------------------------------------------------

UNANSWERABLE = [
    ["check", "before-write", "--tool", "a", "--path", "x"],
    ["check", "before-write", "--tool", "a", "--path", "x", "--strict"],
    ["check", "before-complete", "--tool", "a"],
    ["check-ci"],
    ["check-ci", "--strict"],
]


@pytest.mark.parametrize("damage", ["garbage", "truncated", "a folder"])
def test_a_check_that_cannot_be_answered_is_unavailable_and_never_an_allow(
    room: Room, damage: str
) -> None:
    """K0, T4: exit 1 `unavailable`, with --strict too; the message names the file and the hint
    what to run."""
    room.directly.say("claim", "b", path="x")
    ledger = room.root / ".rally" / "ledger.db"
    for name in ("ledger.db-wal", "ledger.db-shm", "checkpoint"):
        (ledger.parent / name).unlink(missing_ok=True)
    if damage == "garbage":
        ledger.write_bytes(b"this is no database " * 500)
    elif damage == "truncated":
        ledger.write_bytes(ledger.read_bytes()[:5000])
    else:
        ledger.unlink()
        ledger.mkdir()
    for words in UNANSWERABLE if room.mode == "daemon" else UNANSWERABLE[1:4:2]:
        answer = room.run(*words, "--json")
        assert answer.code == 1, answer
        assert answer.error["code"] == "unavailable", answer
        assert "ledger.db" in answer.error["message"]
        assert answer.error["hint"]
    text = room.run(*UNANSWERABLE[0])
    assert (text.code, text.out) == (1, "")
    assert text.err.startswith("error: ")
    assert "allow" not in text.err.split("hint:")[0]


def test_a_check_of_a_bad_path_is_a_usage_error_and_no_allow(room: Room) -> None:
    """K0, C1: what cannot be understood is not allowed either."""
    room.refused(2, "path-outside-room", "check", "before-write", "--tool", "a", "--path", "../x")


def test_the_answer_has_its_shape(warm: Room) -> None:
    """K1: phase, tool, allow, mode, findings with all their keys."""
    warm.by_daemon.say("claim", "a", path="src")
    check = warm.check("b", "src/x", "docs")
    assert (check["phase"], check["tool"], check["mode"]) == ("before-write", "b", "warn")
    for one in check["findings"]:
        assert set(one) == {"code", "severity", "path", "message", "fact_id", "owner", "hint"}
        assert one["severity"] in ("stop", "warn", "info")
    assert warm.check("b", "docs", strict=True)["mode"] == "strict"


def test_allow_is_false_exactly_when_there_is_a_stop(warm: Room) -> None:
    """K1: warn and info findings allow; exit 4 only with --strict and a stop."""
    given = warm.by_daemon
    given.say("claim", "a", path="src")
    given.say("claim", "a", path="shared", mode="shared")
    given.say("blocker", "z", subject="x")
    for paths, stops in (
        (["src"], True),
        (["docs"], False),
        (["shared"], False),
        (["docs", "src/x"], True),
    ):
        for strict in (None, True):
            check = warm.check("b", *paths, strict=strict, exits=4 if strict and stops else 0)
            assert check["allow"] is not stops
            assert ("stop" in [one["severity"] for one in check["findings"]]) is stops


def test_a_check_writes_nothing(room: Room) -> None:
    """K1: not even with findings of every sort; no room is made either."""
    room.check("b", "x", "y", require_claim=True, fence="7", run="r", step="s")
    assert not (room.root / ".rally").exists()
    room.by_daemon.say("claim", "a", path="src")
    room.check("b", "src")
    room.data("check", "before-complete", "--tool", "a")
    assert len(room.facts()) == 1


def test_text_says_allow_or_stop_first(warm: Room) -> None:
    """K1, O4: for people; the exit code is the same."""
    warm.by_daemon.say("claim", "a", path="src")
    words = ["check", "before-write", "--tool"]
    stop = warm.run(*words, "b", "--path", "src/x", "--strict")
    assert (stop.code, stop.out.split()[0]) == (4, "stop")
    assert "claimed-path" in stop.out
    allow = warm.run(*words, "a", "--path", "src/x", "--strict")
    assert (allow.code, allow.out) == (0, "allow\n")


# --- K2: what fires and what does not -------------------------------------------------------------


def test_claimed_path(room: Room) -> None:
    """K2 `claimed-path`: stop; another owner's live claim overlaps."""
    claim = room.by_daemon.say("claim", "a", path="src/*.py", subject="x")
    check = room.check("b", "src/x.py")
    one = finding(check, "claimed-path")
    assert (one["severity"], one["path"], one["owner"], one["fact_id"]) == (
        "stop", "src/x.py", "a", claim["event_id"],
    )  # fmt: skip
    for told in ("src/x.py", "a", claim["lease_expires_at"]):
        assert told in one["message"]
    assert "claimed-path" in codes(room.check("b", "src"))
    for tool, path in (("a", "src/x.py"), ("b", "src/x.md"), ("b", "docs")):
        assert "claimed-path" not in codes(room.check(tool, path))


def test_stale_fence(room: Room) -> None:
    """K2 `stale-fence`: stop, with or without a path."""
    claim = room.by_daemon.say("claim", "a", path="src")
    assert "stale-fence" not in codes(room.check("a", "src", fence=claim["fence"]))
    room.by_daemon.say("release", "a", path="src")
    told = finding(room.check("a", "src", fence=claim["fence"]), "stale-fence")
    assert (told["severity"], told["fact_id"], told["owner"]) == ("stop", claim["event_id"], "a")
    assert severity(room.check("a", fence=claim["fence"]), "stale-fence") == "stop"


def test_read_only_step(room: Room) -> None:
    """K2 `read-only-step`: stop; the caller's step owns no path."""
    room.by_daemon.say("claim", "a", run="r", step="look")
    room.by_daemon.say("claim", "a", run="r", step="do", path="src")
    assert severity(room.check("a", "docs/x", run="r", step="look"), "read-only-step") == "stop"
    assert codes(room.check("a", "src/x", run="r", step="do")) == []
    assert "read-only-step" not in codes(room.check("a", "src/x"))
    assert "read-only-step" not in codes(room.check("b", "docs/x", run="r", step="other"))


def test_a_registered_read_only_task_may_write_nothing(warm: Room) -> None:
    """K2, W5 `read-only-step`: taken as a task."""
    given = warm.by_daemon
    given.data(
        "task", "add", "--tool", "z", "--run", "r", "--id", "look", "--intent", "x", "--read-only"
    )
    given.data("task", "take", "--tool", "a", "--run", "r")
    assert "read-only-step" in codes(warm.check("a", "docs/x", run="r", step="look"))


def test_outside_claim_of_the_step_is_a_stop(warm: Room) -> None:
    """K2 `outside-claim`: stop when the step named has a claim that does not cover the path."""
    warm.by_daemon.say("claim", "a", run="r", step="s", path="src")
    warm.by_daemon.say("claim", "a", path="docs")
    assert severity(warm.check("a", "lib/x", run="r", step="s"), "outside-claim") == "stop"
    assert severity(warm.check("a", "docs/x", run="r", step="s"), "outside-claim") == "stop"
    assert "outside-claim" not in codes(warm.check("a", "src/x", run="r", step="s"))


def test_outside_the_claim_of_whoever_has_the_step(warm: Room) -> None:
    """K2 `outside-claim`: the step named has a claim, whoever holds it."""
    warm.by_daemon.say("claim", "a", run="r", step="s", path="src")
    assert severity(warm.check("b", "lib/x", run="r", step="s"), "outside-claim") == "stop"
    assert "outside-claim" not in codes(warm.check("b", "src/x", run="r", step="s"))
    assert "outside-claim" not in codes(warm.check("b", "lib/x", run="r", step="t"))
    warm.by_daemon.say("claim", "a", run="r", step="look")
    assert severity(warm.check("b", "lib/x", run="r", step="look"), "outside-claim") == "stop"


def test_any_pattern_of_a_claim_covers(warm: Room) -> None:
    """K2 `outside-claim`, `unclaimed-path`: not only the first of those that overlap the path."""
    warm.say("claim", "a", path=["**/*.py", "**/src/**", "."])
    for path in (".", "src/a", "docs/x", "x.py"):
        assert codes(warm.check("a", path, require_claim=True)) == [], path


def test_a_claim_of_many_paths_is_one_finding(warm: Room) -> None:
    """K2: what is in the way is named once, by the first of its paths that are met."""
    warm.by_daemon.data(
        "say", "claim", "--tool", "a", *(w for n in range(200) for w in ("--path", f"src/{n:03}"))
    )
    warm.by_daemon.say("claim", "c", path="lib")
    found = [one for one in warm.check("b", ".")["findings"] if one["code"] == "claimed-path"]
    assert [one["owner"] for one in found] == ["a", "c"]
    assert "src/000" in found[0]["message"]


def test_outside_all_claims_is_a_warning(warm: Room) -> None:
    """K2 `outside-claim`: warn when the caller holds claims and none covers the path."""
    warm.by_daemon.say("claim", "a", path="src/a")
    assert severity(warm.check("a", "lib/x"), "outside-claim") == "warn"
    assert severity(warm.check("a", "src"), "outside-claim") == "warn"
    assert "outside-claim" not in codes(warm.check("a", "src/a/x"))
    assert "outside-claim" not in codes(warm.check("b", "lib/x"))


def test_a_claim_covers_only_what_lies_wholly_in_it(warm: Room) -> None:
    """K2, C2: a pattern that meets a folder does not cover the folder."""
    warm.say("claim", "a", path="src/*.py")
    assert codes(warm.check("a", "src/x.py")) == []
    for wider in ("src", "src/*", "src/x.md"):
        assert "outside-claim" in codes(warm.check("a", wider)), wider


def test_unclaimed_path(room: Room) -> None:
    """K2 `unclaimed-path`: info; a stop with --require-claim."""
    room.by_daemon.say("claim", "a", path="src")
    assert severity(room.check("b", "docs"), "unclaimed-path") == "info"
    check = room.check("b", "docs", require_claim=True, strict=True, exits=4)
    assert severity(check, "unclaimed-path") == "stop"
    assert codes(room.check("a", "src/x", require_claim=True, strict=True)) == []


def test_a_path_is_covered_by_whichever_pattern_of_a_claim_covers_it(warm: Room) -> None:
    """K2 `outside-claim`, `unclaimed-path`: another pattern of the claim may meet the path as well."""
    warm.by_daemon.say("claim", "a", path=["*/a", "src"])
    assert codes(warm.check("a", "src", require_claim=True)) == []


def test_a_lapsed_or_shared_claim_of_the_caller(warm: Room) -> None:
    """K2, C6 `unclaimed-path`: a lapsed own claim is no claim; a shared one is."""
    warm.happened(31, "say", kind="claim", tool="a", paths=["src"])
    check = warm.check("a", "src/x", require_claim=True, strict=True, exits=4)
    assert "unclaimed-path" in codes(check)
    warm.by_daemon.say("claim", "c", path="docs", mode="shared")
    assert "unclaimed-path" not in codes(warm.check("c", "docs/x", require_claim=True))


def test_lapsed_claim(room: Room) -> None:
    """K2 `lapsed-claim`: warn; the caller's own, or another's that overlaps."""
    claim = room.happened(31, "say", kind="claim", tool="a", paths=["src"])["fact"]
    for tool in ("a", "b"):
        one = finding(room.check(tool, "src/x"), "lapsed-claim")
        assert (one["severity"], one["owner"], one["fact_id"]) == ("warn", "a", claim["event_id"])
    assert "lapsed-claim" not in codes(room.check("b", "docs"))
    room.by_daemon.say("claim", "b", path="docs")
    assert "lapsed-claim" not in codes(room.check("b", "docs"))


def test_active_blocker(room: Room) -> None:
    """K2 `active-blocker`: stop; a blocker scoped to the path, whoever asks, until it is resolved."""
    blocker = room.by_daemon.say("blocker", "a", subject="broken", path="db/*")
    for tool in ("a", "b"):
        one = finding(room.check(tool, "db/x"), "active-blocker")
        assert (one["severity"], one["owner"], one["fact_id"]) == ("stop", "a", blocker["event_id"])
        assert "broken" in one["message"]
    assert "active-blocker" not in codes(room.check("b", "docs"))
    room.by_daemon.say("resolve", "b", ref=blocker["event_id"])
    assert "active-blocker" not in codes(room.check("b", "db/x"))


def test_room_freeze(warm: Room) -> None:
    """K2 `room-freeze`: stop; an unscoped blocker by the lead, and only by who led when it was said."""
    given = warm.by_daemon
    given.data("lead", "take", "--tool", "boss")
    given.say("blocker", "boss", subject="scoped", path="db")
    assert "room-freeze" not in codes(warm.check("b", "x"))
    freeze = given.say("blocker", "boss", subject="stop all")
    for tool, paths in (("b", ["x"]), ("boss", ["x"]), ("b", [])):
        one = finding(warm.check(tool, *paths), "room-freeze")
        assert (one["severity"], one["fact_id"]) == ("stop", freeze["event_id"])
    given.data("lead", "give", "--tool", "boss", "--to", "next")
    assert "room-freeze" in codes(warm.check("b", "x"))
    given.say("resolve", "b", ref=freeze["event_id"])
    assert "room-freeze" not in codes(warm.check("b", "x"))


def test_unscoped_blocker(warm: Room) -> None:
    """K2 `unscoped-blocker`: warn; also of one who becomes lead later."""
    blocker = warm.by_daemon.say("blocker", "a", subject="hm")
    one = finding(warm.check("b", "x"), "unscoped-blocker")
    assert (one["severity"], one["fact_id"], one["owner"]) == ("warn", blocker["event_id"], "a")
    warm.by_daemon.data("lead", "take", "--tool", "a")
    assert codes(warm.check("b", "x")) == ["unclaimed-path", "unscoped-blocker"]
    warm.by_daemon.say("resolve", "a", ref=blocker["event_id"])
    assert "unscoped-blocker" not in codes(warm.check("b", "x"))


def test_binding_decision(warm: Room) -> None:
    """K2 `binding-decision`: info; within its paths, not when advisory."""
    given = warm.by_daemon
    decision = given.say("decision", "a", subject="no deps", path="src")
    given.say("decision", "a", subject="maybe", path="src", status="advisory")
    one = finding(warm.check("b", "src/x"), "binding-decision")
    assert (one["severity"], one["fact_id"]) == ("info", decision["event_id"])
    assert "no deps" in one["message"]
    assert "binding-decision" not in codes(warm.check("b", "docs"))


def test_missing_path(warm: Room) -> None:
    """K2 `missing-path`: warn; blockers are still evaluated."""
    warm.by_daemon.say("claim", "a", path="src")
    check = warm.check("b")
    assert (codes(check), severity(check, "missing-path")) == (["missing-path"], "warn")
    assert check["allow"] is True
    warm.by_daemon.say("blocker", "a", subject="x")
    assert codes(warm.check("b")) == ["missing-path", "unscoped-blocker"]
    assert "missing-path" not in codes(warm.check("b", "docs"))


def test_shared_claim(warm: Room) -> None:
    """K2 `shared-claim`: warn; others hold it shared."""
    claim = warm.by_daemon.say("claim", "a", path="src", mode="shared")
    one = finding(warm.check("b", "src/x"), "shared-claim")
    assert (one["severity"], one["owner"], one["fact_id"]) == ("warn", "a", claim["event_id"])
    assert warm.check("b", "src/x")["allow"] is True
    assert "shared-claim" not in codes(warm.check("a", "src/x"))
    assert "shared-claim" not in codes(warm.check("b", "docs"))


def test_what_claim_grants_check_allows_and_the_other_way_round(warm: Room) -> None:
    """K2, law 3: check and claim never disagree about who may write."""
    warm.happened(45, "say", kind="claim", tool="lapsed", paths=["old"])
    warm.say("claim", "a", path=["src/*.py", "docs"], session_id="s1")
    warm.say("claim", "b", path="lib", mode="shared")
    for tool, session in (("a", "s1"), ("a", "s2"), ("c", None)):
        for path in ("src/x.py", "src/x.md", "src", "docs/y", "old/z", "lib/x"):
            session_flags = flags({"session_id": session})
            words = ["--tool", tool, "--path", path, *session_flags]
            check = warm.data("check", "before-write", *words)
            granted = warm.run("say", "claim", *words, "--mode", "shared", "--json")
            assert (granted.code == 0) is check["allow"], (tool, session, path, check)
            if granted.code == 0:
                warm.data("say", "release", "--tool", tool, "--ref",
                          str(granted.data["fence"]), *session_flags)  # fmt: skip


# --- K3: before-complete --------------------------------------------------------------------------


def test_before_complete_stops_for_each_own_live_claim(room: Room) -> None:
    """K3: `owned-active-claim` stop per own live claim; not for those of others or lapsed ones."""
    room.happened(45, "say", kind="claim", tool="a", paths=["old"])
    given = room.by_daemon
    one, two = given.say("claim", "a", path="src"), given.say("claim", "a", resource="port:1")
    given.say("claim", "b", path="docs")
    check = room.data("check", "before-complete", "--tool", "a")
    assert (check["phase"], check["allow"]) == ("before-complete", False)
    stops = [f for f in check["findings"] if f["severity"] == "stop"]
    assert [(f["code"], f["fact_id"]) for f in stops] == [
        ("owned-active-claim", one["event_id"]), ("owned-active-claim", two["event_id"]),
    ]  # fmt: skip
    room.data("check", "before-complete", "--tool", "a", "--strict", exits=4)
    clean = room.data("check", "before-complete", "--tool", "c", "--strict")
    assert (clean["allow"], clean["findings"]) == (True, [])


def test_before_complete_warns_of_open_handoffs_and_blockers(warm: Room) -> None:
    """K3: `open-handoff` and `open-blocker` warn; gone once they are answered."""
    given = warm.by_daemon
    handoff = given.say("handoff", "z", subject="x", target="a")
    blocker = given.say("blocker", "a", subject="stuck")
    check = warm.data("check", "before-complete", "--tool", "a")
    assert check["allow"] is True
    assert severity(check, "open-handoff") == severity(check, "open-blocker") == "warn"
    assert finding(check, "open-handoff")["fact_id"] == handoff["event_id"]
    given.say("receipt", "a", ref=handoff["event_id"], state="done")
    given.say("resolve", "a", ref=blocker["event_id"])
    assert warm.data("check", "before-complete", "--tool", "a")["findings"] == []


def test_before_complete_warns_of_blockers_of_others_that_concern_the_caller(warm: Room) -> None:
    """K3 `open-blocker`: on its claim, on its step, or without a scope; no other."""
    given = warm.by_daemon
    given.say("claim", "a", path="src", resource="port:1", run="r", step="s")
    near = [
        given.say("blocker", "b", subject="x", path="src/x"),
        given.say("blocker", "b", subject="x", resource="port:1"),
        given.say("blocker", "b", subject="x", run="r", step="s"),
        given.say("blocker", "b", subject="x"),
    ]
    given.say("blocker", "b", subject="x", path="docs")
    given.say("blocker", "b", subject="x", run="r", step="t")
    check = warm.data("check", "before-complete", "--tool", "a")
    told = [one["fact_id"] for one in check["findings"] if one["code"] == "open-blocker"]
    assert told == [one["event_id"] for one in near]


# --- K4, K5: git ----------------------------------------------------------------------------------


@pytest.fixture
def repo(room: Room) -> Room:
    return make_repo(room)


@pytest.fixture
def warm_repo(warm: Room) -> Room:
    return make_repo(warm)


def make_repo(room: Room) -> Room:
    room.git("init", "-q", "-b", "main")
    (room.root / "src").mkdir()
    for name in ("src/a.py", "src/b.py", "gone.txt", "old name.txt"):
        (room.root / name).write_text(f"{name}\n" * 20)
    room.git("add", ".")
    room.git("commit", "-qm", "first")
    return room


def test_before_commit_looks_at_what_is_staged_and_nothing_else(repo: Room) -> None:
    """K4: as before-write over the staged files: changed, new, deleted, both ends of a rename."""
    repo.by_daemon.say(
        "claim", "a", path=["src/a.py", "gone.txt", "old name.txt", "new ü\t'name.txt"]
    )
    (repo.root / "src/b.py").write_text("changed, not staged\n")
    (repo.root / "src/a.py").write_text("changed\n")
    words = ["check", "before-commit", "--tool", "b"]
    assert repo.data(*words)["paths"] == []
    assert repo.data(*words)["allow"] is True
    repo.git("add", "src/a.py")
    assert repo.data(*words)["paths"] == ["src/a.py"]
    check = repo.data(*words, "--strict", exits=4)
    assert (check["phase"], check["allow"]) == ("before-commit", False)
    assert codes(check) == ["claimed-path"]
    repo.git("reset", "-q", "--hard")
    repo.git("rm", "-q", "gone.txt")
    assert codes(repo.data(*words)) == ["claimed-path"]
    repo.git("reset", "-q", "--hard")
    repo.git("mv", "old name.txt", "elsewhere.txt")
    assert "old name.txt" in [one["path"] for one in repo.data(*words)["findings"]]


def test_before_commit_reads_names_as_git_has_them(warm_repo: Room) -> None:
    """K4, C1: blanks, quotes, tabs and letters beyond ASCII in names."""
    names = [
        "sp ace.py",
        "quo\"te'.py",
        "ümläut-日本.py",
        "back\\slash.py",
        "-dash.py",
        "dol$ar.py",
    ]
    for name in names:
        (warm_repo.root / name).write_text("x")
    warm_repo.git("add", ".")
    warm_repo.by_daemon.say("claim", "a", path=names)
    check = warm_repo.data("check", "before-commit", "--tool", "b")
    assert sorted(check["paths"]) == sorted(names)
    assert codes(check) == ["claimed-path"] * len(names)


def test_before_commit_uses_the_index_and_the_worktree_of_the_caller(repo: Room) -> None:
    """K4: the caller's git index: from a sub-folder, in a linked worktree, in a partial commit."""
    repo.by_daemon.say("claim", "a", path="src/a.py")
    name = f"../{repo.root.name}-wt"
    repo.git("worktree", "add", "-q", name, "-b", "side")
    linked = repo.root.parent / name.removeprefix("../")
    (linked / "src/a.py").write_text("changed there\n")
    repo.git("add", "src/a.py", cwd=linked)
    words = ["check", "before-commit", "--tool", "b"]
    assert repo.data(*words)["paths"] == []
    assert repo.data(*words, cwd=linked / "src")["paths"] == ["src/a.py"]
    assert codes(repo.data(*words, cwd=linked)) == ["claimed-path"]


def test_before_commit_in_a_hook_sees_a_partial_commit(warm_repo: Room) -> None:
    """K4, R5: `git commit FILE` gives the hook an index of its own."""
    warm_repo.by_daemon.say("claim", "a", path="src/a.py")
    hook = warm_repo.root / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nrally check before-commit --tool b --json >told.json\nexit 0\n")
    hook.chmod(0o755)
    for name in ("src/a.py", "src/b.py"):
        (warm_repo.root / name).write_text("changed\n")
    warm_repo.git("add", ".")
    warm_repo.git("commit", "-qm", "second", "src/b.py")
    told = json.loads((warm_repo.root / "told.json").read_text())["data"]["check"]
    assert told["paths"] == ["src/b.py"]
    assert told["allow"] is True
    warm_repo.git("commit", "-qm", "third", "src/a.py")
    told = json.loads((warm_repo.root / "told.json").read_text())["data"]["check"]
    assert (told["paths"], told["allow"]) == (["src/a.py"], False)


def test_a_strict_hook_stops_the_commit(warm_repo: Room) -> None:
    """K4: exit 4 keeps the commit out."""
    warm_repo.by_daemon.say("claim", "a", path="src")
    hook = warm_repo.root / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nexec rally check before-commit --tool b --strict\n")
    hook.chmod(0o755)
    (warm_repo.root / "src/a.py").write_text("changed\n")
    warm_repo.git("add", ".")
    done = warm_repo.sh("git -c user.name=t -c user.email=t@example.org commit -qm second")
    assert done.code != 0
    assert "claimed-path" in done.out + done.err
    assert warm_repo.git("rev-list", "--count", "HEAD") == "1\n"


def test_range_looks_at_what_commits_changed(repo: Room) -> None:
    """K5: A..B, also what a commit changed and a later one changed back; for CI."""
    for text in ("one\n", "src/a.py\n" * 20):
        (repo.root / "src/a.py").write_text(text)
        repo.git("commit", "-qam", "x")
    (repo.root / "new.md").write_text("x")
    repo.git("add", "new.md")
    repo.git("commit", "-qm", "y")
    repo.by_daemon.say("claim", "a", path="src/a.py")
    check = repo.data("check", "range", "main~3..main", "--tool", "ci")
    assert (check["phase"], sorted(check["paths"])) == ("range", ["new.md", "src/a.py"])
    assert "claimed-path" in codes(check)
    repo.data("check", "range", "main~3..main", "--tool", "ci", "--strict", exits=4)
    clean = repo.data("check", "range", "main~1..HEAD", "--tool", "ci", "--strict")
    assert (clean["paths"], clean["allow"]) == (["new.md"], True)
    assert repo.data("check", "range", "HEAD..HEAD", "--tool", "ci")["paths"] == []


@pytest.mark.parametrize(
    "commits", ["nix..HEAD", "HEAD..nix", "", "--all", "-h..x", "HEAD..HEAD~99", "..."]
)
def test_a_range_that_git_cannot_read_is_a_usage_error(warm_repo: Room, commits: str) -> None:
    """K5, K0, T4: exit 2 and never an allow; an option is no range."""
    answer = warm_repo.run("check", "range", "--tool", "ci", "--json", "--", commits)
    if answer.code == 0:  # `...` is HEAD...HEAD to git: an empty range
        assert (commits, answer.data["paths"]) == ("...", [])
    else:
        assert answer.code == 2, answer
        assert answer.error["code"] in ("bad-range", "usage")


def test_outside_a_git_working_tree_the_git_checks_say_so(warm: Room) -> None:
    """K4, K5, K0: exit 2, no allow."""
    for words in (["before-commit"], ["range", "A..B"]):
        error = warm.ask("check", *words, "--tool", "a", exits=2).error
        assert error["code"] == "not-a-repository"


def test_without_the_git_program_the_git_checks_fail_closed(repo: Room) -> None:
    """K0, K4: exit 1 and no allow."""
    for words in (["before-commit"], ["range", "HEAD..HEAD"]):
        answer = repo.run("check", *words, "--tool", "a", "--json", env={"PATH": "/nowhere"})
        assert answer.code == 1, answer
        assert answer.error["code"] == "unavailable"


# --- K6: check-ci ---------------------------------------------------------------------------------


def test_check_ci_of_a_tidy_room_is_clean(room: Room) -> None:
    """K6: live claims, acknowledged handoffs and artifacts with evidence are no findings."""
    given = room.by_daemon
    given.say("claim", "a", path="src")
    given.say("handoff", "a", subject="x", target="b", ack_within="10m")
    given.say("artifact", "a", subject="x", evidence="e")
    given.say("risk", "a", subject="x")
    assert room.data("check-ci", "--strict")["findings"] == []
    text = room.run("check-ci", "--strict")
    assert text.code == 0


@pytest.mark.parametrize("what", ["blocker", "overdue", "lapsed", "bare"])
def test_check_ci_finds_what_should_not_be_open(warm: Room, what: str) -> None:
    """K6: open blockers, overdue handoffs, lapsed claims, artifacts without evidence; exit 4 when
    strict."""
    told = {
        "blocker": ("say", {"kind": "blocker", "subject": "x"}),
        "overdue": ("say", {"kind": "handoff", "subject": "x", "target": "b", "ack_within": "10m"}),
        "lapsed": ("say", {"kind": "claim", "paths": ["src"]}),
        "bare": ("say", {"kind": "artifact", "subject": "x"}),
    }
    op, params = told[what]
    fact = warm.happened(45, op, tool="a", **params)["fact"]
    found = warm.data("check-ci")["findings"]
    assert [one["fact_id"] for one in found] == [fact["event_id"]]
    warm.data("check-ci", "--strict", exits=4)
    assert warm.run("check-ci").code == 0
    assert warm.run("check-ci", "--strict").code == 4
    ending = {
        "blocker": ("resolve", "a", {"ref": fact["event_id"]}),
        "overdue": ("receipt", "b", {"ref": fact["event_id"], "state": "acked"}),
        "lapsed": ("release", "b", {"ref": fact["event_id"]}),
        "bare": ("retract", "a", {"ref": fact["event_id"], "reason": "x"}),
    }
    kind, tool, fields = ending[what]
    warm.by_daemon.say(kind, tool, **fields)
    assert warm.data("check-ci", "--strict")["findings"] == []

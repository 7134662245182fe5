"""Rooms: which one a command belongs to, where it is kept, and that its history is whole."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest
from contract_room import DAEMON, DIRECT, Room, World, codes


@pytest.fixture
def repo(room: Room) -> Room:
    room.git("init", "-q", "-b", "main")
    (room.root / "src" / "deep").mkdir(parents=True)
    (room.root / "src" / "deep" / "a.py").write_text("1\n")
    room.git("add", "src")
    room.git("commit", "-qm", "first")
    return room


def test_a_room_is_found_from_every_sub_folder_and_linked_worktree(repo: Room) -> None:
    """R1: the main working tree's root, from any sub-folder and every linked worktree."""
    repo.git("worktree", "add", "-q", "../" + repo.root.name + "-linked", "-b", "side")
    linked = repo.root.with_name(repo.root.name + "-linked")
    for folder in (repo.root, repo.root / "src" / "deep", linked, linked / "src"):
        assert repo.data("whoami", cwd=folder)["room"] == str(repo.root)
    repo.say("claim", "a", path="src/deep")
    check = repo.data("check", "before-write", "--tool", "b", "--path", str(linked / "src/deep/a.py"),
                      cwd=linked)  # fmt: skip
    assert codes(check) == ["claimed-path"]
    assert not (linked / ".rally").exists()


def test_the_room_is_found_without_the_git_program(repo: Room) -> None:
    """R1: git's files are read; the git program is not needed."""
    repo.git("worktree", "add", "-q", "../" + repo.root.name + "-nogit", "-b", "side")
    linked = repo.root.with_name(repo.root.name + "-nogit")
    assert repo.data("whoami", cwd=linked, env={"PATH": "/nowhere"})["room"] == str(repo.root)


def test_outside_git_the_nearest_room_upwards_or_the_folder_itself(room: Room) -> None:
    """R1: the nearest ancestor that has a `.rally/`, else the current folder."""
    deep = room.root / "a" / "b"
    deep.mkdir(parents=True)
    assert room.data("whoami", cwd=deep)["room"] == str(deep)
    room.ask("init")
    assert room.data("whoami", cwd=deep)["room"] == str(room.root)


def test_an_override_wins_over_what_is_found(room: Room, world: World) -> None:
    """R1: RALLY_ROOM=<dir>, or --room <dir> before or after the verb."""
    other = world.room(room.mode)
    other.say("note", "a", subject="there")
    other_root = str(other.root)
    for answer in (
        room.data("log", env={"RALLY_ROOM": other_root}),
        room.data("--room", other_root, "log"),
        room.data("log", "--room", other_root),
        room.data("log", f"--room={other_root}", env={"RALLY_ROOM": str(room.root)}),
        room.data("log", "--room", f"../{other.root.name}"),
    ):
        assert [fact["subject"] for fact in answer["facts"]] == ["there"]
    assert not (room.root / ".rally").exists()


def test_an_override_that_is_no_folder_is_a_usage_error(room: Room) -> None:
    """R1, O2: the error names the value."""
    error = room.ask("room", "--room", "/no/such place", exits=2).error
    assert error["code"] == "room-not-found"
    assert "/no/such place" in error["message"]


def test_reading_where_there_is_no_room_answers_an_empty_one_and_creates_nothing(
    room: Room,
) -> None:
    """R2: every reading command; nothing appears on the disk."""
    assert room.data("room")["head"] == 0
    assert room.data("log")["facts"] == []
    assert room.data("next", "--tool", "a")["action"] == "wait"
    assert room.data("inbox", "--tool", "a")["total"] == 0
    assert room.data("wake-due")["due"] == []
    assert room.data("dag", "--run", "r")["nodes"] == []
    assert room.data("check", "before-write", "--tool", "a", "--path", "x")["allow"] is True
    assert room.data("check", "before-complete", "--tool", "a")["allow"] is True
    assert room.data("check-ci")["findings"] == []
    assert room.data("lead", "show")["lead"] is None
    assert room.data("mission")["mission"] is None
    assert room.data("whoami", "--tool", "a")["entered"] is False
    assert room.data("status")["rooms"] is not None
    assert room.data("task", "list", "--run", "r")["action"] == "list"
    room.ask("show", "1", exits=2)
    room.ask("verify")
    assert room.run("room").code == 0
    assert list(room.root.iterdir()) == []


@pytest.mark.parametrize(
    "argv",
    [
        ["enter", "--tool", "a"],
        ["init"],
        ["say", "note", "--tool", "a", "--subject", "first"],
    ],
)
def test_what_writes_first_makes_the_room(room: Room, argv: list[str]) -> None:
    """R2: `enter`, `init` and the first `say` create `.rally/`, 0700, with the ledger in it."""
    room.ask(*argv)
    folder = room.root / ".rally"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "ledger.db").is_file()
    assert stat.S_IMODE((folder / "ledger.db").stat().st_mode) & 0o077 == 0


def test_a_room_folder_made_by_hand_becomes_private_and_is_then_its_owners(room: Room) -> None:
    """R1, R2: 0700 before the ledger is in it; who opens it up afterwards has a reason to."""
    folder = room.root / ".rally"
    folder.mkdir()
    folder.chmod(0o755)
    room.ask("say", "note", "--tool", "a", "--subject", "first")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o750)
    room.ask("say", "note", "--tool", "a", "--subject", "second")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def test_a_refused_first_say_makes_no_room(room: Room) -> None:
    """R2, T4: a bad value leaves nothing behind."""
    room.ask("say", "blocker", "--tool", "a", exits=2)
    room.ask("say", "claim", "--tool", "a", "--path", "../x", exits=2)
    assert list(room.root.iterdir()) == []


def test_git_never_sees_the_room_and_the_users_ignore_file_is_left_alone(repo: Room) -> None:
    """R2: kept out of git by rally itself, without touching the user's `.gitignore`."""
    (repo.root / ".gitignore").write_text("*.pyc\n")
    repo.say("claim", "a", path="src")
    status = repo.git("status", "--porcelain", "--untracked-files=all")
    assert status == "?? .gitignore\n"
    assert (repo.root / ".gitignore").read_text() == "*.pyc\n"
    repo.git("add", "-A")
    assert ".rally" not in repo.git("diff", "--cached", "--name-only")
    repo.git("clean", "-fdq")
    assert (repo.root / ".rally" / "ledger.db").exists()


def test_seq_runs_from_one_without_gaps_and_refusals_use_none_up(room: Room) -> None:
    """R3: the ledger is totally ordered, seq 1..N."""
    room.say("claim", "a", path="x")
    room.by_daemon.no_say(3, "claim-conflict", "claim", "b", path="x")
    room.by_daemon.no_say(2, "missing-field", "note", "b")
    room.say("note", "b", subject="y")
    room.directly.say("note", "b", subject="z")
    assert [fact["seq"] for fact in room.facts()] == [1, 2, 3]


def test_each_fact_carries_the_hash_of_its_predecessor_and_verify_proves_it(warm: Room) -> None:
    """R3: `prev` is the hash before; `rally verify` says that the history is whole."""
    for n in range(3):
        warm.by_daemon.say("note", "a", subject=str(n))
    facts = warm.facts()
    assert set(facts[0]["prev"]) == {"0"}
    assert [fact["prev"] for fact in facts[1:]] == [fact["hash"] for fact in facts[:-1]]
    verified = warm.data("verify")
    assert (verified["ok"], verified["facts"], verified["hash"]) == (True, 3, facts[-1]["hash"])


def test_the_database_itself_refuses_to_change_or_delete(warm: Room) -> None:
    """R3: UPDATE, DELETE and an insert that breaks the order fail, whoever tries."""
    warm.say("note", "a", subject="kept")
    with sqlite3.connect(warm.root / ".rally" / "ledger.db") as database:
        tables = [
            row[0]
            for row in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        ]
        refused = 0
        for table in tables:
            if database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0:
                continue
            column = database.execute(f"PRAGMA table_info({table})").fetchall()[0][1]
            for statement in (
                f"DELETE FROM {table}",
                f"UPDATE {table} SET {column} = {column}",
                f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
            ):
                with pytest.raises(sqlite3.DatabaseError):
                    database.execute(statement)
                refused += 1
    database.close()
    assert refused >= 3
    assert [fact["subject"] for fact in warm.facts()] == ["kept"]


def test_verify_finds_a_history_that_was_tampered_with(warm: Room) -> None:
    """R3, T4: exit 1 (a corrupt ledger), naming what is still whole; nothing is repaired silently."""
    for n in range(3):
        warm.by_daemon.say("note", "a", subject=f"subject {n}")
    path = warm.root / ".rally" / "ledger.db"
    database = sqlite3.connect(path)
    triggers = database.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'")
    names = list(triggers)
    for name, _ in names:
        database.execute(f"DROP TRIGGER {name}")
    table = names[0][1]
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    changed = 0
    for column in columns:
        row = database.execute(f"SELECT {column} FROM {table} WHERE seq = 2").fetchone()
        if isinstance(row[0], str | bytes) and "subject 1" in os.fsdecode(row[0]):
            new = os.fsdecode(row[0]).replace("subject 1", "subject X")
            database.execute(
                f"UPDATE {table} SET {column} = ? WHERE seq = 2",
                (new.encode() if isinstance(row[0], bytes) else new,),
            )
            changed += 1
    database.commit()
    database.close()
    assert changed
    answer = warm.run("verify", "--json")
    assert answer.code == 1
    told = answer.envelope
    text = str(told)
    assert "2" in text
    assert str(path) in text
    people = warm.run("verify")
    assert people.code == 1
    assert "Traceback" not in people.err + people.out


def test_a_fact_is_on_the_disk_before_its_command_reports_success(room: Room) -> None:
    """R3, F8, T4: a daemon that is killed right after the answer has lost nothing."""
    fact = room.say("note", "a", subject="acknowledged")
    status = room.by_daemon.data("daemon", "status")
    if status.get("pid"):
        os.kill(status["pid"], 9)
    assert room.directly.data("show", fact["event_id"])["fact"]["hash"] == fact["hash"]
    assert room.by_daemon.data("show", fact["event_id"])["fact"]["hash"] == fact["hash"]


def test_the_first_command_starts_a_daemon_that_serves_all_rooms(world: World) -> None:
    """R4: one daemon per user, started in the background by whoever comes first."""
    one, two = world.room(), world.room()
    one.say("note", "a", subject="x")
    two.say("note", "a", subject="x")
    status = one.data("daemon", "status")
    assert status["running"] is True
    assert {str(one.root), str(two.root)} <= set(status["rooms"])
    assert two.data("daemon", "status")["pid"] == status["pid"]


def test_direct_mode_starts_no_daemon(tmp_path: Path) -> None:
    """R4: `RALLY_DAEMON=off` forces direct mode."""
    world = World(tmp_path / "w")
    room = world.room(DIRECT)
    room.say("claim", "a", path="x")
    assert room.check("b", "x")["allow"] is False
    assert not list(tmp_path.rglob("*.sock"))
    assert room.data("daemon", "status")["running"] is False


def test_where_no_daemon_can_start_the_command_answers_by_itself(tmp_path: Path) -> None:
    """R4: an unusable runtime folder is no obstacle and no noise."""
    world = World(tmp_path / "w")
    world.env["RALLY_RUNTIME_DIR"] = str(tmp_path / "a file" / "run")
    (tmp_path / "a file").write_text("")
    room = world.room(DAEMON)
    room.say("claim", "a", path="x")
    assert room.check("b", "x")["allow"] is False
    people = room.run("say", "note", "--tool", "a", "--subject", "x")
    assert people.code == 0
    assert "Traceback" not in people.err


def test_socket_and_log_are_where_the_environment_says(tmp_path: Path) -> None:
    """R4, T1: RALLY_RUNTIME_DIR holds the socket, 0700; $XDG_STATE_HOME/rally the log."""
    from rallyd import end_background_daemon

    world = World(tmp_path / "w")
    try:
        world.room().say("note", "a", subject="x")
        run = Path(world.env["RALLY_RUNTIME_DIR"])
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
        assert any(stat.S_ISSOCK(one.stat().st_mode) for one in run.iterdir())
        assert any((Path(world.env["XDG_STATE_HOME"]) / "rally").iterdir())
    finally:
        end_background_daemon(world.env)


def test_people_can_start_stop_and_look_at_the_daemon(tmp_path: Path) -> None:
    """R4: `rally daemon start|stop|status|restart|logs`."""
    from rallyd import end_background_daemon

    world = World(tmp_path / "w")
    room = world.room()
    try:
        assert room.data("daemon", "status")["running"] is False
        started = room.data("daemon", "start")
        assert started["action"] == "start"
        first = room.data("daemon", "status")["pid"]
        assert room.data("daemon", "start")
        assert room.data("daemon", "status")["pid"] == first
        room.ask("daemon", "restart")
        assert room.data("daemon", "status")["pid"] != first
        assert room.data("daemon", "logs")["action"] == "logs"
        room.ask("daemon", "stop")
        assert room.data("daemon", "status")["running"] is False
        room.ask("daemon", "stop")
        for action in ("start", "status", "logs", "restart", "stop", "status"):
            people = room.run("daemon", action)
            assert people.code == 0, people
            assert people.out.strip(), people
    finally:
        end_background_daemon(world.env)


def test_the_daemon_and_direct_writers_see_each_other_at_once(warm: Room) -> None:
    """R4: both may write, and never contradict each other."""
    claim = warm.by_daemon.say("claim", "a", path="src")
    error = warm.directly.no_say(3, "claim-conflict", "claim", "b", path="src/x")
    assert error["details"]["conflicts"][0]["claim_id"] == claim["event_id"]
    warm.directly.say("release", "a", ref=claim["event_id"])
    taken = warm.by_daemon.say("claim", "b", path="src/x")
    assert codes(warm.directly.check("a", "src/x")) == ["claimed-path"]
    warm.directly.say("claim", "c", path="docs")
    assert codes(warm.by_daemon.check("a", "docs/x")) == ["claimed-path"]
    assert taken["seq"] == 3


def test_racing_writers_of_both_kinds_leave_a_whole_history(warm: Room) -> None:
    """R3, R4: concurrent first writes make one room; nothing is lost and nothing doubled."""
    began = [
        (warm.by_daemon if n % 2 else warm.directly).start(
            "say", "note", "--tool", f"t{n}", "--subject", f"s{n}", "--json"
        )
        for n in range(12)
    ]
    ended = [(process.communicate(timeout=30), process.returncode) for process in began]
    assert [code for _, code in ended] == [0] * 12, ended
    facts = warm.facts()
    assert [fact["seq"] for fact in facts] == list(range(1, 13))
    assert {fact["subject"] for fact in facts} == {f"s{n}" for n in range(12)}
    assert warm.data("verify")["ok"] is True


def test_the_environment_of_a_git_hook_redirects_nothing(repo: Room, world: World) -> None:
    """R5: GIT_DIR and the like name another repository; the room is that of the folder."""
    other = world.room(repo.mode)
    other.git("init", "-q")
    elsewhere = {
        "GIT_DIR": str(other.root / ".git"),
        "GIT_WORK_TREE": str(other.root),
        "GIT_COMMON_DIR": str(other.root / ".git"),
        "GIT_INDEX_FILE": str(other.root / ".git" / "index"),
        "GIT_PREFIX": "src/",
    }
    fact = repo.data("say", "claim", "--tool", "a", "--path", "src", env=elsewhere)["fact"]
    assert fact["paths"] == ["src"]
    assert repo.data("whoami", env=elsewhere)["room"] == str(repo.root)
    assert not (other.root / ".rally").exists()


def test_a_real_git_hook_asks_the_room_it_runs_in(repo: Room) -> None:
    """R5: from within `git commit`, with the environment that git sets there."""
    hook = repo.root / ".git" / "hooks" / "pre-commit"
    hook.write_text('#!/bin/sh\nexec rally whoami --tool hook --json > "$PWD/told.json"\n')
    hook.chmod(0o755)
    (repo.root / "new").write_text("x")
    repo.git("add", "new")
    repo.git("commit", "-qm", "second")
    assert f'"room":"{repo.root}"' in (repo.root / "told.json").read_text()


@pytest.mark.parametrize(
    "words", ["room", "say note --tool a --subject x", "check before-write --tool a --path x"]
)
def test_in_a_folder_that_was_removed_nothing_is_answered_of_another_room(
    warm: Room, words: str
) -> None:
    """R1, K0: there is no current folder; a usage error, unless a room is named."""
    gone = warm.root / "gone"
    line = f"mkdir {gone} && cd {gone} && rmdir {gone} && rally {words} --json"
    error = warm.sh(line).error
    assert (error["code"], error["exit_code"]) == ("room-not-found", 2)
    named = warm.sh(f"{line} --room {warm.root}")
    assert named.code == 0
    assert named.data


@pytest.mark.parametrize(
    "argv",
    [
        ["check", "before-write", "--tool", "b", "--path", "a"],
        ["room"],
        ["verify"],
        ["wait", "--tool", "b", "--until", "free:a", "--timeout", "1s"],
    ],
    ids=lambda argv: argv[0],
)
def test_a_room_out_of_reach_is_unknown_and_not_empty(room: Room, argv: list[str]) -> None:
    """K0: `.rally` links to a disk that is not mounted; what is claimed there is not known."""
    (room.root / ".rally").symlink_to("gone")
    assert room.ask(*argv, exits=1).error["code"] == "unavailable"


def test_a_damaged_room_does_not_hide_the_others(world: World) -> None:
    """P7: `status` shows every room that can be read, and names the one that cannot."""
    whole, damaged = world.room(), world.room(DIRECT)
    whole.say("note", "a:1", subject="x")
    damaged.say("note", "a:1", subject="x")
    (damaged.root / ".rally" / "ledger.db").write_bytes(b"")
    answer = whole.ask("status")
    assert "corrupt-ledger" in answer.warned
    shown = [row["room"] for row in answer.data["rooms"]]
    assert str(whole.root) in shown
    assert str(damaged.root) not in shown
    (damaged.root / ".rally" / "ledger.db").unlink()

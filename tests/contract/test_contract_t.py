"""Trust and safety: who may talk to the daemon, what it may do, and what the machine can break."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from contract_room import REPOSITORY, Room, World


def daemon_pid(room: Room) -> int:
    return int(room.by_daemon.data("daemon", "status")["pid"])


def test_socket_and_folder_are_the_users_alone(warm: Room, world: World) -> None:
    """T1: a Unix socket in a folder of mode 0700."""
    warm.say("note", "a", subject="x")
    folder = Path(world.env["RALLY_RUNTIME_DIR"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    sockets = [one for one in folder.iterdir() if stat.S_ISSOCK(one.stat().st_mode)]
    assert len(sockets) == 1


def test_a_runtime_folder_open_to_others_is_not_used(tmp_path: Path) -> None:
    """T1: nobody may answer in the daemon's place; the command works by itself."""
    world = World(tmp_path / "w")
    folder = Path(world.env["RALLY_RUNTIME_DIR"])
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    room = world.room()
    room.run("say", "note", "--tool", "a", "--subject", "x")
    assert not list(folder.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777
    error = room.ask("daemon", "start", exits=1).error
    assert str(folder) in error["message"]
    assert room.directly.data("log")["head"] == 1


def test_the_daemon_loads_no_runner_and_has_no_children(warm: Room) -> None:
    """T2: after every question and kind of fact, it has started nothing."""
    warm.data("enter", "--tool", "a")
    for words in (["room"], ["next", "--tool", "a"], ["dag", "--run", "r"], ["wake-due"], ["check-ci"],
                  ["task", "list", "--run", "r"], ["status"]):  # fmt: skip
        warm.ask(*words)
    warm.say("standby", "a", until="free:x", reason="$(touch /tmp/never)")
    warm.data("wake-due")
    pid = daemon_pid(warm)
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if children.exists():  # Linux tells
        assert children.read_text() == ""
    done = subprocess.run(
        [sys.executable, "-c", _LOADS], env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    assert json.loads(done.stdout) == []


_LOADS = """
import importlib, json, pkgutil, sys
import rally.daemon, rally.facilitation
for package in (rally.daemon, rally.facilitation):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
print(json.dumps(sorted(name for name in sys.modules if name.startswith("rally.execution"))))
"""


def test_a_killed_daemon_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """T4, R3, F8: killed while many write; what was acknowledged is there, the history is whole."""
    from rallyd import end_background_daemon

    world = World(tmp_path / "w")
    room = world.room()
    try:
        room.say("note", "first", subject="x")
        pid = daemon_pid(room)
        words = ["say", "note", "--subject", "x", "--json", "--tool"]
        began = [room.start(*words, f"t{n}") for n in range(16)]
        began[0].wait(30)
        os.kill(pid, signal.SIGKILL)
        acknowledged = []
        for one in began:
            out, err = one.communicate(timeout=30)
            answer = json.loads(out)
            assert err == b""
            if answer["ok"]:
                acknowledged.append(answer["data"]["say"]["fact"]["event_id"])
            else:
                assert answer["error"]["code"] == "unavailable"
        found = [fact["event_id"] for fact in room.facts()]
        assert len(acknowledged) >= 1
        assert set(acknowledged) <= set(found)
        assert len(found) == len(set(found))
        assert room.data("verify")["ok"] is True
    finally:
        end_background_daemon(world.env)


def test_a_full_disk_refuses_the_fact_and_keeps_the_rest(warm: Room) -> None:
    """T4: the file may not grow: exit 1 with a clear error; a check still answers; then it goes on."""
    for n in range(3):
        warm.say("note", "a", subject=str(n))
    warm.say("claim", "a", path="src")
    size = max(one.stat().st_size for one in (warm.root / ".rally").iterdir())
    # The limit is that of one process, in blocks of 512 or 1024 bytes: direct mode it is.
    full = f"ulimit -f {size // 1024 // 2}; "
    summary = "y" * 16_000
    said = warm.directly.sh(
        f"{full} rally say note --tool a --subject x --summary {summary} --json"
    )
    assert said.code == 1, said
    assert said.error["code"] in ("disk-full", "unwritable", "unavailable"), said
    assert "ledger.db" in said.error["message"]
    checked = warm.directly.sh(f"{full} rally check before-write --tool b --path src/x --json")
    assert checked.code == 1 or checked.data["allow"] is False, checked
    assert [fact["seq"] for fact in warm.facts()] == [1, 2, 3, 4]
    assert warm.say("note", "a", subject="room again")["seq"] == 5
    assert warm.data("verify")["ok"] is True


def test_an_answer_that_cannot_be_written_is_an_error(room: Room) -> None:
    """T4, O3: standard output on a full device: exit 1, a word on stderr, no traceback."""
    with Path("/dev/full").open("wb") as full:
        process = room.start("room", stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.startswith(b"error: ")
    assert b"Traceback" not in err


@pytest.mark.parametrize("damage", ["garbage", "truncated"])
def test_a_damaged_ledger_is_named_and_left_alone(room: Room, damage: str) -> None:
    """T4: every command says which file it is and what to run; nothing is overwritten."""
    room.directly.say("note", "a", subject="x")
    ledger = room.root / ".rally" / "ledger.db"
    for name in ("ledger.db-wal", "ledger.db-shm", "checkpoint"):
        (ledger.parent / name).unlink(missing_ok=True)
    bad = b"no database " * 999 if damage == "garbage" else ledger.read_bytes()[:6000]
    ledger.write_bytes(bad)
    for words in (["room"], ["say", "note", "--tool", "a", "--subject", "y"], ["log"], ["verify"]):
        answer = room.run(*words, "--json")
        assert answer.code == 1, answer
        assert str(ledger) in answer.out
        text = room.run(*words)
        assert text.code == 1
        assert "Traceback" not in text.out + text.err
    assert ledger.read_bytes() == bad
    error = room.ask("room", exits=1).error
    assert error["details"]["whole_to_seq"] == 0
    assert error["hint"] == room.ask("verify", exits=1).error["hint"]
    subprocess.run(["/bin/sh", "-c", error["hint"]], check=True)  # T4: what to run
    assert room.say("note", "a", subject="anew")["seq"] == 1


def test_a_lost_side_file_or_a_torn_checkpoint_is_a_non_event(room: Room) -> None:
    """T4: caches are rebuilt; the claims are all there."""
    room.directly.say("claim", "a", path="src")
    folder = room.root / ".rally"
    (folder / "checkpoint").write_bytes(b"\x00torn")
    (folder / "ledger.db-shm").unlink(missing_ok=True)
    assert room.check("b", "src")["allow"] is False


def test_other_peoples_folders_are_not_followed(room: Room) -> None:
    """T4: `.rally` as a file is an ordinary error, and that something is untouched."""
    (room.root / ".rally").write_text("mine")
    error = room.ask("say", "note", "--tool", "a", "--subject", "x", exits=1).error
    assert str(room.root / ".rally") in error["message"]
    assert (room.root / ".rally").read_text() == "mine"


BAD: list[tuple[str, list[str | bytes], dict[str, Any]]] = [
    ("escape in a run", ["say", "note", "--tool", "a", "--subject", "x", "--run", "\x1b[2J"], {}),
    ("bad tool", ["say", "note", "--tool", "a b", "--subject", "x"], {}),
    ("huge subject", ["say", "note", "--tool", "a", "--subject", "x" * 65536], {}),
    ("NUL in data", ["say", "note", "--tool", "a", "--subject", "x", "--data", '{"a":"\\u0000"}'], {}),
    ("bad UTF-8", ["say", "note", "--tool", "a", "--subject", b"\xff\xfe"], {}),
    ("NUL on stdin", ["say", "note", "--tool", "a", "--subject", "x", "--summary", "-"],
     {"stdin": b"a\0b"}),
    ("huge stdin", ["say", "note", "--tool", "a", "--subject", "x", "--summary", "-"],
     {"stdin": b"x" * 2_000_000}),
    ("path outside", ["say", "claim", "--tool", "a", "--path", "../x"], {}),
    ("unknown ref", ["say", "resolve", "--tool", "a", "--ref", "nix"], {}),
    ("bad mission", ["mission", "--tool", "a", "--set", "x" * 65536], {}),
    ("bad task id", ["task", "add", "--tool", "a", "--run", "r", "--id", "a b", "--intent", "x",
                     "--read-only"], {}),
    ("bad lead", ["lead", "give", "--tool", "a", "--to", "all"], {}),
    ("bad role", ["enter", "--tool", "a", "--role", "x\ny"], {}),
    ("bad environment", ["say", "note", "--subject", "x"], {"env": {"RALLY_TOOL": "a b"}}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "more"), [one[1:] for one in BAD], ids=[one[0] for one in BAD])
def test_bad_input_is_a_clear_error_and_an_unchanged_ledger(
    room: Room, words: list[str | bytes], more: dict[str, Any]
) -> None:
    """T4: through the process, in both modes."""
    room.by_daemon.say("note", "z", subject="before")
    answer = room.run(*words, "--json", **more)
    assert answer.code in (2, 3), answer
    assert answer.error["hint"]
    assert len(answer.out) < 3000
    assert room.head() == 1
    if room.mode == "daemon":
        text = room.run(*words, **more)
        assert text.err.startswith("error: ")
        assert "Traceback" not in text.err
        assert room.data("verify")["ok"] is True

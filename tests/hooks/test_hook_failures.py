"""A hook when rally is broken: the host goes on, and one line in the log says why."""

from __future__ import annotations

import json
import os
import pty
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hook_scene import COMMAND, PATIENCE_S, Scene
from one_caller import listening

from rally import relay
from rally.cli.hook import journal
from rally.cli.hook.request import Request
from rally.wire import frames


@pytest.fixture(scope="module", autouse=True)
def waiting(scene: Scene) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two hooks whose payload never comes, begun first so that nobody waits for them in the end."""
    read_end, write_end = os.pipe()
    words = [sys.executable, str(COMMAND), "hook", "gemini", "BeforeTool"]
    # With a log of their own: others count the lines of the scene's.
    env = {**scene.env, "RALLY_DAEMON": "off", "XDG_STATE_HOME": str(scene.folder / "waiting")}
    hooks = [
        subprocess.Popen(
            [*words, *flags], cwd=scene.room, env=env, stdin=read_end,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for flags in ((), ("--fail-closed",))
    ]  # fmt: skip
    os.close(read_end)
    yield hooks
    os.close(write_end)
    for hook in hooks:
        hook.communicate(timeout=PATIENCE_S)


def writing(scene: Scene, tool: str = "Write", **more: Any) -> str:
    tool_input = {"file_path": str(scene.room / "held" / "a.py"), **more}
    document = {"session_id": "s-1", "cwd": str(scene.room), "tool_name": tool}
    return json.dumps({**document, "tool_input": tool_input})


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("claude",),
        ("claude", "PreToolUse", "and", "more"),
        ("claude", "PreToolUse", "--fail-close"),
        ("claude", "PreToolUse", "--room"),
        ("claude", "PreToolUse", "--room", "/nowhere"),
        ("claude", "pretooluse"),
        ("claude", "Notification", "--fail-closed"),
        ("codex", "SessionEnd"),
        ("cluade", "PreToolUse"),
        ("cluade", "Stop", "--fail-closed"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("daemon", ["on", "off"])
def test_no_mistake_in_the_words_blocks_anything(
    scene: Scene, words: tuple[str, ...], daemon: str
) -> None:
    """Exit 2 is a usage error everywhere else; to a host it would mean: do not write."""
    lines = len(scene.journal())
    answer = scene.hook(*words, stdin=writing(scene), RALLY_DAEMON=daemon)
    assert (answer.exit, answer.stdout, answer.stderr) == (0, "", "")
    assert len(scene.journal()) == lines + 1


def test_an_unknown_host_can_be_blocked_too(scene: Scene) -> None:
    """Who asks for it closed gets it closed, by the code that most hosts understand."""
    answer = scene.hook("cluade", "PreToolUse", "--fail-closed", stdin=writing(scene))
    assert (answer.exit, answer.stdout) == (2, "")
    assert "no such host; known are claude, codex" in answer.stderr


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"RALLY_ROOM": "/nowhere"}, "room-not-found: "),
        ({"RALLY_TOOL": "all"}, "bad-tool: "),
        ({"RALLY_SESSION_ID": "a\nb"}, "bad-value: "),
    ],
    ids=str,
)
def test_a_wrong_environment_is_a_line_in_the_log(
    scene: Scene, env: dict[str, str], why: str
) -> None:
    """And closed, it is the reason that the agent reads."""
    answer = scene.hook("claude", "PreToolUse", stdin=writing(scene), **env)
    assert (answer.exit, answer.stdout, answer.stderr) == (0, "", "")
    assert f" claude PreToolUse: {why}" in scene.journal()[-1]
    closed = scene.hook("claude", "PreToolUse", "--fail-closed", stdin=writing(scene), **env)
    assert closed.exit == 2
    assert why in closed.stderr


@pytest.mark.parametrize("daemon", ["on", "off"])
def test_a_damaged_ledger_stops_nobody(own_scene: Scene, daemon: str) -> None:
    """Unless that is wished for; after a write there is nothing to stop."""
    own_scene.close()
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (own_scene.room / ".rally" / name).unlink(missing_ok=True)
    (own_scene.room / ".rally" / "ledger.db").write_bytes(os.urandom(20_000))

    def hook(*words: str) -> tuple[int, str]:
        stdin = writing(own_scene, "write_file" if words[0] == "gemini" else "Write")
        answer = own_scene.hook(*words, stdin=stdin, RALLY_DAEMON=daemon)
        return answer.exit, answer.stdout

    assert hook("claude", "PreToolUse") == (0, "")
    assert hook("gemini", "BeforeTool") == (0, "{}\n")
    assert "corrupt-ledger" in own_scene.journal()[-1]
    assert hook("claude", "PreToolUse", "--fail-closed") == (2, "")
    assert hook("gemini", "BeforeTool", "--fail-closed") == (2, "")
    assert json.loads(hook("cursor", "preToolUse", "--fail-closed")[1])["permission"] == "deny"
    assert hook("claude", "Stop", "--fail-closed") == (0, "")
    assert hook("claude", "PostToolUse", "--fail-closed") == (0, "")


def test_a_ledger_that_is_held_does_not_hold_the_agent(own_scene: Scene) -> None:
    """Another process writes for ever: the claim is given up after a few seconds, and never granted."""
    ledger = sqlite3.connect(own_scene.room / ".rally" / "ledger.db", isolation_level=None)
    ledger.execute("BEGIN IMMEDIATE")
    call = json.loads(writing(own_scene))
    call["tool_input"]["file_path"] = str(own_scene.room / "free" / "a.py")
    flags = ("--auto-claim", "--fail-closed")
    answer = own_scene.hook("claude", "PreToolUse", *flags, stdin=json.dumps(call))
    ledger.execute("ROLLBACK")
    ledger.close()
    assert (answer.exit, answer.stdout) == (2, "")
    assert "no answer within 2.5 s" in answer.stderr


def test_outside_any_room_nothing_is_made(scene: Scene, tmp_path: Path) -> None:
    """A hook of the user's own settings runs in every folder (contract R2)."""
    payload = {"session_id": "s-2", "cwd": str(tmp_path), "source": "startup"}
    call = {"tool_name": "Write", "tool_input": {"file_path": str(tmp_path / "a.py")}}
    for event in (
        "SessionStart",
        "UserPromptSubmit",
        "PreToolUse",
        "PostToolUse",
        "Stop",
        "SessionEnd",
    ):
        answer = scene.hook(
            "claude", event, "--auto-claim", "--fail-closed", stdin=json.dumps({**payload, **call})
        )
        assert (answer.exit, answer.stdout, answer.stderr) == (0, "", "")
        assert f" claude {event}: outside any room" in scene.journal()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [2_000_000, 6_000_000])
def test_a_large_file_is_checked_like_a_small_one(scene: Scene, size: int) -> None:
    """One that fits a frame of the socket, and one that does not."""
    answer = scene.hook("claude", "PreToolUse", stdin=writing(scene, content="x" * size))
    assert "held/a.py is claimed by codex:2" in answer.stderr


def test_what_is_larger_than_any_file_is_not_read_to_its_end(scene: Scene) -> None:
    """The limit is said in the log."""
    text = writing(scene, content="x" * relay.HOOK_INPUT_BYTES_MAX)
    assert scene.hook("gemini", "BeforeTool", stdin=text).stdout == "{}\n"
    assert "the payload is longer than 33554432 bytes" in scene.journal()[-1]


def test_a_huge_patch_is_one_question(scene: Scene) -> None:
    """Thousands of files, of which one is somebody else's."""
    files = "".join(f"*** Add File: free/{number}.py\n+x\n" for number in range(3_000))
    patch = f"*** Begin Patch\n{files}*** Delete File: held/a.py\n*** End Patch\n"
    document = {
        "session_id": "s-3", "cwd": str(scene.room), "tool_name": "apply_patch",
        "tool_input": {"command": patch},
    }  # fmt: skip
    answer = scene.hook("codex", "PreToolUse", "--auto-claim", stdin=json.dumps(document))
    assert "- held/a.py is claimed by codex:2" in answer.stderr


def test_a_person_is_told_on_the_terminal(scene: Scene) -> None:
    """And nothing is read from the keyboard."""
    leader, follower = pty.openpty()
    done = subprocess.run(
        [sys.executable, str(COMMAND), "hook", "claude", "PreToolUse"], cwd=scene.room,
        env=scene.env, stdin=follower, stdout=follower, stderr=subprocess.PIPE,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    os.close(follower)
    os.close(leader)
    assert (done.returncode, done.stderr) == (0, b"rally hook: nothing came on standard input\n")


def test_the_log_does_not_grow(tmp_path: Path) -> None:
    """The newest lines are in the file, as many before them in the one beside it."""
    env = {"XDG_STATE_HOME": str(tmp_path)}
    request = Request("claude", "PreToolUse")
    for number in range(2_500):
        journal.note(env, request, f"{number} {'x' * 1_000}\x1b[31m\nforged")
    folder = tmp_path / "rally"
    assert sorted(path.name for path in folder.iterdir()) == ["hooks.log", "hooks.log.1"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2 * journal.BYTES_MAX + 2_000
    lines = (folder / "hooks.log").read_text().splitlines()
    assert " claude PreToolUse: 2499 x" in lines[-1]
    assert all(len(line) < 500 and "\x1b" not in line for line in lines)


# --- the daemon fails at one point of the exchange


def take(caller: socket.socket) -> None:
    """Read until the payload is there."""
    decoder = frames.Decoder()
    kinds: list[bytes] = []
    while frames.INPUT not in kinds:
        kinds += [kind for kind, _ in decoder.feed(caller.recv(65_536))]


def test_an_answer_that_is_lost_is_found_without_the_daemon(own_scene: Scene) -> None:
    """It took the question and went away."""
    own_scene.close()
    with listening(own_scene.env, take):
        answer = own_scene.hook("claude", "PreToolUse", stdin=writing(own_scene))
    assert answer.exit == 2
    assert "held/a.py is claimed by codex:2" in answer.stderr


def test_a_daemon_that_hangs_is_not_waited_for(own_scene: Scene) -> None:
    """The answer comes all the same, after a few seconds."""
    over = threading.Event()

    def hang(caller: socket.socket) -> None:
        take(caller)
        over.wait(PATIENCE_S)

    own_scene.close()
    with listening(own_scene.env, hang):
        answer = own_scene.hook("claude", "PreToolUse", stdin=writing(own_scene))
        over.set()
    assert answer.exit == 2


@pytest.mark.parametrize(("flags", "code"), [((), 0), (("--fail-closed",), 2)])
def test_half_an_answer_is_not_followed_by_another(
    own_scene: Scene, flags: tuple[str, ...], code: int
) -> None:
    """Its exit code never came, and a second answer behind the first would be none."""

    def begin(caller: socket.socket) -> None:
        take(caller)
        caller.sendall(frames.pack(frames.OUT, b"{}\n"))

    own_scene.close()
    with listening(own_scene.env, begin):
        answer = own_scene.hook("gemini", "BeforeTool", *flags, stdin=writing(own_scene))
    assert (answer.exit, answer.stdout, answer.stderr) == (code, "{}\n", "")
    assert "the daemon went away in the middle of its answer" in own_scene.journal()[-1]


def test_a_hook_that_waits_in_vain_gives_up(waiting: list[subprocess.Popen[bytes]]) -> None:
    """Here for a host that never ends its payload; the alarm is the same whatever it waits in."""
    (opened, complaint), (closed, reason) = (
        hook.communicate(timeout=PATIENCE_S) for hook in waiting
    )
    assert [hook.returncode for hook in waiting] == [0, 2]
    assert (opened, complaint, closed) == (b"{}\n", b"", b"")
    assert b"no answer within 6 s" in reason

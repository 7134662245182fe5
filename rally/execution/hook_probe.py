"""The canary: whether a hook's own command stops a write that must be stopped, and lets another through.

In a room of its own, in a folder that is deleted afterwards, one tool holds a path. The command is run
the way its host runs it, through a shell, with the host's payload of a write on that path by somebody
else; then of a write on a free one. What the answers mean is the host's rule (`rally.hosts` has it in
full). This proves the command. Whether the host calls it, and does what it says, only the host shows.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rally.client.direct import Direct
from rally.execution.git import clean_env
from rally.execution.guard.script import own_hook
from rally.execution.process import run_captured
from rally.model.errors import RallyError

Doc = dict[str, Any]
Verdict = bool | Literal["unknown"]

HELD, FREE = "held/canary.txt", "free/canary.txt"
HOLDER = "doctor:holder"
TIMEOUT_S = 15.0
# A command that names a room of its own would leave the canary's.
_OTHER_ROOM = ("RALLY_ROOM", "--room")
_SESSION = "ca9a2100-0000-4000-8000-000000000000"


@dataclass(slots=True, frozen=True)
class Probed:
    """What came of it.

    Attributes:
        enforces: whether the write on the held path was stopped and the other was not.
        why: what happened, one line.
    """

    enforces: Verdict
    why: str


@dataclass(slots=True, frozen=True)
class Ran:
    """How the command ended."""

    code: int
    out: bytes
    err: bytes


def _claude(path: str, room: str) -> Doc:
    return {
        "session_id": _SESSION, "transcript_path": f"{room}/none", "cwd": room,
        "permission_mode": "default", "hook_event_name": "PreToolUse", "tool_name": "Write",
        "tool_input": {"file_path": f"{room}/{path}", "content": "canary"}, "tool_use_id": "canary",
    }  # fmt: skip


def _codex(path: str, room: str) -> Doc:
    patch = f"*** Begin Patch\n*** Add File: {path}\n+canary\n*** End Patch\n"
    return {
        "session_id": _SESSION, "turn_id": "1", "transcript_path": None, "cwd": room,
        "hook_event_name": "PreToolUse", "model": "canary", "permission_mode": "default",
        "tool_name": "apply_patch", "tool_input": {"command": patch}, "tool_use_id": "canary",
    }  # fmt: skip


def _gemini(path: str, room: str) -> Doc:
    return {
        "session_id": _SESSION, "transcript_path": f"{room}/none", "cwd": room,
        "hook_event_name": "BeforeTool", "timestamp": "2030-01-01T00:00:00.000Z",
        "tool_name": "write_file",
        "tool_input": {"file_path": f"{room}/{path}", "content": "canary"},
    }  # fmt: skip


def _cursor(path: str, room: str) -> Doc:
    return {
        "conversation_id": _SESSION, "generation_id": "1", "model": "canary", "model_id": "canary",
        "model_params": [], "hook_event_name": "preToolUse", "cursor_version": "canary",
        "workspace_roots": [room], "user_email": "", "transcript_path": None, "tool_name": "Write",
        "tool_input": {"file_path": f"{room}/{path}", "content": "canary"}, "tool_use_id": "canary",
        "cwd": room,
    }  # fmt: skip


def _opencode(path: str, room: str) -> Doc:
    return {
        "tool": "write", "args": {"filePath": f"{room}/{path}", "content": "canary"},
        "sessionID": _SESSION, "callID": "canary", "cwd": room,
    }  # fmt: skip


def _said(ran: Ran) -> Doc:
    try:
        answer = json.loads(ran.out)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _denies_as_claude(ran: Ran) -> bool:
    specific = _said(ran).get("hookSpecificOutput")
    denied = isinstance(specific, dict) and specific.get("permissionDecision") == "deny"
    return ran.code == 2 or (ran.code == 0 and denied)


def _denies_as_codex(ran: Ran) -> bool:
    # Exit 2 without a word counts as a hook that failed, and the write goes on.
    return _denies_as_claude(ran) and (ran.code != 2 or bool(ran.err.strip()))


def _denies_as_gemini(ran: Ran) -> bool:
    return ran.code == 2 or (ran.code == 0 and _said(ran).get("decision") == "deny")


def _denies_as_cursor(ran: Ran) -> bool:
    return ran.code == 2 or (ran.code == 0 and _said(ran).get("permission") == "deny")


def _denies_as_opencode(ran: Ran) -> bool:
    return ran.code == 2  # rally's plugin throws then


_HOSTS: dict[str, tuple[Callable[[str, str], Doc], Callable[[Ran], bool]]] = {
    "claude": (_claude, _denies_as_claude),
    "codex": (_codex, _denies_as_codex),
    "gemini": (_gemini, _denies_as_gemini),
    "cursor": (_cursor, _denies_as_cursor),
    "opencode": (_opencode, _denies_as_opencode),
}


async def probe(host: str, command: str, env: Mapping[str, str]) -> Probed:
    """Run the canary for one command.

    Nothing is said in any room but the canary's own; `RALLY_ROOM` leads the command there.

    Args:
        host: `claude`, `codex`, `gemini`, `cursor` or `opencode`.
        command: as the host's configuration has it.
        env: the environment that the host would hand to it.
    """
    if any(word in command for word in _OTHER_ROOM):
        return Probed("unknown", "the command names a room of its own, and is not run against it")
    scratch = _scratch()
    try:
        return await _probe_in(scratch, host, command, _env_in(scratch, env))
    except (OSError, RallyError) as error:
        return Probed("unknown", f"the canary could not be set up: {error}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


async def probe_git(hook: str, env: Mapping[str, str]) -> Probed:
    """The same for git's pre-commit hook: a commit of a held path, then of a free one.

    Args:
        hook: the file. Only one that is rally's own from end to end is tried: what else it might do
            belongs into the repository that it is for.
        env: the environment of who commits.
    """
    try:
        text = await asyncio.to_thread(Path(hook).read_bytes)
    except OSError as error:
        return Probed("unknown", f"{hook} cannot be read: {error.strerror}")
    if text not in [own_hook("pre-commit", fail_closed=closed) for closed in (False, True)]:
        return Probed("unknown", "the hook does more than rally's part, and is not run elsewhere")
    scratch = _scratch()
    try:
        own = {**clean_env(_env_in(scratch, env)), "RALLY_TOOL": "doctor:canary"}
        room = await _room_in(scratch, own)
        return await asyncio.to_thread(_commit, text, room, own)
    except (OSError, RallyError) as error:
        return Probed("unknown", f"the canary could not be set up: {error}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _commit(text: bytes, room: str, env: Mapping[str, str]) -> Probed:
    """Commit the held path, then the free one, in a repository of this hook alone."""
    hooks = f"{os.path.dirname(room)}/hooks"
    os.mkdir(hooks)
    handle = os.open(f"{hooks}/pre-commit", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
    with os.fdopen(handle, "wb") as file:
        file.write(text)

    def git(*words: str) -> Ran:
        who = ("-c", "user.name=canary", "-c", "user.email=canary@localhost")
        settings = ("-c", f"core.hooksPath={hooks}", "-c", "commit.gpgsign=false", *who)
        return Ran(
            *run_captured(["git", *settings, *words], cwd=room, env=env, timeout_s=TIMEOUT_S)
        )

    git("init", "--quiet")
    ended = []
    for path in (HELD, FREE):
        with open(f"{room}/{path}", "w", encoding="ascii") as written:
            written.write("canary\n")
        git("add", "--", path)
        ended.append(git("commit", "--quiet", "-m", "canary"))
        git("rm", "--cached", "--quiet", "--force", "--", path)
    held, free = ended
    if held.code == 0:
        return Probed(False, "a commit of a held path was let through")
    if free.code != 0:
        return Probed(False, f"a commit of a free path was stopped too: {_outcome(free)}")
    return Probed(True, "a commit of a held path was stopped, one of a free path was not")


async def _probe_in(scratch: str, host: str, command: str, env: Mapping[str, str]) -> Probed:
    room = await _room_in(scratch, env)
    payload_of, denies = _HOSTS[host]
    ended = []
    for path in (HELD, FREE):
        try:
            ended.append(await asyncio.to_thread(_run, command, payload_of(path, room), room, env))
        except TimeoutError:
            why = f"the command did not end within {TIMEOUT_S:g} s, and a host goes on then"
            return Probed(False, why)
    held, free = ended
    if not denies(held):
        return Probed(False, f"a write on a held path was let through: {_outcome(held)}")
    if denies(free):
        return Probed(False, f"a write on a free path was stopped too: {_outcome(free)}")
    return Probed(True, "a write on a held path was stopped, one on a free path was not")


async def _room_in(scratch: str, env: Mapping[str, str]) -> str:
    """A room in which somebody holds a path; its root."""
    room = f"{scratch}/room"
    for folder in (f"room/{os.path.dirname(HELD)}", f"room/{os.path.dirname(FREE)}", "run"):
        os.makedirs(f"{scratch}/{folder}", mode=0o700)
    client = Direct(env=env, cwd=room)
    try:
        await client.call("say", kind="claim", tool=HOLDER, paths=[HELD], subject="canary")
    finally:
        await client.close()
    return room


def _scratch() -> str:
    """A new folder of this user's alone, real: a host hands real paths over."""
    return os.path.realpath(tempfile.mkdtemp(prefix="rally-canary-"))


def _run(command: str, payload: Doc, room: str, env: Mapping[str, str]) -> Ran:
    return Ran(
        *run_captured(
            ["/bin/sh", "-c", command], cwd=room, env=env, timeout_s=TIMEOUT_S,
            stdin=json.dumps(payload).encode(),
        )
    )  # fmt: skip


def _env_in(scratch: str, env: Mapping[str, str]) -> dict[str, str]:
    """The environment of the host, less what is about rally; everything that is written goes here."""
    kept = {name: value for name, value in env.items() if not name.startswith("RALLY_")}
    return {
        **kept,
        "RALLY_ROOM": f"{scratch}/room",
        "RALLY_RUNTIME_DIR": f"{scratch}/run",
        "RALLY_DAEMON": "off",
        "XDG_STATE_HOME": f"{scratch}/state",
    }


def _outcome(ran: Ran) -> str:
    """How a command ended, in a few words."""
    first = (ran.err or ran.out).decode(errors="replace").strip().partition("\n")[0]
    if ran.code == 127:
        return f"the command was not found ({first[:120]})"
    return f"exit {ran.code}" + (f" ({first[:120]})" if first else "")

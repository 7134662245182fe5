"""What a hook writes into the ledger, and what it leaves there."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hook_scene import Answer, Scene

NEUTRAL = (0, "", "")
_numbers = count(1)


class Agent:
    """A claude session in the scene's room.

    Attributes:
        flags: of each of its hooks.
    """

    def __init__(self, scene: Scene, *flags: str) -> None:
        self.scene = scene
        self.flags = flags
        self.session = f"{next(_numbers):08d}-0000-4000-8000-000000000000"
        self.tool = f"claude:{self.session[:8]}"

    def tell(self, event: str, cwd: Path | None = None, **payload: Any) -> Answer:
        document = {"session_id": self.session, "cwd": str(cwd or self.scene.room), **payload}
        return self.scene.hook("claude", event, *self.flags, stdin=json.dumps(document))

    def write(self, path: Path | str, *, event: str = "PreToolUse") -> Answer:
        return self.tell(event, tool_name="Write", tool_input={"file_path": str(path)})

    def patch(self, *paths: Path | str) -> Answer:
        body = "".join(f"*** Add File: {path}\n+x\n" for path in paths)
        document = {
            "session_id": self.session, "cwd": str(self.scene.room), "tool_name": "apply_patch",
            "tool_input": {"command": f"*** Begin Patch\n{body}*** End Patch\n"},
        }  # fmt: skip
        env = {"RALLY_TOOL": self.tool}
        return self.scene.hook(
            "codex", "PreToolUse", *self.flags, stdin=json.dumps(document), **env
        )

    def said(self, *kinds: str) -> list[dict[str, Any]]:
        return self.scene.facts(self.tool, *kinds)


def given(answer: Answer) -> tuple[int, str, str]:
    return answer.exit, answer.stdout, answer.stderr


def test_what_is_free_is_claimed_once(scene: Scene) -> None:
    """A path that the agent holds already is not claimed again, whichever tool writes it."""
    agent = Agent(scene, "--auto-claim")
    path = scene.room / "once" / "a.py"
    for _ in range(3):
        assert given(agent.write(path)) == NEUTRAL
    (claim,) = agent.said("claim")
    assert (claim["paths"], claim["subject"]) == (["once/a.py"], "editing")
    assert claim["session_id"] == agent.session


def test_what_an_own_claim_covers_is_not_claimed(scene: Scene) -> None:
    """The folder that the agent claimed itself is enough."""
    agent = Agent(scene, "--auto-claim")
    words = ("--session-id", agent.session, "--path", "mine/")
    scene.say(scene.room, "claim", *words, tool=agent.tool)
    assert given(agent.write(scene.room / "mine" / "a.py")) == NEUTRAL
    assert len(agent.said("claim")) == 1


def test_a_whole_folder_is_checked_and_not_claimed(scene: Scene) -> None:
    """What is over at once does not hold everybody up to the end of the turn."""
    (scene.room / "whole").mkdir()
    agent = Agent(scene, "--auto-claim")
    call = {"tool_name": "Bash", "tool_input": {"command": "rm -rf whole && touch whole.txt"}}
    assert given(agent.tell("PreToolUse", **call)) == NEUTRAL
    (claim,) = agent.said("claim")
    assert claim["paths"] == ["whole.txt"]
    call["tool_input"] = {"command": "git checkout ."}
    assert agent.tell("PreToolUse", **call).exit == 2


def test_a_session_that_two_hosts_tell_of_is_one_agent(scene: Scene) -> None:
    """cursor can run claude's hooks beside its own: the second is not stopped by the first."""
    document = {
        "conversation_id": "c0ffee00-1", "session_id": "other", "cursor_version": "2026.07.09",
        "cwd": str(scene.room), "tool_name": "Write",
        "tool_input": {"file_path": str(scene.room / "twice" / "a.py")},
    }  # fmt: skip
    for words in (("claude", "PreToolUse"), ("cursor", "preToolUse")):
        answer = scene.hook(*words, "--auto-claim", stdin=json.dumps(document))
        assert (answer.exit, answer.stderr) == (0, "")
        assert "deny" not in answer.stdout
    assert len(scene.facts("cursor:c0ffee00", "claim")) == 1


def test_without_the_flag_nothing_is_claimed(scene: Scene) -> None:
    """A check writes nothing."""
    agent = Agent(scene)
    assert given(agent.write(scene.room / "bare" / "a.py")) == NEUTRAL
    assert agent.said() == []


def test_of_a_call_all_is_claimed_or_nothing(scene: Scene) -> None:
    """Also where its paths are in two rooms, and whichever of them somebody else holds."""
    agent = Agent(scene, "--auto-claim")
    answer = agent.patch("all/1.py", scene.other / "lib" / "2.py")
    assert answer.exit == 2
    assert "lib/2.py is claimed by codex:2" in answer.stderr
    assert agent.said("claim") == []
    assert given(agent.patch("all/1.py", "all/2.py", scene.other / "free" / "3.py")) == NEUTRAL
    (claim,) = agent.said("claim")
    assert claim["paths"] == ["all/1.py", "all/2.py"]


def test_of_agents_that_write_at_once_one_may(scene: Scene) -> None:
    """Contract C3 holds for hooks: check and claim are not two steps that another can part."""
    agents = [Agent(scene, "--auto-claim") for _ in range(8)]
    with ThreadPoolExecutor(len(agents)) as threads:
        answers = list(threads.map(lambda one: one.write(scene.room / "race" / "a.py"), agents))
    assert Counter(answer.exit for answer in answers) == {0: 1, 2: 7}
    winner = agents[[answer.exit for answer in answers].index(0)]
    for answer in answers:
        assert answer.exit == 0 or f"claimed by {winner.tool} until" in answer.stderr
    assert sum(len(agent.said("claim")) for agent in agents) == 1


def test_a_touched_path_is_noted_once_in_a_session(scene: Scene) -> None:
    """However often it is written: presence is not history."""
    agent = Agent(scene)
    for name in ("a.py", "b.py", "a.py", "a.py"):
        path = scene.room / "touched" / name
        assert given(agent.write(path, event="PostToolUse")) == NEUTRAL
    assert [note["paths"] for note in agent.said("note")] == [["touched/a.py"], ["touched/b.py"]]
    assert agent.said("note")[0]["subject"] == "touched touched/a.py"


def test_what_a_claim_says_is_not_noted(scene: Scene) -> None:
    """An editing agent's claims name its paths already."""
    agent = Agent(scene, "--auto-claim")
    path = scene.room / "said" / "a.py"
    agent.write(path)
    agent.write(path, event="PostToolUse")
    assert agent.said("note") == []


def test_at_the_end_of_a_turn_only_the_hooks_claims_end(scene: Scene) -> None:
    """In other repositories too; what the agent claimed itself stays, and it stands by."""
    agent = Agent(scene, "--auto-claim")
    agent.tell("SessionStart", source="startup")
    agent.patch("turn/a.py", scene.other / "turn" / "b.py")
    own = scene.say(
        scene.room, "claim", "--session-id", agent.session, "--path", "turn/own/", tool=agent.tool
    )
    for _ in range(3):
        assert given(agent.tell("Stop", stop_hook_active=False)) == NEUTRAL
    (release,) = agent.said("release")
    (claim, _) = agent.said("claim")
    assert release["ref"] == claim["event_id"]
    stranger = Agent(scene)
    assert stranger.write(scene.room / "turn" / "a.py").exit == 0
    assert stranger.write(scene.other / "turn" / "b.py").exit == 0
    assert own["event_id"] in stranger.write(scene.room / "turn" / "own" / "c.py").stderr
    (standby,) = agent.said("standby")
    assert standby["reason"] == "the turn ended and it still holds a claim"
    assert "wake_after" not in standby


def test_the_next_prompt_ends_the_hooks_standby(scene: Scene) -> None:
    """Else the room would show an agent that works as one that sleeps."""
    agent = Agent(scene)
    agent.tell("SessionStart", source="startup")
    words = ("--session-id", agent.session, "--path", "prompt/")
    scene.say(scene.room, "claim", *words, tool=agent.tool)
    agent.tell("Stop")
    for _ in range(2):
        assert given(agent.tell("UserPromptSubmit", prompt="go on")) == NEUTRAL
    assert [fact["kind"] for fact in agent.said("standby", "wake")] == ["standby", "wake"]


def test_an_agents_own_standby_is_left_alone(scene: Scene) -> None:
    """It says what it waits for, which the hook cannot know (contract S2)."""
    agent = Agent(scene)
    words = ("--session-id", agent.session, "--path", "asleep/")
    scene.say(scene.room, "claim", *words, tool=agent.tool)
    own = scene.say(scene.room, "standby", "--until", "free:held/a.py", tool=agent.tool)
    agent.tell("Stop")
    agent.tell("UserPromptSubmit", prompt="go on")
    assert agent.said("standby", "wake") == [own]


def test_a_turn_that_leaves_nothing_says_nothing(scene: Scene) -> None:
    """Most turns of most agents."""
    agent = Agent(scene)
    agent.tell("SessionStart", source="startup")
    agent.tell("Stop")
    agent.tell("UserPromptSubmit", prompt="go on")
    assert [fact["kind"] for fact in agent.said()] == ["enter"]


def test_the_end_of_a_session_is_a_leave(scene: Scene) -> None:
    """Everything that it holds is free, and who never came does not leave."""
    agent = Agent(scene, "--auto-claim")
    assert given(agent.tell("SessionEnd", reason="other")) == NEUTRAL
    assert agent.said() == []
    agent.tell("SessionStart", source="startup")
    agent.write(scene.room / "end" / "a.py")
    agent.tell("SessionEnd", reason="other")
    assert [fact["kind"] for fact in agent.said()] == ["enter", "claim", "leave"]
    assert Agent(scene).write(scene.room / "end" / "a.py").exit == 0


def test_a_subagent_writes_inside_its_sessions_claims(scene: Scene) -> None:
    """It carries the session's id, and acts for it."""
    agent = Agent(scene, "--auto-claim")
    path = scene.room / "sub" / "a.py"
    agent.write(path)
    call = {"tool_name": "Write", "tool_input": {"file_path": str(path)}}
    assert given(agent.tell("PreToolUse", agent_id="a1", agent_type="Explore", **call)) == NEUTRAL
    assert len(agent.said("claim")) == 1


def test_who_has_a_name_keeps_it(scene: Scene) -> None:
    """RALLY_TOOL and RALLY_SESSION_ID of a managed agent count before the host's ids."""
    document = {"session_id": "x", "cwd": str(scene.room), "source": "startup"}
    env = {"RALLY_TOOL": "named:1", "RALLY_SESSION_ID": "own"}
    scene.hook("claude", "SessionStart", stdin=json.dumps(document), **env)
    (enter,) = scene.facts("named:1")
    assert (enter["kind"], enter["session_id"]) == ("enter", "own")


def test_what_an_agent_must_know_is_short_and_harmless(scene: Scene) -> None:
    """A crowded, hostile room does not fill an agent's context."""
    for number in range(30):
        subject = f"wait {number} \x1b[2J\u202e" + "x" * 400
        scene.say(scene.other, "claim", "--path", f"crowd/{number}/", "--subject", subject)
    answer = Agent(scene).tell("SessionStart", cwd=scene.other, source="startup")
    text = json.loads(answer.stdout)["hookSpecificOutput"]["additionalContext"]
    assert len(text) <= 6_000
    assert "more are left out here: rally room" in text
    assert text.isascii() or not any(char in text for char in "\x1b\u202e")
    assert max(len(line) for line in text.splitlines()) < 250


@pytest.mark.parametrize("room", ["room", "other"])
def test_rally_room_counts_for_what_lies_in_it(scene: Scene, room: str) -> None:
    """The write's target decides, wherever the session is and whatever room it was given."""
    agent = Agent(scene)
    document = {
        "session_id": agent.session, "cwd": str(scene.outside), "tool_name": "Write",
        "tool_input": {"file_path": str(scene.room / "held" / "a.py")},
    }  # fmt: skip
    env = {"RALLY_ROOM": str(getattr(scene, room))}
    answer = scene.hook("claude", "PreToolUse", stdin=json.dumps(document), **env)
    assert answer.exit == 2


def test_links_are_followed_to_what_is_written(scene: Scene) -> None:
    """A link outside leads into the room, and one in the room leads out of it."""
    (scene.outside / "way-in").symlink_to(scene.room / "held")
    (scene.room / "way-out").symlink_to(scene.outside)
    agent = Agent(scene)
    assert "held/a.py is claimed" in agent.write(scene.outside / "way-in" / "a.py").stderr
    assert given(agent.write(scene.room / "way-out" / "a.py")) == NEUTRAL


def test_a_move_into_a_folder_is_a_write_below_it(scene: Scene) -> None:
    """Where the name is a folder on the disk; else the name itself is written."""
    (scene.room / "into").mkdir()
    scene.say(scene.room, "claim", "--path", "into/a.py")
    agent = Agent(scene)

    def run(command: str) -> int:
        return agent.tell("PreToolUse", tool_name="Bash", tool_input={"command": command}).exit

    assert [run("cp b.py into"), run("cp x/a.py into"), run("cp b.py into/a.py")] == [0, 2, 2]
    assert [run("git checkout into/a.py"), run("git checkout held")] == [0, 0]  # none is there
    (scene.room / "into" / "a.py").touch()
    assert run("git checkout into/a.py") == 2


def test_one_path_that_cannot_be_does_not_hide_another(scene: Scene) -> None:
    """What is too long for any path is noted; what else the command writes is checked all the same."""
    agent = Agent(scene, "--auto-claim")
    answer = agent.tell(
        "PreToolUse", tool_name="Bash", tool_input={"command": f"rm {'y' * 5000} held/a.py"}
    )
    assert answer.exit == 2
    assert "held/a.py is claimed by" in answer.stderr
    before = len(scene.journal())
    assert given(agent.patch("free-beside.py", "z" * 5000)) == NEUTRAL
    assert "too-long" in scene.journal()[before]
    assert agent.said("claim") == []


def test_a_repository_without_a_room_is_a_folder_of_the_room_around_it(scene: Scene) -> None:
    """A submodule is checked as `rally check` does from outside; one with a room has its own."""
    agent = Agent(scene)
    nested = scene.room / "held" / "nested"
    nested.mkdir(parents=True)
    scene._git(nested, "init", "-q")
    for cwd in (scene.room, nested):
        answer = agent.tell(
            "PreToolUse",
            cwd,
            tool_name="Write",
            tool_input={"file_path": str(nested / "new" / "a")},
        )
        assert answer.exit == 2
        assert "- held/nested/new/a is claimed by" in answer.stderr
    assert scene.rally("init", cwd=nested).returncode == 0
    assert given(agent.write(nested / "new" / "a")) == NEUTRAL


def test_what_an_agent_is_told_to_type_works_where_it_stands(scene: Scene) -> None:
    """Also when the path is in a room that it is not in."""
    agent = Agent(scene)
    agent.tell("SessionStart")
    for room, name in ((scene.other, "lib/x"), (scene.room, "held/x")):
        path = room / name
        lines = agent.write(path).stderr.splitlines()
        typed = [line.split(": ", 1)[1] for line in lines if ": rally " in line]
        assert len(typed) == 3
        for line in typed:
            words = shlex.split(line.replace("--timeout 90s", "--timeout 1s"))[1:]
            done = scene.rally(*words, "--json")
            # Nobody lets go of it meanwhile.
            assert done.returncode == (3 if words[0] == "wait" else 0), (line, done.stdout)
        log = scene.rally("log", "--tool", agent.tool, "--kind", "handoff", "--json", cwd=room)
        assert len(json.loads(log.stdout)["data"]["log"]["facts"]) == 1

"""Recorded payloads of every host, driven through real processes (docs/hooks.md)."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from hook_scene import Answer, Recorded, Scene, recorded
from hot_path import ALLOWED, loaded

from rally.hosts.known import HOOKS

ALL = recorded()
# Enough of each to see that the same answer comes without a daemon.
SAMPLE = [one for number, one in enumerate(ALL) if number % 4 == 0]


def check(scene: Scene, one: Recorded, answer: Answer) -> None:
    if one.name.endswith("another-session"):  # what its neighbour claimed a moment ago
        scene.claims["taken"] = scene.facts("claude:c1a0de16", "claim")[0]
    assert answer.exit == one.wants["exit"], answer
    for stream in ("stdout", "stderr"):
        # How much of a lease is left depends on when it was asked.
        got = re.sub(r"\(in \d+[dhms]+\w*\)", "(in LEFT)", getattr(answer, stream))
        for part in one.wants.get(f"{stream}_has", ()):
            assert scene.expected(part, one) in got
        if stream in one.wants:
            assert got == scene.expected(one.wants[stream], one)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_the_host_gets_its_own_answer(scene: Scene, one: Recorded) -> None:
    """Exit code, standard output and standard error, byte for byte where the contract is exact."""
    check(scene, one, scene.play(one))


@pytest.mark.parametrize("one", SAMPLE, ids=lambda one: one.name)
def test_without_a_daemon_the_answer_is_the_same(scene: Scene, one: Recorded) -> None:
    """Direct mode runs the same code on the same ledger (contract R4)."""
    check(scene, one, scene.play(one, RALLY_DAEMON="off"))


def test_the_hot_path_is_that_of_a_check(scene: Scene) -> None:
    """Law 5: an agent pays for a hook at every write, so it loads what `check` loads and no more."""
    scene.rally("daemon", "start")
    words = ("hook", "gemini", "BeforeTool")
    told, modules = loaded(*words, input=b"{}", env=scene.env, cwd=scene.room)
    assert told == b"{}\n"
    assert "rally.relay" in modules
    assert modules <= ALLOWED


def test_there_are_payloads_enough_for_every_host() -> None:
    """Each event that rally answers is among them, and so is broken input."""
    counts = Counter(one.host for one in ALL)
    assert counts.keys() == HOOKS.keys()
    assert min(counts["claude"], counts["codex"]) >= 12
    assert min(counts.values()) >= 6
    for host, hooks in HOOKS.items():
        assert {one.event for one in ALL if one.host == host} >= hooks.events.keys() - {
            "postToolUse", "afterShellExecution", "beforeSubmitPrompt", "chat.message",
        }, host  # fmt: skip


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_what_is_said_is_in_the_hosts_protocol(one: Recorded) -> None:
    """No recorded answer approves a call, and a code that blocks never comes without its reason."""
    wants = one.wants
    assert wants["exit"] in (0, 2)
    blocks = wants["exit"] == 2
    assert blocks == bool(wants.get("stderr") or wants.get("stderr_has"))
    if blocks:
        assert wants["stdout"] == ""
    elif one.host in ("gemini", "cursor", "opencode") and "stop" not in wants.get("stdout", ""):
        assert isinstance(json.loads(wants.get("stdout", "{}")), dict)
    assert '"allow"' not in wants.get("stdout", "")

"""What is known of the hosts' hooks is knowledge alone: it reads no file and asks nobody."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rally.hosts import hooks, known
from rally.hosts.hooks import Moment, PayloadError
from rally.hosts.patch import patch_paths

SOURCES = sorted(Path(hooks.__file__).parent.glob("*.py"))
NAMES = st.sampled_from(
    "tool_name tool_input tool args command file_path notebook_path filePath patchText path cwd "
    "dir_path workdir working_directory workspace_roots".split()
)
TOOLS = st.sampled_from("Write Edit Bash NotebookEdit apply_patch shell replace Shell bash".split())
REACHING_OUT = frozenset(
    "asyncio fcntl glob io os pathlib shutil signal socket sqlite3 subprocess tempfile".split()
)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_host_is_described_without_input_or_output(source: Path) -> None:
    """So the daemon may load it, and a test needs no file to try it."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            assert REACHING_OUT.isdisjoint(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in REACHING_OUT
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "open"


@pytest.mark.parametrize("protocol", known.HOOKS.values(), ids=known.HOOKS)
def test_every_host_can_be_entered_checked_and_ended(protocol: hooks.Hooks) -> None:
    """Each has an event for what matters, and one that blocks has a reason in it."""
    moments = set(protocol.events.values())
    assert moments >= {
        Moment.SESSION_START,
        Moment.BEFORE_WRITE,
        Moment.AFTER_WRITE,
        Moment.TURN_END,
    }
    assert protocol.host in known.HOSTS
    assert protocol.neutral.code == 0
    for event, moment in protocol.events.items():
        if moment is Moment.BEFORE_WRITE:
            answer = protocol.block(event, "because")
            assert b"because" in answer.stdout + answer.stderr
            assert (answer.code == 2) == bool(answer.stderr)
        assert protocol.tell(event, "know this").code == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("a/ >'-", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(list(known.HOOKS)), st.dictionaries(NAMES, JSON | TOOLS, max_size=6))
@settings(max_examples=300, deadline=None)
def test_no_payload_breaks_a_host(host: str, payload: dict[str, Any]) -> None:
    """It is read, or it is said what is wrong with it."""
    protocol = known.HOOKS[host]
    for event in protocol.events:
        try:
            writes = protocol.writes(payload, event, "/r")
        except PayloadError as error:
            assert str(error)
        else:
            assert all(write.path.startswith("/") for write in writes)


def test_a_patch_names_each_file_once() -> None:
    """Added, changed, moved and removed ones, in their order."""
    patch = (
        "*** Begin Patch\n  *** Add File: a b.py  \n+*** Add File: no.py\n *** Update File: c\n"
        "*** Move to: d/e\n@@\n *** Delete File: no\n-x\n+y\n*** Delete File: f\n"
        " *** Delete File: g\n*** Update File: c\n*** Update File: \n*** End Patch"
    )
    assert patch_paths(patch) == ["a b.py", "c", "d/e", "f", "g"]
    assert patch_paths("") == patch_paths("rm -rf /") == []


def test_a_payload_is_not_guessed_at() -> None:
    """A field that is missing or of another form is said, and so is a path from nowhere."""
    writes = known.HOOKS["claude"].writes
    for payload in (
        {},
        {"tool_name": ""},
        {"tool_name": "Write"},
        {"tool_name": "Write", "tool_input": []},
        {"tool_name": "Write", "tool_input": {"file_path": 1}},
        {"tool_name": "Bash", "tool_input": {"command": ["rm", "a"]}},
        {"tool_name": ["Write"], "tool_input": {"file_path": "/a"}},
    ):
        with pytest.raises(PayloadError):
            writes(payload, "PreToolUse", "/r")
    with pytest.raises(PayloadError, match="no cwd"):
        writes({"tool_name": "Write", "tool_input": {"file_path": "a"}}, "PreToolUse", "")
    assert writes({"tool_name": "Read", "tool_input": {"file_path": "a"}}, "PreToolUse", "/r") == []

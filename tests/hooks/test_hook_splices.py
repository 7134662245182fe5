"""Splicing rally's hooks into configurations: everything else stays, and all of rally's goes again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from config_samples import AMBIGUOUS, SAMPLES, Sample
from hypothesis import given
from hypothesis import strategies as st

from rally.hosts.hooks import Moment
from rally.hosts.known import HOOKS
from rally.setup import hook_json, hook_toml
from rally.setup.events import EVENTS, is_rally_hook
from rally.setup.hook_json import Form
from rally.setup.jsonc import BrokenTextError, parse
from rally.setup.surface import Wish

FORMS = {
    "claude": Form("claude", muted_by="disableAllHooks"),
    "codex": Form("codex"),
    "cursor": Form("cursor", is_flat=True),
    "gemini": Form("gemini", timeout=10_000),
}
JSON_SAMPLES = [one for one in SAMPLES if one.file.endswith(".json")]
WISHES = [Wish(), Wish(auto_claim=True, fail_closed=True)]


def named(sample: Sample) -> str:
    """For the test's id."""
    return f"{sample.host}: {sample.what}"


def events_of(text: str) -> dict[str, list[Any]]:
    """The hooks that a strict reader of JSON sees."""
    return json.loads(text)["hooks"]


@pytest.mark.parametrize("host", EVENTS)
def test_what_is_installed_is_what_rally_hook_answers(host: str) -> None:
    """Every event that is installed is one that `rally hook` knows, and the one that may block does."""
    answered = HOOKS[host].events
    assert {event.name for event in EVENTS[host]} <= set(answered)
    before = [event.name for event in EVENTS[host] if event.is_before]
    assert [answered[name] for name in before] == [Moment.BEFORE_WRITE]


@pytest.mark.parametrize("wish", WISHES, ids=["plain", "with options"])
@pytest.mark.parametrize("sample", JSON_SAMPLES, ids=named)
def test_hooks_come_into_any_json_once_and_leave_it_as_it_was(sample: Sample, wish: Wish) -> None:
    """Every event is there once; doing it again changes nothing; taking them out gives the text back."""
    text, form = sample.data.decode(), FORMS[sample.host]
    new = hook_json.installed(text, form, wish)
    found = hook_json.look(new, form)
    assert (found.state, found.options) == ("installed", wish.names())
    assert set(found.events) == {event.name for event in EVENTS[form.host]}
    assert hook_json.installed(new, form, wish) == new
    left = hook_json.uninstalled(new, form, text, was_absent=False)
    assert left is not None
    if sample.what not in AMBIGUOUS:
        assert left == text
    before, after = parse(text), parse(left)
    old = before.plain() if before and before.children else {}
    assert {k: v for k, v in old.items() if v} == {
        k: v for k, v in (after.plain() if after else {}).items() if v
    }


@pytest.mark.parametrize("sample", JSON_SAMPLES, ids=named)
def test_no_line_of_others_is_touched(sample: Sample) -> None:
    """The old text, with its white space, is a subsequence of the new one but for what was empty."""
    text, form = sample.data.decode(), FORMS[sample.host]
    rest = iter(hook_json.installed(text, form, Wish()))
    old = text if sample.what not in AMBIGUOUS else "".join(text.replace("null", "").split())
    assert all(char in rest for char in old)


@pytest.mark.parametrize("sample", JSON_SAMPLES, ids=named)
def test_other_options_replace_the_hooks_that_are_there(sample: Sample) -> None:
    """An older form is brought up to date where it stands; nothing is there twice."""
    text, form = sample.data.decode(), FORMS[sample.host]
    older = hook_json.installed(text, form, Wish())
    newer = hook_json.installed(older, form, Wish(auto_claim=True))
    assert hook_json.look(newer, form).options == ("auto-claim",)
    assert newer.count("rally hook") == len(EVENTS[form.host])
    assert hook_json.look(hook_json.installed(newer, form, Wish()), form).options == ()
    taken_out = [hook_json.uninstalled(one, form, text, was_absent=False) for one in (older, newer)]
    assert taken_out[0] == taken_out[1]


def test_the_manner_of_writing_is_kept() -> None:
    """Tabs, CRLF and the missing line break at the end are those of the file."""
    text = '{\r\n\t"model": "opus"\r\n}'
    new = hook_json.installed(text, FORMS["claude"], Wish())
    assert new.count("\n") == new.count("\r\n")
    assert new.startswith('{\r\n\t"model": "opus",\r\n\t"hooks": {\r\n\t\t"SessionStart": [\r\n')
    assert new.endswith("\r\n\t}\r\n}")
    assert "  " not in new


def test_the_shape_is_the_one_that_each_host_documents() -> None:
    """claude, codex and gemini gather handlers under a matcher, cursor does not; gemini counts in ms."""
    claude = events_of(hook_json.installed("", FORMS["claude"], Wish(auto_claim=True)))
    assert claude["PreToolUse"] == [
        {
            "matcher": "Edit|Write|MultiEdit|NotebookEdit|Bash",
            "hooks": [
                {
                    "type": "command",
                    "command": "rally hook claude PreToolUse --auto-claim",
                    "timeout": 10,
                }
            ],
        }
    ]
    assert "matcher" not in claude["Stop"][0]
    text = hook_json.installed("", FORMS["cursor"], Wish(fail_closed=True))
    assert json.loads(text)["version"] == 1
    assert events_of(text)["preToolUse"] == [
        {
            "command": "rally hook cursor preToolUse --fail-closed",
            "matcher": "Write|Delete|Shell",
            "timeout": 10,
            "failClosed": True,
        }
    ]
    gemini = events_of(hook_json.installed("", FORMS["gemini"], Wish()))
    assert gemini["BeforeTool"][0]["hooks"][0]["timeout"] == 10_000


def test_a_handler_that_somebody_put_beside_rallys_stays() -> None:
    """From an edited configuration only what is rally's goes."""
    document = json.loads(hook_json.installed("", FORMS["claude"], Wish()))
    theirs = {"type": "command", "command": "true"}
    document["hooks"]["PreToolUse"][0]["hooks"].append(theirs)
    document["hooks"]["Stop"].insert(0, {"hooks": [theirs]})
    document["model"] = "opus"
    text = json.dumps(document, indent=4)
    left = hook_json.uninstalled(text, FORMS["claude"], None, was_absent=True)
    assert left is not None
    matcher = document["hooks"]["PreToolUse"][0]["matcher"]
    assert json.loads(left) == {
        "hooks": {
            "PreToolUse": [{"matcher": matcher, "hooks": [theirs]}],
            "Stop": [{"hooks": [theirs]}],
        },
        "model": "opus",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "state", "said"),
    [
        (lambda hooks: hooks.pop("Stop"), "partial", "missing: Stop"),
        (lambda hooks: hooks["Stop"].append(hooks["Stop"][0]), "outdated", "Stop"),
        (lambda hooks: hooks["Stop"][0].update(matcher="x"), "outdated", "Stop"),
        (lambda hooks: hooks.update(Old=hooks["Stop"]), "outdated", "Old"),
    ],
)
def test_status_tells_what_is_not_as_it_should_be(change: Any, state: str, said: str) -> None:
    """What is missing, there twice or of another form is not called installed; install mends it."""
    whole = hook_json.installed('{"a": 1}', FORMS["claude"], Wish())
    document = json.loads(whole)
    change(document["hooks"])
    text = json.dumps(document, indent=2)
    found = hook_json.look(text, FORMS["claude"])
    assert found.state == state
    assert said in found.problem
    mended = hook_json.installed(text, FORMS["claude"], Wish())
    assert hook_json.look(mended, FORMS["claude"]).state == "installed"
    assert json.loads(mended) == json.loads(whole)


def test_hooks_that_are_switched_off_are_not_called_installed() -> None:
    """claude runs nothing under disableAllHooks."""
    text = hook_json.installed('{"disableAllHooks": true}', FORMS["claude"], Wish())
    assert hook_json.look(text, FORMS["claude"]).state == "partial"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{\n  "hooks": {,}\n}', 2, 13),
        ('{"a": 1', 1, 8),
        ('{\r\n  "a": 1\r\n  "b": 2\r\n}', 3, 3),
        ('{"a": tru}', 1, 7),
        ("{'a': 1}", 1, 2),
        ('{"a": "\n"}', 1, 7),
        ("{} {}", 1, 4),
        ("/* never ends", 1, 1),
        ('\ufeff{\n"a"}', 2, 4),
        ("[]", 1, 1),
        ('{"hooks": []}', 1, 11),
        ('{"hooks": {"Stop": {}}}', 1, 20),
        ("[" * 1_000, 1, 202),
        ('{"a": 1e}', 1, 8),
        ('{"a": 01}', 1, 8),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: str, line: int, column: int) -> None:
    """Line and column are those of the first thing that cannot be."""
    with pytest.raises(BrokenTextError) as caught:
        hook_json.installed(text, FORMS["claude"], Wish())
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    ("command", "own"),
    [
        ("rally hook claude Stop", True),
        ("/usr/local/bin/rally hook claude PreToolUse", True),
        ("RALLY_TOOL=ada rally  hook claude Stop", True),
        ("sh -c 'rally hook claude Stop'", False),
        ("rally hook claude 'Stop", True),
        ("rally check before-write", False),
        ("myrally hook x", False),
        ("echo rallying hook", False),
        (None, False),
    ],
)
def test_rallys_own_commands_are_known(command: object, own: bool) -> None:
    """By what they run, not by where they stand."""
    assert is_rally_hook(command) is own


spaces = st.sampled_from(["", " ", "\n", "\n  ", "\t", "\r\n    ", " // c\n", "/* c */"])
scalars = st.sampled_from(
    ["1", "-0.5e3", "true", "null", '"x"', '"a\\"b"', '"//"', "{}", "[]", "[ ]"]
)


@st.composite
def json_texts(draw: Any, depth: int = 2) -> str:
    """JSON with comments, in any manner of writing."""
    if depth == 0 or draw(st.booleans()):
        return draw(scalars)
    is_object = draw(st.booleans())
    parts = []
    for number in range(draw(st.integers(1, 3))):
        key = f'"k{number}"{draw(spaces)}:' if is_object else ""
        parts.append(
            f"{draw(spaces)}{key}{draw(spaces)}{draw(json_texts(depth - 1))}{draw(spaces)}"
        )
    comma = "," + draw(spaces) if draw(st.booleans()) else ""
    opening, closing = "{}" if is_object else "[]"
    return f"{opening}{','.join(parts)}{comma}{closing}"


@st.composite
def configurations(draw: Any) -> str:
    """An object whose `hooks` hold other people's, somewhere among other members."""
    other = f'"command"{draw(spaces)}:"x"'
    entry = f'{{{draw(spaces)}"hooks":[{draw(spaces)}{{{other}}}{draw(spaces)}]{draw(spaces)}}}'
    events = [
        f'{draw(spaces)}"{name}"{draw(spaces)}:[{draw(spaces)}{entry}{draw(spaces)}]'
        for name in draw(
            st.lists(st.sampled_from(["Stop", "PreToolUse", "Other"]), unique=True, min_size=1)
        )
    ]
    members = [
        f'{draw(spaces)}"m{number}":{draw(json_texts())}{draw(spaces)}'
        for number in range(draw(st.integers(0, 2)))
    ]
    hooks = (
        f'{draw(spaces)}"hooks"{draw(spaces)}:{{{",".join(events)}{draw(spaces)}}}{draw(spaces)}'
    )
    members.insert(draw(st.integers(0, len(members))), hooks)
    return f"{draw(spaces)}{{{','.join(members)}}}{draw(spaces)}"


@given(configurations())
def test_any_configuration_with_hooks_comes_back_byte_for_byte(text: str) -> None:
    """Taking out what was put in needs no backup where no empty container was filled."""
    new = hook_json.installed(text, FORMS["claude"], Wish())
    assert hook_json.look(new, FORMS["claude"]).state == "installed"
    assert hook_json.uninstalled(new, FORMS["claude"], None, was_absent=False) == text


@given(st.text(max_size=40))
def test_no_text_is_edited_that_is_not_understood(text: str) -> None:
    """Whatever a file holds: it gets the hooks whole, or is refused."""
    try:
        new = hook_json.installed(text, FORMS["claude"], Wish())
    except BrokenTextError:
        return
    assert hook_json.look(new, FORMS["claude"]).state == "installed"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a = = 1\n", 1, 5), ('a = 1\n[t\nb = "', 2, 3), ('x = "', 1, 6)],
)
def test_what_is_no_toml_is_refused_with_its_place(text: str, line: int, column: int) -> None:
    """As for JSON."""
    with pytest.raises(BrokenTextError) as caught:
        hook_toml.can_append(text, FORMS["codex"])
    assert (caught.value.line, caught.value.column) == (line, column)


def test_tables_written_by_hand_are_found_and_left_alone() -> None:
    """Outside the fence nothing is ever taken out; their lines are said."""
    table = '[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ntype = "command"\ncommand = "rally hook codex Stop"\n'
    text = hook_toml.installed(table, FORMS["codex"], Wish())
    assert hook_toml.strays(text) == [4]
    assert hook_toml.look(text, FORMS["codex"]).problem == "written by hand: line 4"
    assert hook_toml.uninstalled(text) == table

"""Reading a descriptor: what is no JSON is said with its line and column, what is has its lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rally.model.errors import UsageError
from rally.workstream.reading import DESCRIPTOR_BYTES_MAX, read_document

# bytes, parts of the message
BROKEN = [
    (b"", "line 1, column 1"),
    (b"{", "line 1, column 2"),
    (b'{\n  "a": 1,\n  "b" 2\n}', "line 3, column 7"),
    (b'{"a": 1,}', "line 1"),
    (b"[1, 2", "line 1, column 6"),
    (b"{'a': 1}", "line 1, column 2"),
    (b'{"a": 1} x', "line 1, column 10"),
    (b'{"a": NaN}', "line 1, column 7: the number NaN is no JSON"),
    (b'{"a": "NaN",\n "b": [NaN]}', "line 2, column 8: the number NaN is no JSON"),
    (b'{"a": -Infinity}', "the number -Infinity is no JSON"),
    (b'{"a": "\x01"}', "line 1, column 8"),
    (b'{"a": "\xff"}', "not valid UTF-8 at byte 7"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"a": ' + b"9" * 5_000 + b"}", "no JSON: a number in it has thousands of digits"),
    (b'{"a": 1,\n "b": 2,\n "a": 3}', "line 3, column 2: the key 'a' is given twice"),
    (b'{"tasks": [{},\n {"id": 1, "id": 2}]}', "line 2, column 12: the key 'id' is given twice"),
    (b" " * (DESCRIPTOR_BYTES_MAX + 1), "longer than"),
]


@pytest.mark.parametrize(("raw", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_what_cannot_be_read_is_said_with_its_place(raw: bytes, message: str) -> None:
    """W2: exit 2, and where to look."""
    with pytest.raises(UsageError) as caught:
        read_document(raw, "plan.json")
    assert caught.value.code == "unreadable"
    assert message in caught.value.message
    assert caught.value.message.startswith("plan.json")


def test_a_byte_order_mark_is_no_mistake() -> None:
    """Some editors write one."""
    assert read_document(b'\xef\xbb\xbf{"a": 1}', "x").value == {"a": 1}


def test_every_value_down_to_the_fields_of_tasks_has_its_line() -> None:
    """A violation can be shown beside its line; what is missing, beside what it is missing from."""
    text = '{\n"workstream": "w",\n"tasks": [\n {"id": "a",\n  "owns": [\n  "x",\n  "y"]},\n\n {}\n]\n}'
    document = read_document(text.encode(), "x")
    assert [
        document.line(place)
        for place in [
            (), ("workstream",), ("tasks",), ("tasks", 0), ("tasks", 0, "owns"),
            ("tasks", 0, "owns", 1), ("tasks", 1), ("tasks", 1, "id"), ("description",),
        ]
    ] == [1, 2, 3, 4, 5, 7, 9, 9, 1]  # fmt: skip


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(values, st.sampled_from([None, 0, 1]))
def test_any_json_document_is_walked_to_its_end(value: Any, indent: int | None) -> None:
    """The walk for lines stumbles over nothing that `json` accepts."""
    raw = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    assert read_document(raw, "x").value == value

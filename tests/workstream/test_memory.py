"""memory: named values, the latest wins, and compare-and-set (contract F2)."""

from __future__ import annotations

import asyncio

import pytest
from plan_desk import Desk

from rally.model.errors import Refused

SET = ("memory", "set", "--tool", "a:1")


def repr_short(value: str) -> str:
    """A name for a test with a long value."""
    return f"{len(value)}x{ord(value[0]):x}"


async def test_the_latest_value_wins_and_its_author_is_kept(desk: Desk) -> None:
    """A value is who set it, when, and under which version."""
    await desk.json(*SET, "k", "first")
    said = await desk.json("memory", "set", "--tool", "b:1", "k", "second")
    got = await desk.json("memory", "get", "k")
    assert (got["value"], got["author"], got["version"]) == ("second", "b:1", said["fact"]["seq"])
    assert got["event_id"] == said["fact"]["event_id"]
    assert [fact["summary"] for fact in await desk.facts("memory")] == ["first", "second"]
    assert (await desk("memory", "get", "k")).out == "second\n"


async def test_keys_are_listed_in_their_order(desk: Desk) -> None:
    """Alone, `memory` lists them."""
    assert (await desk.json("memory"))["items"] == []
    for key in ("b", "a", "é"):
        await desk.json(*SET, key, f"value of {key}")
    listed = await desk.json("memory", "list")
    assert [(one["key"], one["value"]) for one in listed["items"]] == [
        ("a", "value of a"), ("b", "value of b"), ("é", "value of é"),
    ]  # fmt: skip
    assert listed["total"] == 3


async def test_a_writer_can_insist_on_the_value_that_it_saw(desk: Desk) -> None:
    """Compare and set: 0 means absent; a refusal names version and author, and writes nothing."""
    first = await desk.json(*SET, "k", "1", "--if-version", "0")
    for version in ("0", "99"):
        refused = await desk(*SET, "k", "2", "--if-version", version, "--json")
        assert (refused.code, refused.error["code"]) == (3, "version-conflict")
        assert refused.error["details"] == {
            "key": "k",
            "version": first["version"],
            "author": "a:1",
        }
    await desk.json(*SET, "k", "2", "--if-version", str(first["version"]))
    assert len(await desk.facts("memory")) == 2


async def test_of_many_that_saw_the_same_value_one_sets_it(desk: Desk) -> None:
    """The comparison and the write are one step."""
    seen = (await desk.json(*SET, "k", "0"))["version"]

    async def bump(number: int) -> bool:
        params = {
            "action": "set",
            "key": "k",
            "value": str(number),
            "if_version": seen,
            "tool": "a:1",
        }
        try:
            await desk.rooms.call("memory", params, cwd=str(desk.cwd), env=desk.env)
        except Refused as refusal:
            assert refusal.code == "version-conflict"
            return False
        return True

    assert sum(await asyncio.gather(*map(bump, range(20)))) == 1


async def test_a_value_may_come_on_standard_input(desk: Desk) -> None:
    """`-` reads it, less the line break at its end."""
    await desk.json(*SET, "k", "-", stdin="zwei\nZeilen é\n".encode())
    assert (await desk.json("memory", "get", "k"))["value"] == "zwei\nZeilen é"


@pytest.mark.parametrize(
    "value",
    ["x" * 16_384, "x" * 16_385, "é" * 30_720, '"' * 30_720, "\x01" * 10_240],
    ids=repr_short,
)
async def test_a_value_may_fill_its_fact(desk: Desk, value: str) -> None:
    """F5: up to 60 KiB as JSON, beside the longest key, tool and session, and back as it was given."""
    key, tool, session = "k" * 256, "t" * 128, "\U0001f600" * 256
    caller = ("--tool", tool, "--session-id", session)
    said = await desk.json("memory", "set", *caller, key, "-", stdin=value.encode())
    assert said["value"] == value
    got = await desk.json("memory", "get", key)
    assert (got["value"], got["author"]) == (value, tool)
    (item,) = (await desk.json("memory", "list"))["items"]
    assert item == {name: got[name] for name in item}
    over = await desk(
        "memory", "set", *caller, key, "-", "--json", stdin=f"{value}{'x' * 50_000}".encode()
    )
    assert (over.code, over.error["code"]) == (2, "too-long")
    assert "at most 61440 are allowed" in over.error["message"]
    assert len(await desk.facts("memory")) == 1


async def test_an_empty_value_is_a_value(desk: Desk) -> None:
    """It is there, and empty."""
    await desk.json(*SET, "k", "")
    assert (await desk.json("memory", "get", "k"))["value"] == ""


async def test_withdrawing_a_value_forgets_it(desk: Desk) -> None:
    """Nothing earlier comes back by itself, and the version is 0 again."""
    await desk.json(*SET, "k", "old")
    said = await desk.json(*SET, "k", "new")
    await desk.say("a:1", "retract", "--ref", said["event_id"], "--reason", "wrong")
    gone = await desk("memory", "get", "k", "--json")
    assert (gone.code, gone.error["code"]) == (2, "unknown-key")
    await desk.json(*SET, "k", "x", "--if-version", "0")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((*SET, "k", "x" * 61_441), "too-long"),
        ((*SET, "k", "\n" * 30_721), "too-long"),
        ((*SET, "k" * 257, "x"), "too-long"),
        ((*SET, "a\nb", "x"), "bad-value"),
        ((*SET, " ", "x"), "bad-value"),
        ((*SET, "", "x"), "missing-field"),
        ((*SET, "k", "\udcff"), "bad-text"),
        ((*SET, "k", "x", "--if-version", "-1"), "bad-value"),
        ((*SET, "k", "x", "--if-version", "one"), "usage"),
        ((*SET, "k"), "usage"),
        (("memory", "set", "k", "x"), "missing-tool"),
        (("memory", "set", "--tool", "all", "k", "x"), "bad-tool"),
        (("memory", "get"), "usage"),
        (("memory", "get", "nothing"), "unknown-key"),
        (("memory", "sett", "k", "x"), "usage"),
    ],
)
async def test_bad_values_are_refused_and_make_no_room(
    desk: Desk, words: tuple[str, ...], code: str
) -> None:
    """T4: exit 2, and nothing came into being."""
    result = await desk(*words, "--json")
    assert (result.code, result.error["code"]) == (2, code)
    assert not (desk.cwd / ".rally").exists()


async def test_hostile_text_is_shown_harmless(desk: Desk) -> None:
    """O5: what an agent remembered moves nobody's cursor."""
    await desk.json(*SET, "k", "a\x1b[2Jb\u202e")
    assert (await desk("memory", "get", "k")).out == "a\\x1b[2Jb\\u202e\n"
    assert "\x1b" not in (await desk("memory", "list")).out

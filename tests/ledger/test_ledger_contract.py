"""What every ledger keeps, whatever it is made of: each test runs on both backends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledger_facts import chain, content, numbered, say

from rally.facilitation.ledger.memory import MemoryLedger, MemoryStore
from rally.facilitation.ledger.port import EMPTY_HEAD, FactQuery, Head, HeadMoved, Ledger
from rally.facilitation.ledger.sqlite import CHUNK_FACTS, SqliteLedger
from rally.model.errors import Failure


@pytest.fixture(params=["sqlite", "memory"])
async def handles(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[list[Ledger]]:
    """Two handles on one ledger, as two processes would have."""
    opened: list[Ledger]
    if request.param == "sqlite":
        opened = [await SqliteLedger.open(path, create=True) for _ in range(2)]
    else:
        store = MemoryStore()
        opened = [MemoryLedger(store), MemoryLedger(store)]
    yield opened
    for ledger in opened:
        await ledger.close()


@pytest.fixture
def ledger(handles: list[Ledger]) -> Ledger:
    return handles[0]


async def test_an_empty_ledger_has_the_empty_head_and_no_facts(ledger: Ledger) -> None:
    """Nothing is there before the first fact, whatever is asked."""
    assert await ledger.head() == EMPTY_HEAD
    assert await ledger.tail(0, 10) == []
    assert await ledger.select(FactQuery()) == []
    assert await ledger.count(FactQuery()) == 0


async def test_what_was_appended_comes_back_byte_for_byte(ledger: Ledger) -> None:
    """Every field, known or not, and the hashed text itself survive."""
    facts = chain(
        EMPTY_HEAD,
        [
            content("claim", paths=["src/ä", "docs/**"], ttl=5, data={"a": [1, {"b": None}]}),
            content("hologram", from_the_future={"x": "\u202e"}, key="k1", target="codex:1"),
        ],
    )
    await ledger.append(facts)
    read = await ledger.tail(0, 10)
    assert [(fact.doc, fact.body) for fact in read] == [(fact.doc, fact.body) for fact in facts]


async def test_the_head_is_the_newest_fact_of_any_handle(handles: list[Ledger]) -> None:
    """A handle sees what the other appended without being told."""
    one, two = handles
    for writer, reader in ((one, two), (two, one), (two, one)):
        newest = (await say(writer, content()))[-1]
        assert await reader.head() == await writer.head() == Head(newest.seq, newest.hash)


async def test_appending_nothing_does_nothing(ledger: Ledger) -> None:
    """An empty batch is no error."""
    await ledger.append([])
    assert await ledger.head() == EMPTY_HEAD


async def test_an_append_for_an_older_head_is_refused_and_writes_nothing(
    handles: list[Ledger],
) -> None:
    """Of two decisions on one head exactly one lands; the other learns that it must decide anew."""
    one, two = handles
    head = await one.head()
    first = chain(head, [content(), content()])
    await one.append(first)
    with pytest.raises(HeadMoved):
        await two.append(chain(head, [content(event_id="late"), content(), content()]))
    assert await two.tail(0, 10) == first
    assert await two.by_id(["late"]) == {}


async def test_an_append_beyond_the_head_is_refused(ledger: Ledger) -> None:
    """A gap can never arise."""
    with pytest.raises(HeadMoved):
        await ledger.append(chain(Head(3, "a" * 64), [content()]))
    assert await ledger.head() == EMPTY_HEAD


async def test_an_append_behind_another_history_is_refused(ledger: Ledger) -> None:
    """The right seq is not enough: the fact must follow the very fact that stands there."""
    (fact,) = await say(ledger, content())
    with pytest.raises(HeadMoved):
        await ledger.append(chain(Head(fact.seq, "b" * 64), [content()]))
    assert (await ledger.head()).seq == 1


@pytest.mark.parametrize("field", ["event_id", "key"])
async def test_a_batch_with_a_taken_name_writes_none_of_its_facts(
    ledger: Ledger, field: str
) -> None:
    """All or nothing: the good facts before the refused one do not stay behind."""
    before = await say(ledger, content(**{field: "taken"}))
    head = await ledger.head()
    batch = chain(head, [content(), content(), content(**{field: "taken"})])
    with pytest.raises(Failure) as failure:
        await ledger.append(batch)
    assert failure.value.code == "internal"
    assert await ledger.tail(0, 10) == before
    await say(ledger, content())
    assert (await ledger.head()).seq == 2


async def test_a_batch_that_is_not_chained_is_refused_whole(ledger: Ledger) -> None:
    """Facts of one batch must follow each other, too."""
    one, two, three = chain(EMPTY_HEAD, [content(), content(), content()])
    with pytest.raises(Failure):
        await ledger.append([one, three])
    with pytest.raises(Failure):
        await ledger.append([one, *chain(Head(1, "c" * 64), [content()])])
    await ledger.append([one, two, three])
    assert (await ledger.head()).seq == 3


async def test_racing_handles_number_their_facts_without_gap_or_double(
    handles: list[Ledger],
) -> None:
    """Sixty decisions at once through two handles make one chain of sixty facts."""
    said = await asyncio.gather(
        *(say(handles[n % 2], content(event_id=f"racer-{n}")) for n in range(60))
    )
    facts = await handles[0].tail(0, 100)
    assert numbered(facts) == list(range(1, 61))
    assert {fact.event_id for fact in facts} == {batch[0].event_id for batch in said}
    assert [fact.prev for fact in facts[1:]] == [fact.hash for fact in facts[:-1]]


async def test_the_tail_comes_in_chunks_in_order(ledger: Ledger) -> None:
    """A reader follows with a cursor and a limit, and sees each fact once."""
    await say(ledger, *(content() for _ in range(25)))
    seen: list[int] = []
    while chunk := await ledger.tail(seen[-1] if seen else 0, 10):
        assert len(chunk) <= 10
        seen += numbered(chunk)
    assert seen == list(range(1, 26))
    assert await ledger.tail(25, 10) == []
    assert await ledger.tail(99, 10) == []


async def test_facts_are_found_by_id_and_by_seq(ledger: Ledger) -> None:
    """Answers are keyed by what was asked; what does not exist is absent."""
    facts = await say(ledger, *(content(event_id=f"id-{n}") for n in range(1, 4)))
    asked = ["id-2", "3", "03", "id-9", "0", "4", "9" * 40, "", "x' OR 1"]
    assert await ledger.by_id(asked) == {"id-2": facts[1], "3": facts[2], "03": facts[2]}
    assert await ledger.by_id([]) == {}


async def test_facts_are_found_by_idempotency_key(ledger: Ledger) -> None:
    """The same key asked again answers the first fact; unknown keys are absent."""
    keyed, _ = await say(ledger, content(key="k-1"), content())
    assert await ledger.by_key(["k-1", "k-2"]) == {"k-1": keyed}
    assert await ledger.by_key([]) == {}


async def test_many_ids_can_be_asked_at_once(ledger: Ledger) -> None:
    """No limit of the database on a statement's parameters shows through."""
    facts = await say(ledger, *(content(event_id=f"id-{n}", key=f"k-{n}") for n in range(2_000)))
    ids = [fact.event_id for fact in facts]
    assert len(await ledger.by_id(ids)) == 2_000
    assert len(await ledger.by_key([f"k-{n}" for n in range(2_000)])) == 2_000
    assert await ledger.retracted(ids) == set()


async def test_what_refers_to_a_fact_is_found_in_order(ledger: Ledger) -> None:
    """Answers, retractions and closings of a fact, also as they stood before a later moment."""
    await say(
        ledger,
        content("handoff", event_id="h"),
        content("receipt", ref="h", state="acked"),
        content("receipt", ref="other", state="acked"),
        content("receipt", ref="h", state="done"),
    )
    assert numbered(await ledger.about("h")) == [2, 4]
    assert numbered(await ledger.about("h", before_seq=4)) == [2]
    assert await ledger.about("nobody") == []


async def test_a_step_has_landed_by_its_artifacts_that_nothing_retracted(ledger: Ledger) -> None:
    """Only artifacts land, only of that run and step, and a retraction takes one back."""
    step = {"run": "r", "step": "s"}
    await say(
        ledger,
        content("artifact", event_id="a1", **step),
        content("artifact", event_id="a2", **step),
        content("claim", event_id="c", **step),
        content("artifact", event_id="other-run", run="q", step="s"),
        content("artifact", event_id="no-step", run="r"),
        content("retract", ref="a1", reason="wrong"),
        content("note", ref="a2"),
        content("artifact", event_id="a3", **step),
    )
    assert await ledger.landings([("r", "s"), ("q", "s"), ("r", "t")]) == {
        ("r", "s"): ["a2", "a3"],
        ("q", "s"): ["other-run"],
        ("r", "t"): [],
    }
    assert await ledger.landings([]) == {}


async def test_landings_are_answered_as_of_an_earlier_moment(ledger: Ledger) -> None:
    """Replaying history must not see the future: neither its artifacts nor its retractions."""
    await say(
        ledger,
        content("artifact", event_id="a1", run="r", step="s"),
        content("retract", ref="a1", reason="wrong"),
        content("artifact", event_id="a2", run="r", step="s"),
    )
    seen = [(await ledger.landings([("r", "s")], before_seq=n))["r", "s"] for n in range(1, 5)]
    assert seen == [[], ["a1"], [], ["a2"]]


async def test_retracted_ids_are_told_from_the_rest(ledger: Ledger) -> None:
    """Only a retract fact retracts; another fact that refers to the same id does not."""
    await say(
        ledger,
        content(event_id="a"),
        content(event_id="b"),
        content("retract", ref="a", reason="x"),
        content("retract", ref="a", reason="y"),
        content("resolve", ref="b"),
    )
    assert await ledger.retracted(["a", "b", "zzz"]) == {"a"}
    assert await ledger.retracted([]) == set()


async def test_untrusted_facts_land_nothing_and_retract_nothing(ledger: Ledger) -> None:
    """T3, both backends: they are kept and shown, and change no answer about others. What a fact says
    *of* trust, in a text or among its data, is not its trust."""
    step = {"kind": "artifact", "run": "r", "step": "s"}
    await say(
        ledger,
        content(**step, event_id="own", summary='"trust":"untrusted"', data={"trust": "untrusted"}),
        content(**step, event_id="foreign", trust="untrusted"),
        content("retract", ref="own", trust="untrusted"),
        content("retract", ref="foreign", trust="untrusted"),
    )
    assert await ledger.landings([("r", "s")]) == {("r", "s"): ["own"]}
    assert await ledger.landings([("r", "s")], before_seq=4) == {("r", "s"): ["own"]}
    assert await ledger.retracted(["own", "foreign"]) == set()
    shown = FactQuery(kinds=frozenset({"artifact"}), hide_retracted=True)
    assert [fact.event_id for fact in await ledger.select(shown)] == ["own", "foreign"]
    assert await ledger.count(shown) == 2
    await say(ledger, content("retract", ref="own"))
    assert await ledger.landings([("r", "s")]) == {("r", "s"): []}
    assert await ledger.retracted(["own", "foreign"]) == {"own"}


async def test_a_runs_facts_come_whole_and_in_order(ledger: Ledger) -> None:
    """More than one chunk, nothing of another run, retracted facts included."""
    number = CHUNK_FACTS * 2 + 3
    await say(
        ledger,
        *(content(run="r", event_id=f"r-{n}") for n in range(number)),
        content(run="q"),
        content("retract", ref="r-0", reason="x", run="r"),
        content(),
    )
    assert numbered(await ledger.run_facts("r")) == [*range(1, number + 1), number + 2]
    assert await ledger.run_facts("unknown") == []


HISTORY: list[dict[str, Any]] = [
    content("claim", "claude:1", run="r", step="s1"),  # 1
    content("note", "codex:1", event_id="gone"),  # 2
    content("handoff", "claude:1", target="codex:1", run="r", step="s2"),  # 3
    content("note", "claude:1", run="r", step="s1"),  # 4
    content("artifact", "codex:1", run="q", step="s1"),  # 5
    content("retract", "codex:1", ref="gone", reason="wrong"),  # 6
    content("hologram", "gemini", target="all"),  # 7
]
QUESTIONS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 3, 4, 5, 6, 7]),
    ({"kinds": frozenset({"note"})}, [2, 4]),
    ({"kinds": frozenset({"note", "claim", "artifact"})}, [1, 2, 4, 5]),
    ({"kinds": frozenset({"note", "claim"}), "exclude_kinds": frozenset({"note"})}, [1]),
    ({"kinds": frozenset({"note"}), "exclude_kinds": frozenset({"note"})}, []),
    ({"kinds": frozenset({"unheard-of"})}, []),
    ({"exclude_kinds": frozenset({"note", "retract", "hologram"})}, [1, 3, 5]),
    ({"tool": "claude:1"}, [1, 3, 4]),
    ({"tool": "claude:1", "kinds": frozenset({"note", "handoff"})}, [3, 4]),
    ({"not_tool": "claude:1"}, [2, 5, 6, 7]),
    ({"run": "r"}, [1, 3, 4]),
    ({"run": "r", "kinds": frozenset({"note", "claim"})}, [1, 4]),
    ({"run": "r", "step": "s1"}, [1, 4]),
    ({"step": "s1"}, [1, 4, 5]),
    ({"target": "codex:1"}, [3]),
    ({"target": "all"}, [7]),
    ({"since_seq": 5}, [6, 7]),
    ({"until_seq": 2}, [1, 2]),
    ({"since_seq": 2, "until_seq": 4}, [3, 4]),
    ({"since_seq": 4, "until_seq": 2}, []),
    ({"hide_retracted": True}, [1, 3, 4, 5, 6, 7]),
    ({"hide_retracted": True, "kinds": frozenset({"note", "retract"})}, [4, 6]),
    ({"where": lambda fact: fact.seq % 2 == 0}, [2, 4, 6]),
]


@pytest.mark.parametrize(("conditions", "expected"), QUESTIONS)
async def test_every_condition_selects_counts_and_orders(
    ledger: Ledger, conditions: dict[str, Any], expected: list[int]
) -> None:
    """Selecting and counting agree, both directions give the same facts, a limit takes the first."""
    await say(ledger, *HISTORY)
    forward, backward = FactQuery(**conditions), FactQuery(**conditions, newest_first=True)
    assert numbered(await ledger.select(forward)) == expected
    assert numbered(await ledger.select(backward)) == expected[::-1]
    assert await ledger.count(forward) == len(expected)
    first, last = replace(forward, limit=1), replace(backward, limit=1)
    assert numbered(await ledger.select(first)) == expected[:1]
    assert numbered(await ledger.select(last)) == expected[::-1][:1]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("kinds", [frozenset[str](), frozenset({"note", "risk", "lesson"})])
async def test_answers_longer_than_a_chunk_lose_and_repeat_nothing(
    ledger: Ledger, newest_first: bool, kinds: frozenset[str]
) -> None:
    """The seams between chunks do not show."""
    number = CHUNK_FACTS * 3 + 7
    await say(ledger, *(content("note" if n % 2 else "risk") for n in range(number)))
    expected = list(range(1, number + 1))
    if newest_first:
        expected.reverse()
    query = {"kinds": kinds, "newest_first": newest_first}
    assert numbered(await ledger.select(FactQuery(**query))) == expected
    for limit in (CHUNK_FACTS - 1, CHUNK_FACTS, CHUNK_FACTS + 1, number, number + 1):
        found = await ledger.select(FactQuery(**query, limit=limit))
        assert numbered(found) == expected[:limit]


async def test_a_limit_counts_matches_of_the_python_condition(ledger: Ledger) -> None:
    """The condition is asked no more once enough have matched, and not only within a first chunk."""
    await say(ledger, *(content() for _ in range(CHUNK_FACTS * 2)))
    asked: list[int] = []

    def is_late(fact: Any) -> bool:
        asked.append(fact.seq)
        return bool(fact.seq > CHUNK_FACTS + 10)

    found = await ledger.select(FactQuery(where=is_late, limit=2))
    assert numbered(found) == [CHUNK_FACTS + 11, CHUNK_FACTS + 12]
    assert asked == list(range(1, CHUNK_FACTS + 13))


async def test_a_limit_of_none_is_all_and_of_zero_nothing(ledger: Ledger) -> None:
    """Counting looks past the limit either way."""
    await say(ledger, content(), content())
    assert len(await ledger.select(FactQuery(limit=None))) == 2
    assert await ledger.select(FactQuery(limit=0)) == []
    assert await ledger.count(FactQuery(limit=0)) == 2
    assert await ledger.count(FactQuery(limit=1, where=lambda _fact: True)) == 2


async def test_closing_twice_is_harmless(ledger: Ledger) -> None:
    """Whoever tidies up need not know whether somebody did before."""
    await ledger.close()
    await ledger.close()

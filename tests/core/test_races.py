"""Many processes on one ledger, with the daemon and without, that race, die and wait."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import pytest
from naive import History, Life, collide
from processes import PATIENCE_S, Child, Doc, Reader, World, answer_of, listen, nursery

from rally.client.direct import Direct
from rally.facilitation.ledger.verify import verify

pytestmark = pytest.mark.slow

RACERS = 64
ROUNDS = 30
KILLS = 200
# Acknowledgements, counted over all processes, between one kill and the next.
ACKS_BETWEEN_MAX = 40


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with nursery() as door:
        one = World(tmp_path, door)
        try:
            yield one
        finally:
            one.close()


@pytest.fixture
def rng() -> Random:
    """What decides who and when; its seed is shown where a test fails."""
    seed = Random().randrange(10**9)
    print(f"seed {seed}")
    return Random(seed)


# -- racing ------------------------------------------------------------------------------------------


def test_of_all_racers_exactly_one_holds_a_path_at_any_moment(world: World, rng: Random) -> None:
    """64 processes claim overlapping paths, half through the daemon, half directly: whoever was told
    `granted` is in the ledger and alone there, whoever was refused is not and was told why.
    """
    world.ask("init")
    world.start_daemon()
    racers = [
        world.spawn(
            "race", f"racer:{n}", how="direct" if n % 2 else "daemon", rounds=ROUNDS,
            seed=rng.randrange(10**9),
        )
        for n in range(RACERS)
    ]  # fmt: skip
    for racer in racers:
        assert racer.read() == [{"ready": racer.tool}]
    for racer in racers:
        racer.say()
    for _ in listen(racers):
        pass

    reader = Reader(world.root)
    reader.read()
    told = {racer.tool: racer.lines[1:] for racer in racers}
    assert [len(lines) for lines in told.values()] == [ROUNDS] * RACERS
    assert_one_holder_at_any_seq(reader.facts)
    assert_told_the_truth(told, reader)
    outcomes = Counter(line["granted"] for lines in told.values() for line in lines)
    assert min(outcomes[True], outcomes[False]) > RACERS / 2, f"no race: {outcomes}"


def assert_one_holder_at_any_seq(facts: list[Doc]) -> None:
    """Replays the ledger; leases are longer than the race, so only releases end claims."""
    held: dict[str, Doc] = {}
    for fact in facts:
        if fact["kind"] == "claim":
            others = [one for one in held.values() if one["tool"] != fact["tool"]]
            in_the_way = [one["event_id"] for one in others if collide(one, fact)]
            assert not in_the_way, f"{fact['event_id']} was granted over {in_the_way}"
            held[fact["event_id"]] = fact
        elif fact["kind"] == "release":
            assert held.pop(fact["ref"])["tool"] == fact["tool"]
    assert not held


def assert_told_the_truth(told: dict[str, list[Doc]], reader: Reader) -> None:
    """What every racer was told is what the ledger says."""
    lives = {life.id: life for life in History(reader.facts).lives()}
    for tool, lines in told.items():
        granted = [line for line in lines if line["granted"]]
        written = [fact for fact in reader.facts if (fact["kind"], fact["tool"]) == ("claim", tool)]
        assert [line["fact"]["event_id"] for line in granted] == [f["event_id"] for f in written]
        for line, fact in zip(granted, written, strict=True):
            assert line["fence"] == fact["seq"] == fact["fence"]
            stops = [one["code"] for one in line["findings"] if one["severity"] == "stop"]
            assert stops == [], f"{tool} held {fact['paths']} and was stopped: {stops}"
        for line in lines:
            if not line["granted"]:
                assert line["code"] == "claim-conflict"
                assert line["conflicts"]
                for conflict in line["conflicts"]:
                    assert_is_a_conflict(conflict, tool, line, lives)


def assert_is_a_conflict(conflict: Doc, tool: str, line: Doc, lives: dict[str, Life]) -> None:
    """A refusal names a claim that was really there, and in the way."""
    holder = lives[conflict["claim_id"]].claim
    assert holder["tool"] == conflict["owner"] != tool
    assert conflict["held"] in holder["paths"]
    assert conflict["path"] in line["wanted"]
    assert collide({"paths": [conflict["path"]]}, {"paths": [conflict["held"]]})


# -- dying ---------------------------------------------------------------------------------------------


class Load:
    """Writers under way, and the acknowledgements that they heard."""

    def __init__(self, world: World, rng: Random) -> None:
        self.world, self.rng = world, rng
        self.reader = Reader(world.root)
        self.acks: dict[str, str] = {}
        self.born = 0
        self.daemon = world.start_daemon()
        self.writers = [self.writer("daemon") for _ in range(3)]
        self.writers += [self.writer("direct") for _ in range(2)]

    def writer(self, how: str) -> Child:
        self.born += 1
        return self.world.spawn(
            "write", f"{how}:{self.born}", how=how, seed=self.rng.randrange(10**9)
        )

    def hear(self, number: int) -> None:
        """Wait for so many acknowledgements."""
        heard = 0
        for writer, lines in listen(self.writers):
            assert not writer.is_over, f"{writer.tool} has ended by itself"
            heard += len(lines)
            if heard >= number:
                return

    def kill_somebody(self) -> None:
        """End one process, the daemon among them, and put another one in its place."""
        victim = self.rng.choice([self.daemon, *self.writers])
        self.world.kill(victim)
        if victim is self.daemon:
            self.daemon = self.world.start_daemon()
            for writer in self.writers:
                if writer.tool.startswith("daemon:"):
                    writer.say()
        else:
            at = self.writers.index(victim)
            self.writers[at] = self.writer(victim.tool.partition(":")[0])
            self.note(victim)

    def note(self, writer: Child) -> None:
        """Take in what a writer was told."""
        for line in writer.lines:
            assert self.acks.setdefault(line["key"], line["id"]) == line["id"]
        writer.lines.clear()

    def check(self) -> None:
        """Everything that was acknowledged is in the ledger, and the chain is whole."""
        for writer in self.writers:
            self.note(writer)
        self.reader.read()
        for key, event_id in self.acks.items():
            found = self.reader.by_key.get(key)
            assert found is not None, f"{key} was acknowledged and is lost"
            assert found["event_id"] == event_id
        self.acks.clear()


def test_whoever_is_killed_whenever_nothing_acknowledged_is_lost(world: World, rng: Random) -> None:
    """kill -9 of daemons and writers in the middle of their work, 200 times: all that was acknowledged
    is there, once, every fact is whole with those decided together, and the chain is unbroken.
    """
    world.ask("init")
    load = Load(world, rng)
    for _ in range(KILLS):
        load.hear(rng.randint(1, ACKS_BETWEEN_MAX))
        load.kill_somebody()
        load.check()
    for writer in load.writers:
        world.kill(writer)
    load.check()

    facts = load.reader.facts
    assert len({fact["event_id"] for fact in facts}) == len(facts)
    for fact, following in zip(facts, [*facts[1:], {}], strict=True):
        if fact["kind"] == "artifact":  # `--release`: both or neither
            assert (following.get("kind"), following.get("step")) == ("release", fact["step"])
    keys = Counter(fact["key"] for fact in facts if "key" in fact)
    assert set(keys.values()) == {1}


async def test_a_ledger_that_saw_many_deaths_verifies(world: World, rng: Random) -> None:
    """`verify` finds nothing wrong after kills, and the next command goes on from there."""
    world.ask("init")
    load = Load(world, rng)
    for _ in range(KILLS // 10):
        load.hear(rng.randint(1, ACKS_BETWEEN_MAX))
        load.kill_somebody()
    for child in (load.daemon, *load.writers):
        world.kill(child)
    found = await verify(world.root / ".rally" / "ledger.db")
    assert found.ok, found
    said = world.ask("say", "note", "--tool", "a", "--subject", "on", RALLY_DAEMON="off")
    load.check()
    assert said["fact"]["seq"] == len(load.reader.facts)


# -- waiting -------------------------------------------------------------------------------------------


def waiting(world: World) -> list[str]:
    """The tools in the queue, in its order."""
    return [entry["tool"] for entry in world.ask("room")["waiting"]]


def until(true: Callable[[], Any]) -> None:
    """Ask again and again; each question is a command, so this is no busy loop."""
    deadline = monotonic() + PATIENCE_S
    while not true():
        assert monotonic() < deadline, "it never came about"


def claim(world: World, tool: str, path: str, *more: str, **env: str) -> subprocess.Popen[bytes]:
    """`rally say claim` as a process."""
    return world.rally("say", "claim", "--tool", tool, "--path", path, *more, **env)


def release(world: World, tool: str, path: str) -> Doc:
    """End a claim, so that the next one in the queue gets it."""
    return world.ask("say", "release", "--tool", tool, "--path", path)


def test_twelve_waiting_claims_are_granted_in_the_order_of_arrival(world: World) -> None:
    """Each one gets the path when the one before it lets go, and nobody overtakes (contract C8)."""
    world.start_daemon()
    assert answer_of(claim(world, "holder", "src"))["fence"] == 1
    names = [f"waiter:{n}" for n in range(12)]
    queue = {}
    for n, name in enumerate(names):
        path = ["src", "src/a.py", "src/*.py"][n % 3]
        queue[name] = claim(world, name, path, "--wait", "60s")
        until(lambda n=n: len(waiting(world)) == n + 1)
    assert waiting(world) == names

    before = "holder"
    for name in names:
        release(world, before, "src")
        if name == names[0]:  # a claim of the same path that comes late does not jump the queue
            assert answer_of(claim(world, "late", "src"))["code"] == "claim-conflict"
        answer_of(queue[name])
        before = name
    reader = Reader(world.root)
    reader.read()
    granted = [fact["tool"] for fact in reader.facts if fact["kind"] == "claim"]
    assert granted == ["holder", *names]
    assert waiting(world) == []


def test_a_wait_that_would_close_a_circle_is_refused_at_once(world: World) -> None:
    """`deadlock`, with the circle, though the wait asked for was long; the other wait goes on."""
    world.start_daemon()
    for tool, path in (("a", "x"), ("b", "y"), ("c", "z")):
        answer_of(claim(world, tool, path))
    first = claim(world, "a", "y", "--wait", "60s")
    until(lambda: waiting(world) == ["a"])
    second = claim(world, "b", "z", "--wait", "60s")
    until(lambda: waiting(world) == ["a", "b"])

    refused = answer_of(claim(world, "c", "x", "--wait", "60s"))
    assert refused["code"] == "deadlock"
    assert refused["exit_code"] == 3
    assert set(refused["details"]["cycle"]) == {"a", "b", "c"}
    assert waiting(world) == ["a", "b"]

    release(world, "c", "z")
    answer_of(second)
    release(world, "b", "y")
    answer_of(first)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_waiter_that_goes_away_leaves_the_queue(world: World, ending: signal.Signals) -> None:
    """Ctrl-C or a kill gives the place up; the next one is granted and nothing is held for the dead."""
    world.start_daemon()
    answer_of(claim(world, "holder", "src"))
    gone = claim(world, "gone", "src", "--wait", "60s")
    until(lambda: waiting(world) == ["gone"])
    stays = claim(world, "stays", "src", "--wait", "60s")
    until(lambda: waiting(world) == ["gone", "stays"])

    gone.send_signal(ending)
    gone.communicate(timeout=PATIENCE_S)
    assert gone.returncode == (130 if ending == signal.SIGINT else -ending)
    until(lambda: waiting(world) == ["stays"])
    release(world, "holder", "src")
    answer_of(stays)
    owners = [one["tool"] for one in world.ask("room")["active_claims"]]
    assert owners == ["stays"]


def test_a_waiter_gets_the_path_when_the_lease_is_over(world: World) -> None:
    """Nobody has to say anything: the queue wakes up by itself when the lease ends."""
    world.start_daemon()
    answer_of(claim(world, "holder", "src", "--ttl", "1s"))
    waiter = claim(world, "waiter", "src", "--wait", "60s")
    assert answer_of(waiter)["fact"]["tool"] == "waiter"


def test_a_waiter_at_the_daemon_notices_a_release_without_it(world: World) -> None:
    """Somebody who writes directly tells the daemon nothing; it looks at the file."""
    world.start_daemon()
    answer_of(claim(world, "holder", "src"))
    waiter = claim(world, "waiter", "src", "--wait", "60s")
    until(lambda: waiting(world) == ["waiter"])
    world.ask("say", "release", "--tool", "holder", "--path", "src", RALLY_DAEMON="off")
    assert answer_of(waiter)["fact"]["tool"] == "waiter"


async def test_a_wait_without_a_daemon_is_granted_when_somebody_lets_go(world: World) -> None:
    """In direct mode, too, waiting ends with the release and not with the wait (contract C8)."""
    waits = Direct(env=world.env, cwd=str(world.root))
    holds = Direct(env=world.env, cwd=str(world.root))
    for _ in range(20):
        await holds.call("say", kind="claim", tool="holder", paths=["src"])
        wish = waits.call("say", kind="claim", tool="waiter", paths=["src"], wait="60s")
        waiter = asyncio.ensure_future(wish)
        while not (await waits.call("room"))["waiting"]:
            assert not waiter.done()
        await holds.call("say", kind="release", tool="holder", paths=["src"])
        await asyncio.wait_for(waiter, PATIENCE_S)
        await waits.call("say", kind="release", tool="waiter", paths=["src"])
    await waits.close()
    await holds.close()


def test_a_wait_that_is_over_says_who_holds_it(world: World) -> None:
    """Exit 3 with the conflict, as if there had been no wait."""
    world.start_daemon()
    answer_of(claim(world, "holder", "src"))
    refused = answer_of(claim(world, "waiter", "src/a.py", "--wait", "1s"))
    assert refused["exit_code"] == 3
    assert refused["details"]["conflicts"][0]["owner"] == "holder"
    assert waiting(world) == []

"""rally loop: a task lands only when the evidence says so."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from loop_bench import TOOL, Bench, checks, good, message, why

from rally.execution.loop import holding, programs
from rally.model.errors import Failure, RallyError, Refused, UsageError


async def test_a_task_that_passes_is_landed_with_its_evidence(bench: Bench) -> None:
    """The validation's command, exit code, duration and output, and every check's outcome."""
    await bench.add(validation="grep hello src/a.txt")
    done = await bench.loop(good())
    assert (done["verdict"], done["task"]) == ("passed", "a")
    assert checks(done["attempts"][0]) == {
        "validation": "pass", "output": "pass", "boundary": "pass", "intent": "unknown",
        "claims": "pass",
    }  # fmt: skip
    (artifact,) = await bench.facts("artifact")
    assert artifact["event_id"] == done["artifact"]
    assert (artifact["tool"], artifact["run"], artifact["step"]) == (TOOL, "r", "a")
    first, printed, outcomes = artifact["evidence"]
    assert first.startswith("`grep hello src/a.txt` ended with 0 after ")
    assert printed == "hello"
    assert outcomes.splitlines()[3] == "intent: unknown: no judge was named"
    assert await bench.claims() == []
    assert await bench.status() == "landed"
    assert not (bench.root / ".rally" / "loops").exists()


async def test_the_agent_gets_its_packet_and_its_place(bench: Bench) -> None:
    """On standard input; who it is in the environment; nothing of the agent that may have called us."""
    await bench.add("base")
    await bench.loop(good("base"))
    await bench.add(depends_on=["base"])
    marks = {"CLAUDECODE": "1", "GIT_DIR": "/nowhere", "RALLY_STANDBY_ID": "x",
             "RALLY_SESSION_ID": "the caller's"}  # fmt: skip
    script = f'env > "$ASIDE/env"; pwd > "$ASIDE/pwd"; {good()}'
    done = await bench.loop(script, env=marks)
    assert done["verdict"] == "passed"
    (_, claim) = await bench.facts("claim")
    text = bench.left("prompt")
    assert f"fence {claim['seq']}" in text
    assert f"--session-id {claim['session_id']}" in text
    assert "task done" not in text
    assert "say artifact" not in text
    assert "Of step base it was said that it produced:\n\n> say hello in base" in text
    env = dict(line.partition("=")[::2] for line in bench.left("env").splitlines())
    assert {name: env[name] for name in env if name.startswith("RALLY_")} == {
        "RALLY_TOOL": TOOL, "RALLY_SESSION_ID": claim["session_id"], "RALLY_RUN": "r",
        "RALLY_STEP": "a", "RALLY_FENCE": str(claim["seq"]), "RALLY_ROOM": str(bench.root),
        "RALLY_DAEMON": "off", "RALLY_RUNTIME_DIR": bench.env["RALLY_RUNTIME_DIR"],
    }  # fmt: skip
    assert not {"CLAUDECODE", "GIT_DIR"} & set(env)
    assert bench.left("pwd").strip() == str(bench.root)


async def test_the_agent_is_told_what_the_run_is_for_as_task_take_tells_it(bench: Bench) -> None:
    """One question, one answer: a goal that was withdrawn is quoted by neither."""
    tasks = [{"id": one, "intent": "x", "owns": [f"src/{one}.txt"], "validation": "true"}
             for one in "abcd"]  # fmt: skip
    started = await bench.ask(
        "task", action="start", run="r", tool="lead", workstream="shop", description="with tax",
        digest="1", tasks=tasks,
    )  # fmt: skip
    for is_told in (True, False):
        packet = (await bench.ask("task", action="take", run="r", tool="bob"))["packet"]
        await bench.loop(good())
        assert ["> shop: with tax" in text for text in (packet, bench.left("prompt"))] == [
            is_told
        ] * 2
        if is_told:
            await bench.say("retract", "lead", ref=started["fact"]["event_id"], reason="no")


async def test_proof_that_is_too_long_for_a_fact_is_cut_and_the_task_lands(bench: Bench) -> None:
    """Bytes that are no text take six times the room, and dependencies take theirs."""
    before = [f"{'d' * 60}{number}" for number in range(400)]
    for step in before:
        await bench.say("artifact", run="r", step=step, subject="s")
    binary = "head -c 9000 /dev/zero | tr '\\0' '\\1'"
    await bench.add(depends_on=before, validation=f"{binary} # {'x' * 300}")
    done = await bench.loop(good())
    assert (done["verdict"], await bench.claims()) == ("passed", [])
    artifact = (await bench.facts("artifact"))[-1]
    (proof,) = artifact["evidence"]
    assert proof.startswith(f"`{binary} # xxx")
    assert "… ended with 0 after " in proof.replace("`", "")


async def test_the_plan_is_said_before_the_work_begins(bench: Bench) -> None:
    """At most three steps, in one note of the step."""
    await bench.add("base")
    await bench.loop(good("base"))
    await bench.add(depends_on=["base"])
    done = await bench.loop(good())
    assert done["plan"] == [
        "Read what comes first: base.",
        "Change src/a.txt, and nothing else, until the intent is met.",
        "Run the validation until it ends with 0; it is run again after you.",
    ]
    _, note = await bench.facts("note")
    assert (note["run"], note["step"], note["summary"].splitlines()) == ("r", "a", done["plan"])
    assert all(step in bench.left("prompt") for step in done["plan"])


async def test_what_was_wrong_goes_back_to_the_agent_once(bench: Bench) -> None:
    """The second attempt reads the findings, and lands what the first one did not."""
    await bench.add()
    again = f'echo run >> "$ASIDE/runs"; if grep -q "What was found" ; then {good()}; else '
    done = await bench.loop(f"{again} {message('a', 'src/a.txt')}; fi")
    assert (done["verdict"], len(done["attempts"])) == ("passed", 2)
    assert bench.left("runs") == "run\nrun\n"
    assert checks(done["attempts"][0])["validation"] == "fail"


async def test_the_findings_are_in_the_second_prompt(bench: Bench) -> None:
    """Each on a line of its own, quoted, so that none can pass for an instruction."""
    await bench.add(validation="echo '## Intent'; exit 3")
    done = await bench.loop(f'cat > "$ASIDE/prompt"; {message()}')
    text = bench.left("prompt")
    assert "> - validation: `echo '## Intent'; exit 3` ended with 3 after " in text
    assert "> - validation: ## Intent" in text
    assert "> - output: the output names src/a.txt, which is not there" in text
    assert len(done["attempts"]) == 2


async def test_what_stays_wrong_becomes_a_blocker_and_the_task_is_given_back(bench: Bench) -> None:
    """High, on the task's paths and step; nobody holds the task, and nobody is given it again."""
    await bench.add()
    done = await bench.loop(message())
    assert (done["verdict"], done["artifact"], len(done["attempts"])) == ("findings", None, 2)
    (blocker,) = await bench.facts("blocker")
    assert blocker["event_id"] == done["blocker"]
    assert (blocker["severity"], blocker["paths"], blocker["run"], blocker["step"]) == (
        "high", ["src/a.txt"], "r", "a",
    )  # fmt: skip
    assert "the report says `passed`, and the validation ended with 2" in blocker["summary"]
    assert await bench.facts("artifact") == []
    assert await bench.claims() == []
    assert await bench.status() == "stalled"
    with pytest.raises(Refused) as refused:
        await bench.loop(good())
    assert refused.value.code == "nothing-ready"
    await bench.say("resolve", ref=blocker["event_id"])
    assert (await bench.loop(good()))["verdict"] == "passed"


NOTHING_WRONG = "mkdir -p src; echo hello > src/a.txt;"


@pytest.mark.parametrize(
    ("script", "check", "told"),
    [
        (message("a"), "validation", "ended with 2"),
        (message("a"), "output", "the output names src/a.txt, which is not there"),
        (f"{NOTHING_WRONG} echo x > README; {message('a', 'src/a.txt', 'README')}", "boundary",
         "README is not within what the task owns"),
        (f"{NOTHING_WRONG} rm README; {message('a', 'src/a.txt')}", "boundary", "README is not"),
        (f"{NOTHING_WRONG} {message('a', 'src/a.txt', 'build/x')}", "boundary",
         "the report says that build/x was changed, which the task does not own"),
        (f"{NOTHING_WRONG} {message('a', 'src/a.txt', '../x')}", "boundary", "../x was changed"),
        (f"{NOTHING_WRONG} echo done", "claims", "its last message holds no JSON object"),
        (f"{NOTHING_WRONG} echo '{{}}'", "claims", "has no 'task'"),
        (f"{NOTHING_WRONG} {message('a', 'src/a.txt')}; echo '{{\"x\": 1}}'", "claims", "no 'task'"),
        (f"{NOTHING_WRONG} {message('b', 'src/a.txt')}", "claims", "the report is about task b"),
        (f"{NOTHING_WRONG} {message('a')}", "claims",
         "src/a.txt was changed, and the report does not say so"),
        (f"{NOTHING_WRONG} {message('a', 'src/a.txt', result='failed: no')}", "claims",
         "the report says `failed: no`, and the validation ended with 0"),
        (message("a"), "claims", "the report says `passed`, and the validation ended with 2"),
    ],
)  # fmt: skip
async def test_each_check_fails_on_what_it_is_for(
    bench: Bench, script: str, check: str, told: str
) -> None:
    """A guard that cannot fire guards nothing."""
    await bench.add()
    done = await bench.loop(script)
    assert done["verdict"] == "findings"
    assert checks(done["attempts"][0])[check] == "fail"
    assert told in why(done["attempts"][0], check)
    assert await bench.facts("artifact") == []


async def test_a_task_that_is_read_only_changes_nothing(bench: Bench) -> None:
    """It passes without a change, and not with one."""
    await bench.add(owns=None, read_only=True, validation="true", output="a note")
    done = await bench.loop(f"echo > x; {message('a', 'x')}")
    assert done["verdict"] == "findings"
    assert "x is not within" in why(done["attempts"][0], "boundary")
    (bench.root / "x").unlink()
    await bench.add("b", owns=None, read_only=True, validation="true", output="a note")
    done = await bench.loop(f'cat > "$ASIDE/prompt"; {message("b")}')
    assert done["verdict"] == "passed"
    assert checks(done["attempts"][0])["output"] == "unknown"
    assert "Look, and write nothing" in bench.left("prompt")


async def test_without_anything_that_could_tell_the_task_is_not_begun(bench: Bench) -> None:
    """No validation and no judge: everything would pass."""
    await bench.add(validation=None)
    with pytest.raises(UsageError) as error:
        await bench.loop('touch "$ASIDE/ran"')
    assert error.value.code == "no-proof"
    assert not (bench.aside / "ran").exists()
    assert await bench.claims() == []


# -- the judge


async def test_a_judge_reads_the_evidence_and_decides(bench: Bench) -> None:
    """JSON on standard input: task, difference, report, validation; 0 is yes."""
    await bench.add(validation=None)
    judge = 'cat > "$ASIDE/asked"; echo it says hello'
    done = await bench.loop(good(), judge=judge)
    assert done["verdict"] == "passed"
    assert "it says hello" in why(done["attempts"][0], "intent")
    asked: dict[str, Any] = json.loads(bench.left("asked"))
    assert asked["task"]["intent"] == "say hello in a"
    assert asked["changed_files"] == ["src/a.txt"]
    assert "+hello" in asked["diff"]
    assert asked["report"]["validation_result"] == "passed"
    assert (asked["validation"], asked["attempt"], asked["run"]) == (None, 1, "r")


async def test_a_judge_that_says_no_gives_reasons_for_the_second_attempt(bench: Bench) -> None:
    """Exit code 1, and why on standard output."""
    await bench.add()
    done = await bench.loop(good(), judge="echo it is too short; exit 1")
    assert (done["verdict"], len(done["attempts"])) == ("findings", 2)
    assert "> - intent: it is too short" in bench.left("prompt")


async def test_what_the_judge_writes_is_not_held_against_the_agent(bench: Bench) -> None:
    """It keeps a log; and what it says begins with the first line that says anything."""
    await bench.add()
    judge = "echo asked >> judge.log; echo; echo no; test $(wc -l < judge.log) -gt 1"
    done = await bench.loop(good(), judge=judge)
    assert [why(one, "intent").splitlines()[-1] for one in done["attempts"]] == ["no", "no"]
    assert (done["verdict"], done["attempts"][1]["changed_files"]) == ("passed", ["src/a.txt"])


@pytest.mark.parametrize("judge", ["exit 2", "kill -9 $$", "/nowhere/judge", "exec sleep 100"])
async def test_a_judge_without_a_verdict_is_no_yes(bench: Bench, judge: str) -> None:
    """Nothing lands, and the agent, which cannot help it, is not asked again."""
    await bench.add()
    done = await bench.loop(good(), judge=judge, timeout_ms=1_000)
    assert (done["verdict"], len(done["attempts"])) == ("undecided", 1)
    assert checks(done["attempts"][0])["intent"] == "unknown"
    assert len(await bench.facts("blocker")) == 1
    assert await bench.facts("artifact") == []


async def test_a_judge_is_not_asked_about_what_is_wrong_anyway(bench: Bench) -> None:
    """It costs money."""
    await bench.add()
    await bench.loop(message(), judge='touch "$ASIDE/asked"')
    assert not (bench.aside / "asked").exists()


# -- agents that fail


async def test_an_agent_that_takes_too_long_is_ended_with_its_children(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TERM, a grace, KILL; no second attempt; a blocker says why."""
    monkeypatch.setattr(programs, "GRACE_S", 0.1)
    await bench.add()
    hold = 'mkfifo "$ASIDE/held"; exec 3<>"$ASIDE/held"; touch "$ASIDE/begun"'
    done = await bench.loop(
        f"{hold}; trap '' TERM; sleep 300 & while :; do sleep 300; done", timeout_ms=1_000
    )
    assert (bench.aside / "begun").exists()
    # Whoever still held the pipe open would keep this from failing.
    with pytest.raises(OSError, match="No such device or address"):
        os.open(bench.aside / "held", os.O_WRONLY | os.O_NONBLOCK)
    (attempt,) = done["attempts"]
    assert (done["verdict"], attempt["agent"]["failure"]) == ("failed", "timeout")
    assert len(await bench.facts("blocker")) == 1
    assert await bench.claims() == []


async def test_an_agent_that_crashes_is_not_asked_again(bench: Bench) -> None:
    """Its last words are in the blocker; what it wrote is named."""
    await bench.add()
    done = await bench.loop("mkdir src; echo x > src/a.txt; echo no memory >&2; exit 9")
    assert (done["verdict"], len(done["attempts"])) == ("failed", 1)
    assert done["attempts"][0]["changed_files"] == ["src/a.txt"]
    (blocker,) = await bench.facts("blocker")
    assert "it ended with 9: no memory" in blocker["subject"]
    assert f"left in {bench.root}: src/a.txt" in blocker["summary"]


@pytest.mark.parametrize("script", ["exit 127", "exit 126"])
async def test_an_agent_that_cannot_run_aborts_at_once(bench: Bench, script: str) -> None:
    """Nothing is wrong with the task: it is given back without a blocker."""
    await bench.add()
    with pytest.raises(Failure) as error:
        await bench.loop(script)
    assert error.value.code == "agent-unusable"
    assert await bench.facts("blocker") == []
    assert await bench.claims() == []
    assert await bench.status() != "landed"


async def test_a_flood_on_both_pipes_stops_nobody(bench: Bench) -> None:
    """The last message is found at the end of megabytes."""
    await bench.add()
    flood = "yes '{\"task\": {' | head -c 9000000; yes x | head -c 3000000 >&2"
    done = await bench.loop(f"cat > /dev/null; {flood}; {good()}")
    assert done["verdict"] == "passed"


async def test_what_an_agent_prints_is_kept_when_it_did_not_pass(bench: Bench) -> None:
    """The prompt too, so that somebody can see what happened."""
    await bench.add()
    done = await bench.loop("echo out; echo err >&2; exit 1")
    logs = Path(done["logs"])
    assert (logs / "agent-1.stdout").read_text() == "out\n"
    assert (logs / "agent-1.stderr").read_text() == "err\n"
    assert "# Task a of run" in (logs / "prompt-1.md").read_text()
    assert not (logs / "git").exists()
    assert bench.git("status", "--porcelain") == ""


# -- the claim


@pytest.mark.parametrize("words", ["drop", "done"])
async def test_a_claim_that_ended_meanwhile_lands_nothing(bench: Bench, words: str) -> None:
    """Whoever ended it: nothing is posted by one who does not hold the task."""
    await bench.add()
    end = f"rally task {words} --run r --id a >&2"
    done = await bench.loop(f"{good()}; {end}; {message('a', 'src/a.txt')}")
    assert (done["verdict"], done["artifact"], done["blocker"]) == ("lost", None, None)
    artifacts = await bench.facts("artifact")
    assert len(artifacts) == (1 if words == "done" else 0)
    landed = f"{artifacts[0]['event_id']} landed the task" if artifacts else "nothing was landed"
    assert landed in done["why"]


async def test_the_lease_is_renewed_while_the_agent_works(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than the lease: the agent waits until it has seen three renewals."""
    monkeypatch.setattr(holding, "TTL_MS", 1_000)
    await bench.add()
    wait = "until test $(rally log --kind renew --limit 0 | grep -c ' renew ') -ge 4; do :; done"
    done = await bench.loop(f"{wait}; {good()}")
    assert done["verdict"] == "passed"
    (claim,) = await bench.facts("claim")
    assert claim["ttl"] == "1s"


async def test_two_loops_at_once_get_two_tasks(bench: Bench) -> None:
    """As any takers do."""
    await bench.add("a")
    await bench.add("b")
    script = (
        'mkdir -p src; echo hello > src/$RALLY_STEP.txt; echo "{\\"task\\": \\"$RALLY_STEP\\", '
        '\\"changed_files\\": [\\"src/$RALLY_STEP.txt\\"], \\"validation_result\\": \\"passed\\"}"'
    )
    both = await asyncio.gather(bench.loop(script), bench.loop(script))
    assert {done["task"] for done in both} == {"a", "b"}
    assert {done["verdict"] for done in both} == {"passed"}


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"task": "zz"}, "unknown-task"),
        ({"task": "later"}, "nothing-ready"),
        ({"agent": "clod"}, "unknown-agent"),
        ({"agent": "cursor", "env": {"PATH": "/nowhere"}}, "agent-unusable"),
        ({"words": ("/nowhere/agent",)}, "agent-unusable"),
        ({"words": ()}, "usage"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_holds_nothing(
    bench: Bench, more: dict[str, Any], code: str
) -> None:
    """Nothing ran, nothing is held."""
    await bench.add()
    await bench.add("later", depends_on=["a"])
    before = len(await bench.facts())
    with pytest.raises(RallyError) as error:
        await bench.loop(**{"words": ("sh", "-c", 'touch "$ASIDE/ran"'), **more})
    assert error.value.code == code
    assert not (bench.aside / "ran").exists()
    assert len(await bench.facts()) == before


async def test_a_blocker_on_the_paths_stops_the_task(bench: Bench) -> None:
    """The same question that any agent asks before it writes; the task is given back."""
    await bench.add()
    await bench.say("blocker", subject="hands off", paths=["src"])
    with pytest.raises(Refused) as error:
        await bench.loop('touch "$ASIDE/ran"')
    assert error.value.code == "task-blocked"
    assert "hands off" in error.value.message
    assert await bench.claims() == []
    assert not (bench.aside / "ran").exists()


async def test_a_task_that_is_stopped_keeps_nobody_from_the_ones_behind_it(bench: Bench) -> None:
    """What nothing stops is carried out, although the stopped one comes first and stays ready."""
    await bench.add("a", priority=1)
    await bench.add("b")
    await bench.say("blocker", subject="hands off", paths=["src/a.txt"])
    assert (await bench.loop(good("b"), dry_run=True))["task"] == "b"
    done = await bench.loop(good("b"))
    assert (done["task"], done["verdict"]) == ("b", "passed")
    assert await bench.claims() == []


@pytest.mark.parametrize("where", ["--run r --step a", "--path src"])
async def test_what_was_stopped_meanwhile_does_not_land(bench: Bench, where: str) -> None:
    """A blocker that came while the agent worked; the task is given back, and that blocker is enough."""
    await bench.add()
    blocker = f"rally say blocker --tool lead {where} --subject 'hands off' >&2"
    done = await bench.loop(f"{blocker}; {good()}")
    assert (done["verdict"], done["artifact"], done["blocker"]) == ("stopped", None, None)
    assert "hands off" in done["why"]
    assert await bench.facts("artifact") == []
    assert len(await bench.facts("blocker")) == 1
    assert await bench.claims() == []

"""`rally loop` as it is typed: output, exit codes, signals."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from loop_bench import TOOL, Bench, good, message
from runner_room import Fifo, is_alive

LOOP = ("loop", "--run", "r", "--tool", TOOL)
PATIENCE_S = 40.0


def answered(bench: Bench, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and envelope."""
    done = bench.rally(*words)
    assert done.stderr == b"", done
    return done.returncode, json.loads(done.stdout)


async def test_what_passed_is_exit_0_and_said_in_a_few_lines(bench: Bench) -> None:
    """One line a check, the verdict, the artifact."""
    await bench.add()
    done = bench.rally(*LOOP, "--", "sh", "-c", good())
    assert (done.returncode, done.stderr) == (0, b"")
    text = re.sub(r"\d+ ms", "N ms", re.sub(r"\d\.\d s", "N s", done.stdout.decode()))
    (artifact,) = await bench.facts("artifact")
    assert text == (
        "attempt 1: sh, N s\n"
        "  validation  pass     `grep -q hello src/a.txt` ended with 0 after N ms\n"
        "  output      pass     there is src/a.txt\n"
        "  boundary    pass     all within what the task owns: src/a.txt\n"
        "  intent      unknown  no judge was named\n"
        "  claims      pass     the report is what the evidence shows\n"
        "a passed: `grep -q hello src/a.txt` ended with 0 after N ms\n"
        f"  artifact  {artifact['event_id']}\n"
    )


async def test_what_did_not_pass_is_an_answer_and_exit_3(bench: Bench) -> None:
    """ok stays true, the verdict and every attempt are there."""
    await bench.add()
    code, answer = answered(bench, *LOOP, "--json", "--", "sh", "-c", message())
    data = answer["data"]["loop"]
    assert (code, answer["ok"], answer["schema"]) == (3, True, "rally.loop.v1")
    assert (data["verdict"], len(data["attempts"]), data["artifact"]) == ("findings", 2, None)
    assert data["attempts"][0]["validation"]["exit_code"] == 2
    assert data["attempts"][0]["report"]["validation_result"] == "passed"


async def test_what_others_wrote_is_made_visible(bench: Bench) -> None:
    """No escape of an agent's reaches the terminal."""
    await bench.add(validation="printf '\\033[31mred\\033[0m'; exit 1")
    report = message("a", "\x1b[2Jx")
    done = bench.rally(*LOOP, "--judge", "true", "--", "sh", "-c", report)
    assert done.returncode == 3
    assert b"\x1b" not in done.stdout
    assert b"\\x1b[31mred" in done.stdout


async def test_a_dry_run_names_every_command_and_writes_nothing(bench: Bench) -> None:
    """Agent, validation, judge, and where; nothing runs, nothing is recorded, nothing is made."""
    bench.program("codex", 'touch "$ASIDE/ran"')
    await bench.add(validation='touch "$ASIDE/ran"')
    before = len(await bench.facts())
    words = ("--agent", "codex", "--judge", "./judge 'it'", "--dry-run")
    code, answer = answered(bench, *LOOP, *words, "--json", "--", "--model", "x y")
    data = answer["data"]["loop"]
    assert (code, data["task"], data["folder"]) == (0, "a", str(bench.root))
    assert data["would_run"] == [
        {"what": "agent", "command": "codex exec --json --sandbox workspace-write --output-schema "
         "report.schema.json - --model 'x y'"},
        {"what": "validation", "command": 'touch "$ASIDE/ran"'},
        {"what": "judge", "command": "./judge 'it'"},
    ]  # fmt: skip
    text = bench.rally(*LOOP, *words).stdout.decode()
    assert text.startswith(f"would take a and run in {bench.root}:\n  agent\n    codex exec ")
    assert len(await bench.facts()) == before
    assert os.listdir(bench.aside) == []
    assert not (bench.root / ".rally" / "loops").exists()


async def test_a_dry_run_refuses_a_task_that_landed_as_a_real_one_does(bench: Bench) -> None:
    """One question, one answer."""
    await bench.add()
    await bench.say("artifact", run="r", step="a", subject="s")
    for words in ((), ("--dry-run",)):
        code, answer = answered(bench, *LOOP, "--id", "a", *words, "--json", "--", "true")
        assert (code, answer["error"]["code"]) == (3, "already-closed")


@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (("loop", "--tool", "ada", "--", "true"), 2, "missing-field"),
        (("loop", "--run", "r", "--", "true"), 2, "missing-tool"),
        (("loop", "--run", "r", "--tool", "all", "--", "true"), 2, "bad-tool"),
        ((*LOOP, "--timeout", "soon", "--", "true"), 2, "bad-duration"),
        ((*LOOP, "--timeout", "0s", "--", "true"), 2, "bad-duration"),
        ((*LOOP, "--id", "a b", "--", "true"), 2, "bad-value"),
        ((*LOOP, "--judge", " ", "--", "true"), 2, "bad-value"),
        ((*LOOP, "--agent", "clod"), 2, "unknown-agent"),
        (LOOP, 2, "usage"),
        ((*LOOP, "--dry-run", "--id", "zz", "--", "true"), 2, "unknown-task"),
        ((*LOOP, "--dry-run", "--id", "b", "--", "true"), 3, "nothing-ready"),
        (("loop", "--run", "none", "--tool", "ada", "--", "true"), 3, "nothing-ready"),
        ((*LOOP, "--", "/nowhere/agent"), 1, "agent-unusable"),
    ],
)
async def test_wrong_words_run_nothing(
    bench: Bench, words: tuple[str, ...], code: int, name: str
) -> None:
    """The error's code and exit code; an unchanged ledger."""
    await bench.add()
    await bench.add("b", depends_on=["a"])
    before = len(await bench.facts())
    exit_code, answer = answered(bench, "--json", *words)
    assert (exit_code, answer["error"]["code"]) == (code, name)
    assert answer["error"]["hint"]
    assert len(await bench.facts()) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_interrupted_it_ends_the_agent_and_gives_the_task_back(
    bench: Bench, number: int
) -> None:
    """Exit 130, no answer, no artifact, no blocker; the agent's children are gone too."""
    await bench.add()
    told = Fifo(bench.aside / "told")
    script = f"sleep 1000 & echo $! > {told}; wait"
    process = subprocess.Popen(
        ["rally", *LOOP, "--", "sh", "-c", script], cwd=bench.root, env=bench.env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    child = int(told.read())
    process.send_signal(number)
    out, _ = process.communicate(timeout=PATIENCE_S)
    told.close()
    assert (process.returncode, out) == (130, b"")
    assert not is_alive(child)
    assert await bench.claims() == []
    assert await bench.facts("artifact", "blocker") == []
    (row,) = (await bench.ask("task", action="list", run="r"))["tasks"]
    assert row["ready"]


async def test_a_second_signal_does_not_wait_for_the_grace(bench: Bench) -> None:
    """An agent that ignores SIGTERM is killed at once; the task is given back all the same."""
    await bench.add()
    told = Fifo(bench.aside / "told")
    script = (
        f"trap 'echo again > {told}' TERM; echo $$ > {told}; while :; do sleep 1000 & wait; done"
    )
    process = subprocess.Popen(
        ["rally", *LOOP, "--", "sh", "-c", script], cwd=bench.root, env=bench.env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    child = int(told.read())
    process.send_signal(signal.SIGTERM)
    assert told.read() == "again\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE_S)
    told.close()
    assert (process.returncode, out) == (130, b"")
    assert not is_alive(child)
    assert await bench.claims() == []


async def test_killed_it_leaves_a_lease_that_runs_out(bench: Bench) -> None:
    """Nobody can tidy up after `kill -9`; within five minutes the task is free again."""
    await bench.add()
    told = Fifo(bench.aside / "told")
    script = f"echo $$ > {told}; exec sleep 1000"
    process = subprocess.Popen(
        ["rally", *LOOP, "--", "sh", "-c", script], cwd=bench.root, env=bench.env,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    child = int(told.read())
    process.kill()
    process.wait(PATIENCE_S)
    told.close()
    os.kill(child, signal.SIGKILL)
    (claim,) = await bench.claims()
    assert (claim["step"], claim["ttl"]) == ("a", "5m")


def on_a_terminal(bench: Bench, *words: str) -> tuple[int, bytes]:
    """Exit code and everything that a command puts on a terminal, with standard output elsewhere."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        ["rally", *words], cwd=bench.root, env={**bench.env, "TERM": "xterm"}, stdin=other,
        stdout=subprocess.DEVNULL, stderr=other,
    )  # fmt: skip
    os.close(other)
    shown = b""
    while select.select([main], [], [], PATIENCE_S)[0]:
        try:
            piece = os.read(main, 65_536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(main)
    return process.wait(PATIENCE_S), shown


async def test_on_a_terminal_a_line_tells_what_happens(bench: Bench) -> None:
    """On standard error, and gone at the end; none with --json, none in a pipe."""
    await bench.add()
    await bench.add("b")
    code, shown = on_a_terminal(bench, *LOOP, "--id", "a", "--", "sh", "-c", good())
    assert code == 0
    assert b"a: attempt 1, sh is at work" in shown
    assert shown.rstrip().endswith(b"\x1b[2K")
    code, shown = on_a_terminal(bench, *LOOP, "--json", "--", "sh", "-c", good("b"))
    assert (code, shown) == (0, b"")


async def test_verify_shows_how_far_it_is_on_a_terminal(bench: Bench) -> None:
    """A bar with numbers and the last step; none with --json."""
    await bench.add()
    await bench.loop(good())
    code, shown = on_a_terminal(bench, "workstream", "verify", "--run", "r")
    assert code == 0
    assert b"1/1" in shown
    assert b"a passed" in shown
    code, shown = on_a_terminal(bench, "workstream", "verify", "--run", "r", "--json")
    assert (code, shown) == (0, b"")


async def test_a_task_can_be_taken_by_its_id(bench: Bench) -> None:
    """`task take --id`: that one or none, whatever would be next."""
    await bench.add("a")
    await bench.add("b", depends_on=["a"])
    await bench.add("c")
    code, answer = answered(bench, *_take("c"))
    assert (code, answer["data"]["task"]["task"]["id"]) == (0, "c")
    refused = {one: answered(bench, *_take(one))[1]["error"] for one in ("b", "c", "zz")}
    assert {one: error["code"] for one, error in refused.items()} == {
        "b": "nothing-ready", "c": "nothing-ready", "zz": "unknown-task",
    }  # fmt: skip
    assert [one["task"] for one in refused["b"]["details"]["waiting"]] == ["b"]
    await bench.loop(good("a"))
    assert answered(bench, *_take("a"))[1]["error"]["code"] == "already-closed"


def _take(task: str) -> tuple[str, ...]:
    return ("task", "take", "--run", "r", "--tool", "bob", "--id", task, "--json")


def test_what_the_page_shows_can_be_pasted(bench: Bench) -> None:
    """docs/loop.md: its `sh` blocks, one after the other, in one repository."""
    page = Path(__file__).parents[2] / "docs" / "loop.md"
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    done = subprocess.run(
        ["sh", "-eu"], input="\n".join(blocks), text=True, capture_output=True, check=False,
        cwd=bench.root, env=bench.env, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "greet passed" in done.stdout

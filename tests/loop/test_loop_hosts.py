"""The known agents, by stub programs that print what the real ones were seen to print."""

from __future__ import annotations

import json
import shutil

import pytest
from loop_bench import Bench

from rally.hosts.oneshot.known import ONE_SHOTS
from rally.hosts.oneshot.shape import Schema
from rally.model.errors import Failure

SAID = json.dumps({"task": "a", "changed_files": ["src/a.txt"], "validation_result": "passed"})
SCHEMA = Schema("{}", "/schema.json")


def lines(*records: object) -> str:
    """JSON lines."""
    return "\n".join(json.dumps(record) for record in records) + "\n"


def claude(**more: object) -> str:
    record = {"type": "result", "subtype": "success", "is_error": False, "result": SAID,
              "session_id": "s", "num_turns": 3, "permission_denials": []}  # fmt: skip
    return lines({**record, **more})


def codex(*events: object) -> str:
    message = {"type": "item.completed", "item": {"id": "1", "type": "agent_message", "text": SAID}}
    return lines({"type": "thread.started", "thread_id": "t"}, {"type": "turn.started"}, message,
                 *events)  # fmt: skip


CODEX_DONE = {"type": "turn.completed", "usage": {"input_tokens": 1}}


def opencode(*events: object, reason: str = "stop") -> str:
    return lines(
        {"type": "step_start", "sessionID": "s"},
        {"type": "text", "part": {"text": "let me see"}},
        {"type": "step_finish", "part": {"reason": "tool-calls"}},
        {"type": "step_start", "sessionID": "s"},
        {"type": "text", "part": {"text": SAID}},
        {"type": "step_finish", "part": {"reason": reason}},
        *events,
    )


def gemini(**more: object) -> str:
    return json.dumps({"session_id": "s", "response": f"```json\n{SAID}\n```", "stats": {}, **more},
                      indent=2)  # fmt: skip


def cursor(**more: object) -> str:
    record = {"type": "result", "subtype": "success", "is_error": False, "result": SAID}
    return lines({**record, **more})


@pytest.mark.parametrize(
    ("agent", "output"),
    [
        ("claude", claude()),
        ("claude", claude(result="done", structured_output=json.loads(SAID))),
        ("claude", json.dumps([{"type": "system"}, json.loads(claude())])),
        ("codex", codex(CODEX_DONE)),
        ("codex", codex({"type": "error", "message": "Reconnecting... 1/5"}, CODEX_DONE)),
        ("gemini", gemini()),
        ("gemini", "Loaded cached credentials.\n" + gemini(warnings=["w"])),
        ("opencode", opencode()),
        ("cursor", cursor()),
    ],
)
def test_a_success_is_exit_code_0_and_the_agents_own_record(agent: str, output: str) -> None:
    """Its last message is what the record holds."""
    reading = ONE_SHOTS[agent].read(0, output, "")
    assert reading.failure is None
    assert json.loads(reading.said.strip("`json\n")) == json.loads(SAID)


@pytest.mark.parametrize("agent", list(ONE_SHOTS))
@pytest.mark.parametrize("output", ["", "all done!\n", "{", '{"type": "system"}\n', "[]", "null"])
def test_exit_code_0_without_a_record_is_a_failure(agent: str, output: str) -> None:
    """Agents end with 0 after they have failed."""
    assert ONE_SHOTS[agent].read(0, output, "").failure == "crash"


@pytest.mark.parametrize(
    ("agent", "output"),
    [("claude", claude()), ("codex", codex(CODEX_DONE)), ("gemini", gemini()),
     ("opencode", opencode()), ("cursor", cursor())],
)  # fmt: skip
def test_a_good_record_and_another_exit_code_is_a_failure(agent: str, output: str) -> None:
    """Both, or it did not succeed; a signal is a crash."""
    assert ONE_SHOTS[agent].read(1, output, "").failure is not None
    assert ONE_SHOTS[agent].read(143, output, "").failure == "crash"


@pytest.mark.parametrize(
    ("agent", "code", "stdout", "stderr", "failure"),
    [
        ("claude", 1, claude(is_error=True, result="Invalid API key · Please run /login"), "", "auth"),
        ("claude", 0, claude(is_error=True, result="Not logged in"), "", "auth"),
        ("claude", 1, claude(subtype="error_max_turns", is_error=True), "", "policy"),
        ("claude", 1, claude(subtype="error_max_budget_usd", is_error=True), "", "quota"),
        ("claude", 1, claude(subtype="error_max_structured_output_retries"), "", "schema"),
        ("claude", 1, claude(is_error=True, result="API Error: 529 Overloaded"), "", "transient"),
        ("claude", 1, claude(is_error=True, result="You've hit your usage limit"), "", "quota"),
        ("claude", 1, "", "error: unknown option '--json-schema'", "config"),
        ("claude", 143, "", "", "crash"),
        ("codex", 0, codex({"type": "turn.failed", "error": {"message": "unsupported model"}}), "",
         "config"),
        ("codex", 0, codex({"type": "turn.failed", "error": {"message": "at capacity"}}), "",
         "transient"),
        ("codex", 0, codex(), "", "crash"),
        ("codex", 1, codex({"type": "error", "message": "401 Unauthorized"}), "", "auth"),
        ("gemini", 41, "", "no auth method", "auth"),
        ("gemini", 42, "", "input", "config"),
        ("gemini", 52, "", "settings", "config"),
        ("gemini", 53, gemini(error={"message": "turn limit"}), "", "policy"),
        ("gemini", 54, "", "tool", "crash"),
        ("gemini", 1, gemini(error={"message": "quota exceeded"}), "", "quota"),
        ("opencode", 0, opencode(reason="tool-calls"), "", "crash"),
        ("opencode", 0, opencode({"type": "error", "error": {"name": "ProviderAuthError",
                                  "data": {"message": "x"}}}), "", "auth"),
        ("cursor", 1, "", "Error: rate limit", "transient"),
        ("cursor", 1, "", "Authentication required. Run 'agent login'", "auth"),
    ],
)  # fmt: skip
def test_failures_are_told_apart(
    agent: str, code: int, stdout: str, stderr: str, failure: str
) -> None:
    """By record types and exit codes; by words only where the agent says nothing else."""
    reading = ONE_SHOTS[agent].read(code, stdout, stderr)
    assert reading.failure == failure
    assert reading.why
    assert "\n" not in reading.why


def test_each_agent_is_called_with_what_lets_it_write_and_answer() -> None:
    """The prompt on standard input, except where a word is the form that is documented."""
    calls = {name: one.invoke("P", SCHEMA) for name, one in ONE_SHOTS.items()}
    assert {name: call.words for name, call in calls.items()} == {
        "claude": ("-p", "--output-format", "json", "--json-schema", "{}", "--permission-mode",
                   "acceptEdits", "--allowedTools", "Bash(rally:*)"),
        "codex": ("exec", "--json", "--sandbox", "workspace-write", "--output-schema",
                  "/schema.json", "-"),
        "gemini": ("-p", "Carry out the task above, and end with the JSON object that it asks for.",
                   "--output-format", "json", "--approval-mode", "auto_edit"),
        "opencode": ("run", "--format", "json"),
        "cursor": ("-p", "--output-format", "json", "--force", "P"),
    }  # fmt: skip
    assert {name for name, call in calls.items() if call.stdin == b"P"} == {*calls} - {"cursor"}


def test_a_prompt_that_is_too_long_for_a_command_line_is_refused() -> None:
    """Linux takes 128 KiB for one word."""
    with pytest.raises(ValueError, match="has 140000 bytes"):
        ONE_SHOTS["cursor"].invoke("x" * 140_000, SCHEMA)


async def test_a_known_agent_carries_a_task_out(bench: Bench) -> None:
    """Found on the PATH, called with its words and the caller's further ones."""
    bench.program(
        "claude",
        f'printf "%s\\n" "$@" > "$ASIDE/words"; cat > "$ASIDE/prompt"; mkdir -p src; echo hello > '
        f"src/a.txt; cat <<'EOF'\n{claude()}EOF",
    )
    await bench.add()
    done = await bench.loop(agent="claude", words=("--model", "opus"))
    assert (done["verdict"], done["agent"]) == ("passed", "claude")
    assert bench.left("words").splitlines()[-2:] == ["--model", "opus"]
    assert "# Task a of run `r`" in bench.left("prompt")


async def test_the_older_name_of_a_program_does_as_well(bench: Bench) -> None:
    """`cursor-agent` and `agent` are one."""
    bench.program("agent", f"mkdir -p src; echo hello > src/a.txt; cat <<'EOF'\n{cursor()}EOF")
    await bench.add()
    path = f"{bench.bin}:/usr/bin:/bin"
    assert shutil.which("cursor-agent", path=path) is None
    assert (await bench.loop(agent="cursor", env={"PATH": path}))["verdict"] == "passed"


async def test_a_login_that_is_missing_aborts_and_blames_nobody(bench: Bench) -> None:
    """The task is given back without a blocker, and the error says what the agent said."""
    bench.program("claude", f"cat <<'EOF'\n{claude(is_error=True, result='Please run /login')}EOF")
    await bench.add()
    with pytest.raises(Failure) as error:
        await bench.loop(agent="claude")
    assert (error.value.code, error.value.details["failure"]) == ("agent-unusable", "auth")
    assert "Please run /login" in error.value.message
    assert await bench.facts("blocker") == []
    assert await bench.claims() == []


@pytest.mark.parametrize("text", ["429 rate limit", "You've hit your usage limit"])
async def test_a_limit_is_not_the_tasks_fault(bench: Bench, text: str) -> None:
    """No second attempt, no blocker: somebody else may take the task."""
    bench.program("claude", f"cat > /dev/null; echo x >> \"$ASIDE/runs\"; cat <<'EOF'\n"
                  f"{claude(is_error=True, result=text)}EOF\nexit 1")  # fmt: skip
    await bench.add()
    done = await bench.loop(agent="claude")
    assert (done["verdict"], done["blocker"]) == ("failed", None)
    assert bench.left("runs") == "x\n"
    (row,) = (await bench.ask("task", action="list", run="r"))["tasks"]
    assert row["ready"]


async def test_an_agent_that_cannot_keep_to_the_schema_is_asked_again(bench: Bench) -> None:
    """It is a finding: the report is not of the shape that was asked for."""
    bad = claude(subtype="error_max_structured_output_retries", is_error=True)
    bench.program("claude", f"echo x >> \"$ASIDE/runs\"; cat <<'EOF'\n{bad}EOF")
    await bench.add()
    done = await bench.loop(agent="claude")
    assert (done["verdict"], bench.left("runs")) == ("findings", "x\nx\n")

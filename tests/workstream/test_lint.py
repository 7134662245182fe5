"""lint: every violation at once, each with its code, its task and its field (contract W2)."""

from __future__ import annotations

from typing import Any

import pytest
from plan_desk import codes, plan, report_on, task

from rally.workstream.descriptor import TASK_ID_CHARS_MAX
from rally.workstream.lint import CODES

OK = plan(task("a"), task("b", owns="read-only", depends_on=["a"], tier="cross-host", priority=5,
                          commands=["make x"]), thread="t")  # fmt: skip

# descriptor, (code, task, field)
ONE_WRONG: list[tuple[Any, tuple[str, str, str]]] = [
    ([], ("not-object", "", "")),
    ("text", ("not-object", "", "")),
    (plan("text"), ("not-object", "#0", "")),
    (plan(task("a"), None), ("not-object", "#1", "")),
    (plan(task("a"), workstream=None), ("missing-field", "", "workstream")),
    (plan(task("a"), description=" "), ("missing-field", "", "description")),
    (plan(tasks=None), ("missing-field", "", "tasks")),
    (plan(task("a", intent=None)), ("missing-field", "a", "intent")),
    (plan(task("a", intent="")), ("missing-field", "a", "intent")),
    (plan(task("a", validation=None)), ("missing-field", "a", "validation")),
    (plan(task("a", output="  ")), ("missing-field", "a", "output")),
    (plan(task("a", owns=None)), ("missing-field", "a", "owns")),
    (plan(task("a", owns="")), ("missing-field", "a", "owns")),
    (plan(task("a", id=None)), ("missing-field", "#0", "id")),
    (plan(task("")), ("missing-field", "#0", "id")),
    (plan(task("a", commands=["x", ""])), ("missing-field", "a", "commands[1]")),
    (plan(task("a", intent=5)), ("bad-type", "a", "intent")),
    (plan(task("a", id=5)), ("bad-type", "#0", "id")),
    (plan(task("a", validation=["x"])), ("bad-type", "a", "validation")),
    (plan(task("a", depends_on="b")), ("bad-type", "a", "depends_on")),
    (plan(task("a", depends_on=[5])), ("bad-type", "a", "depends_on[0]")),
    (plan(task("a", commands="make")), ("bad-type", "a", "commands")),
    (plan(task("a", priority="high")), ("bad-type", "a", "priority")),
    (plan(task("a", priority=True)), ("bad-type", "a", "priority")),
    (plan(task("a", priority=1.5)), ("bad-type", "a", "priority")),
    (plan(task("a", priority=2**60)), ("bad-type", "a", "priority")),
    (plan(tasks={}), ("bad-type", "", "tasks")),
    (plan(task("a"), thread=7), ("bad-type", "", "thread")),
    (plan(), ("empty-tasks", "", "tasks")),
    (plan(task("a b")), ("bad-id", "a b", "id")),
    (plan(task("a/b")), ("bad-id", "a/b", "id")),
    (plan(task("аpi")), ("bad-id", "аpi", "id")),  # the first letter is Cyrillic
    (plan(task("a", id="a\u200b")), ("bad-id", "#0", "id")),
    (plan(task("a", id="a\n")), ("bad-id", "#0", "id")),
    (plan(task("$(x)")), ("bad-id", "$(x)", "id")),
    (plan(task("a"), task("a", owns=["other"])), ("duplicate-id", "a", "id")),
    (plan(task("a", owns=[])), ("bad-owns", "a", "owns")),
    (plan(task("a", owns="src/")), ("bad-owns", "a", "owns")),
    (plan(task("a", owns={"path": "x"})), ("bad-owns", "a", "owns")),
    (plan(task("a", owns=["x", 5])), ("bad-owns", "a", "owns[1]")),
    (plan(task("a", owns=["x", ""])), ("bad-owns", "a", "owns[1]")),
    (plan(task("a", owns=["../x"])), ("bad-owns", "a", "owns[0]")),
    (plan(task("a", owns=["/etc/passwd"])), ("bad-owns", "a", "owns[0]")),
    (plan(task("a", owns=["src/*/../x"])), ("bad-owns", "a", "owns[0]")),
    (plan(task("a", owns=["x"]), task("b", owns=["x"])), ("boundary-conflict", "b", "owns[0]")),
    (plan(task("a", owns=["x"]), task("b", owns=["y", "x/y"])), ("boundary-conflict", "b", "owns[1]")),
    (plan(task("a", owns=["x/y"]), task("b", owns=["./x/"])), ("boundary-conflict", "b", "owns[0]")),
    (plan(task("a", owns=["."]), task("b")), ("boundary-conflict", "b", "owns[0]")),
    (plan(task("a", owns=["x/*.py"]), task("b", owns=["x/a.*"])),
     ("boundary-conflict", "b", "owns[0]")),
    (plan(task("a", owns=["caf\u00e9"]), task("b", owns=["cafe\u0301"])),
     ("boundary-conflict", "b", "owns[0]")),
    (plan(task("a", validation="date +%s")), ("nondeterministic", "a", "validation")),
    (plan(task("a", commands=["x", "echo $RANDOM"])), ("nondeterministic", "a", "commands[1]")),
    (plan(task("a", depends_on=["b"])), ("unknown-dependency", "a", "depends_on[0]")),
    (plan(task("a", depends_on=["A"])), ("unknown-dependency", "a", "depends_on[0]")),
    (plan(task("a", depends_on=["a"])), ("cycle", "a", "depends_on")),
    (plan(task("a", depends_on=["b"]), task("b", depends_on=["a"])), ("cycle", "a", "depends_on")),
    (plan(task("a", tier="remote")), ("bad-tier", "a", "tier")),
    (plan(task("a", tier=["host-native"])), ("bad-tier", "a", "tier")),
    (plan(task("a", tier="")), ("missing-field", "a", "tier")),
    (plan(task("a", intent="x" * 16_385)), ("too-long", "a", "intent")),
    (plan(task("a", intent="é" * 8_193)), ("too-long", "a", "intent")),
    (plan(task("a", owns=[f"p{n}" for n in range(1_001)])), ("too-long", "a", "owns")),
    (plan(task("a", owns=["x" * 4_097])), ("too-long", "a", "owns[0]")),
    (plan(task("a", validation="x" * 65_536)), ("too-long", "a", "")),
    (plan(task("a", commands=["x" * 16_000] * 4)), ("too-long", "a", "")),
    (plan(task("x" * (TASK_ID_CHARS_MAX + 1), owns=["x"])), ("too-long", "#0", "id")),
    (plan(task("a"), workstream="x" * 501), ("too-long", "", "workstream")),
    (plan(task("a"), thread="x" * 257), ("too-long", "", "thread")),
    (plan(task("a", intent="two\nlines")), ("control-characters", "a", "intent")),
    (plan(task("a", intent="\x1b[2J")), ("control-characters", "a", "intent")),
    (plan(task("a", intent="\u202egnp.exe")), ("control-characters", "a", "intent")),
    (plan(task("a", output="nul\0")), ("control-characters", "a", "output")),
    (plan(task("a", owns=["x\x07"])), ("control-characters", "a", "owns[0]")),
    (plan(task("a", validation="make\r\nmake")), ("control-characters", "a", "validation")),
    (plan(task("a", validation="a\0b")), ("control-characters", "a", "validation")),
    (plan(task("a", commands=["\x9b1m"])), ("control-characters", "a", "commands[0]")),
    (plan(task("a"), thread="a\tb"), ("control-characters", "", "thread")),
    (plan(task("a"), description="a\u2028b"), ("control-characters", "", "description")),
    (plan(task("a", output="\ud800")), ("control-characters", "a", "output")),
]  # fmt: skip


def test_a_sound_descriptor_is_clean() -> None:
    """Nothing is wrong with what contract W1 describes."""
    report = report_on(OK)
    assert (codes(report), report.warnings) == ([], [])
    assert report.descriptor is not None
    assert report.paths == {"a": ("src/a",)}


@pytest.mark.parametrize(("value", "found"), ONE_WRONG, ids=lambda value: str(value)[:60])
def test_one_mistake_is_one_violation(value: Any, found: tuple[str, str, str]) -> None:
    """Each mistake is named by its code, its task and its field, once, and is never clean."""
    report = report_on(value)
    assert codes(report) == [found]
    assert not report.clean
    assert report.descriptor is None
    (violation,) = report.violations
    assert violation.message.isprintable()
    assert violation.line >= 1


def test_every_code_of_the_contract_has_a_row_above() -> None:
    """A code that nothing can raise is a promise that nobody keeps."""
    warnings = {"unknown-field", "missing-path", "claimed-path", "reserved-id"}
    assert {found[0] for _, found in ONE_WRONG} | warnings == set(CODES)


def test_all_mistakes_are_reported_at_once() -> None:
    """W2: one mistake never hides another, wherever they are."""
    report = report_on(
        plan(
            task("a", owns=["x"], tier="far", depends_on=["nobody", "b"]),
            task("b", owns=["x/y"], validation="date", depends_on=["a"]),
            task("a", owns=["../up"], intent=""),
            "no task",
            workstream=5,
        )
    )
    assert sorted(codes(report)) == sorted(
        [
            ("bad-type", "", "workstream"),
            ("bad-tier", "a", "tier"),
            ("unknown-dependency", "a", "depends_on[0]"),
            ("cycle", "a", "depends_on"),
            ("boundary-conflict", "b", "owns[0]"),
            ("nondeterministic", "b", "validation"),
            ("duplicate-id", "a", "id"),
            ("bad-owns", "a", "owns[0]"),
            ("missing-field", "a", "intent"),
            ("not-object", "#3", ""),
        ]
    )


@pytest.mark.parametrize(
    "name", ["id", "intent", "tier", "validation", "thread", "ünknown" * 9_000]
)
def test_what_is_a_million_characters_long_is_told_in_a_few(name: str) -> None:
    """A message is there to be read, whatever it is about."""
    report = report_on(plan(task("a", **{name: "ü$(date)" * 40_000}), thread="x" * 300_000))
    assert not report.clean
    told = [*report.violations, *report.warnings]
    assert max(len(text) for one in told for text in (one.field, one.message, one.hint)) < 200


def test_a_cycle_is_printed_with_its_path() -> None:
    """W2: who waits for whom."""
    tasks = [task("a", depends_on=["b"]), task("b", depends_on=["c"]), task("c", depends_on=["a"])]
    (violation,) = report_on(plan(*tasks, task("d", depends_on=["a"]))).violations
    assert violation.message == "tasks wait for each other: a → b → c → a"


def test_a_long_cycle_is_found_and_cut_short() -> None:
    """Ten thousand tasks in a ring are a cycle, and no stack overflow."""
    ring = [task(f"t{n}", depends_on=[f"t{(n + 1) % 10_000}"]) for n in range(10_000)]
    (violation,) = report_on(plan(*ring)).violations
    assert violation.code == "cycle"
    assert violation.message.endswith("→ …")


def test_a_conflict_names_both_tasks_and_both_paths() -> None:
    """The message alone tells what to change."""
    (violation,) = report_on(plan(task("a", owns=["src"]), task("b", owns=["src/b.py"]))).violations
    assert violation.message == "b owns 'src/b.py', which overlaps 'src' of a"


def test_tasks_that_only_read_conflict_with_nobody() -> None:
    """A boundary is about writing."""
    assert report_on(plan(task("a", owns=["."]), task("b", owns="read-only"))).clean


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        (plan(*[task(f"t{n}", owns="read-only") for n in range(10_001)]),
         "tasks has 10001 entries, at most 10000 are allowed", "split the workstream"),
        (plan(task("a", depends_on=["b"] * 1_001), task("b")),
         "depends_on has 1001 entries, at most 1000 are allowed", "split the task"),
        (plan(task("a", priority=True)), "priority is true; it should be a valid integer",
         "rally workstream schema"),
    ],
)  # fmt: skip
def test_a_message_speaks_of_what_was_written(value: Any, message: str, hint: str) -> None:
    """The number that is too large is in it, a value reads as in the file, and the hint fits."""
    (violation,) = report_on(value).violations
    assert (violation.message, violation.hint) == (message, hint)


@pytest.mark.parametrize(
    ("owns", "message"),
    [
        (["read-only"], ("'read-only' does not exist; a task that writes nothing has "
                        '"owns": "read-only", without brackets')),
        (["new", "{a,b}/*.py"], ("'new' and 1 more do not exist; only *, ? and ** are wildcards, "
                                "braces and brackets are themselves")),
        (["[id].tsx"], ("'[id].tsx' does not exist; only *, ? and ** are wildcards, "
                       "braces and brackets are themselves")),
    ],
)  # fmt: skip
def test_a_path_that_looks_like_something_else_is_told(owns: list[str], message: str) -> None:
    """A pattern that protects nothing must not look like one that does; it may be a name, too."""
    report = report_on(plan(task("a", owns=owns)), exists=False)
    assert report.clean
    assert [one.message for one in report.warnings] == [message]


def test_neighbours_with_similar_names_do_not_conflict() -> None:
    """C2: `src/a` and `src/ab` do not overlap."""
    assert report_on(plan(task("a", owns=["src/a"]), task("b", owns=["src/ab", "src/a.py"]))).clean


def test_shell_text_of_any_kind_is_no_mistake() -> None:
    """W2: a quote, `$` or blank in a value is quoted wherever a command is built."""
    hostile = task(
        "a", intent="it's \"$HOME\" `x` $(y) ; & | é 👩\u200d💻", owns=["a b/it's $x.py", "-rf"],
        validation="make\n\ttest 'a' && x \"$Y\"", output="a\\b", commands=["x\n\ty"],
    )  # fmt: skip
    assert report_on(plan(hostile)).clean


def test_unknown_fields_are_warnings_that_guess_what_was_meant() -> None:
    """W2: a field that means nothing here stops nobody."""
    report = report_on(plan(task("a", dependson=["x"], x=1), note="hello", taks=[]))
    assert report.clean
    assert [(one.code, one.task, one.field, one.hint) for one in report.warnings] == [
        ("unknown-field", "a", "dependson", "did you mean depends_on?"),
        ("unknown-field", "a", "x", report.warnings[1].hint),
        ("unknown-field", "", "note", report.warnings[2].hint),
        ("unknown-field", "", "taks", "did you mean tasks?"),
    ]


def test_a_file_may_name_its_schema() -> None:
    """Editors find it by `$schema`; to lint it is nothing strange."""
    report = report_on(plan(task("a"), **{"$schema": "./workstream.schema.json"}))
    assert (report.clean, report.warnings) == (True, [])


def test_paths_that_do_not_exist_are_warned_of() -> None:
    """A typing error in `owns` protects nothing, and a new file is none."""
    report = report_on(plan(task("a", owns=["nwe.py"]), task("b", owns=["x", "y"])), exists=False)
    assert report.clean
    assert [(one.code, one.field, one.message) for one in report.warnings] == [
        ("missing-path", "owns[0]", "'nwe.py' does not exist"),
        ("missing-path", "owns[0]", "'x' and 1 more do not exist"),
    ]


def test_a_task_called_like_the_root_of_the_graph_is_warned_of() -> None:
    """P5 gathers facts without a step there."""
    (warning,) = report_on(plan(task("root"))).warnings
    assert (warning.code, warning.task) == ("reserved-id", "root")


def test_violations_come_in_the_order_of_the_file_with_their_lines() -> None:
    """Someone who mends a file goes through it once."""
    raw = b'{"workstream": "w", "description": "d", "tasks": [\n{"id": "a"},\n{"id": "b b"}\n]}'
    found = [(one.line, one.code, one.field) for one in report_on(raw).violations]
    assert found == sorted(found, key=lambda one: one[0])
    assert (3, "bad-id", "id") in found
    assert (2, "missing-field", "intent") in found

"""Packets: everything that one agent must know to carry out one task (contract W3, W5).

A packet is Markdown and a pure function of what it is built from: the same task gives the same bytes.
Whatever somebody wrote stands in it as data only: texts as quotations, made visible, so that they can
neither forge a heading nor end a block; values in command lines as single shell words. Each command
line stands on one line, needs nothing from the lines before, and runs as it is in `sh`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from rally.model import shell
from rally.model.kinds import SUBJECT_CHARS_MAX
from rally.model.visible import visible

# When a sleeper is woken at the latest, so that nobody waits for ever for what never lands.
_PATIENCE = "+1h"


@dataclass(slots=True, frozen=True)
class Assignment:
    """One task of a run, in the descriptor's words (contract W1).

    Attributes:
        owns: canonical paths and patterns; empty: the task is read-only.
        goal: what the whole run is for; may be empty.
        validation, output, tier, thread: empty where the task has none.
    """

    run: str
    task: str
    intent: str
    owns: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    validation: str = ""
    output: str = ""
    commands: tuple[str, ...] = ()
    tier: str = ""
    thread: str = ""
    goal: str = ""


@dataclass(slots=True, frozen=True)
class Hold:
    """The claim by which somebody holds the task already.

    Attributes:
        by_runner: a runner holds it, judges what the agent did, and lands the task or gives it back.
    """

    claim_id: str
    fence: int
    by_runner: bool = False


@dataclass(slots=True, frozen=True)
class _Lines:
    """The command lines of one packet."""

    of: Assignment
    tool: str
    session_id: str | None
    hold: Hold | None

    @property
    def caller(self) -> str:
        session = f" {shell.option('--session-id', self.session_id)}" if self.session_id else ""
        return f" --tool {shell.word(self.tool)}{session}"

    @property
    def step(self) -> str:
        of = self.of
        return f" {shell.option('--run', of.run)} {shell.option('--step', of.task)}"

    @property
    def place(self) -> str:
        """Where a fact belongs: run, step, parents and thread."""
        parents = shell.options("--parent-step", self.of.depends_on)
        thread = f" {shell.option('--thread', self.of.thread)}" if self.of.thread else ""
        return f"{self.step}{parents}{thread}"

    @property
    def paths(self) -> str:
        return shell.options("--path", map(shell.path, self.of.owns))

    @property
    def subject(self) -> str:
        # A line break at its end would stand in the line as it is (see `shell.word`).
        subject = self.of.intent[:SUBJECT_CHARS_MAX].rstrip("\n")
        return f" {shell.option('--subject', subject)}"

    def enter(self) -> str:
        return f"rally enter{self.caller}{self.paths}"

    def have_landed(self) -> str:
        conditions = shell.options("--until", (f"step:{step}" for step in self.of.depends_on))
        return (
            f"rally wait{self.caller} {shell.option('--run', self.of.run)}{conditions} --timeout 0s"
        )

    def sleep(self, conditions: Iterable[str], reason: str) -> str:
        until = shell.options("--until", conditions)
        return (
            f"rally say standby{self.caller}{self.place}{until} --wake-after {_PATIENCE}"
            f" --reason {shell.word(reason)}"
        )

    def claim(self) -> str:
        return f"rally say claim{self.caller}{self.place}{self.paths}{self.subject}"

    def check(self) -> str:
        fence = f" --fence {self.hold.fence}" if self.hold else ""
        return f"rally check before-write{self.caller}{self.step}{fence} --strict{self.paths}"

    def land(self) -> str:
        evidence = " --evidence 'the validation passed'" if self.of.validation else ""
        return f"rally say artifact{self.caller}{self.place}{self.subject}{evidence} --release"

    def complete(self) -> str:
        return f"rally check before-complete{self.caller}"

    def finish(self) -> str:
        return f"rally next{self.caller}" if self.hold else f"rally leave{self.caller}"

    def next(self) -> str:
        return f"rally next{self.caller} {shell.option('--run', self.of.run)}"

    def block(self) -> str:
        return (
            f"rally say blocker{self.caller}{self.step} --severity high --subject 'what is missing'"
        )

    def drop(self) -> str:
        of = self.of
        named = f"{shell.option('--run', of.run)} {shell.option('--id', of.task)}"
        return f"rally task drop{self.caller} {named} --reason 'why'"


def packet(
    assignment: Assignment, tool: str, *, session_id: str | None = None, hold: Hold | None = None
) -> str:
    """The prompt for the agent that is to carry out a task; ends in a line break.

    Args:
        tool: the agent's tool id.
        session_id: its session, where it has one.
        hold: the claim that it got with the task; without it the packet says how to get one.
    """
    lines = _Lines(assignment, tool, session_id, hold)
    sections = [
        *_opening(assignment, tool),
        *_boundary(assignment),
        *_loop(assignment, lines),
        *_in_the_way(assignment, lines),
        *_last_message(assignment),
    ]
    return "\n\n".join(sections) + "\n"


def _opening(of: Assignment, tool: str) -> list[str]:
    opening = (
        f"You are {_code(tool)}, one of several agents that work in this repository at the same "
        "time. `rally` keeps you from colliding: do what follows, in this order, and nothing else."
    )
    sections = [f"# Task {of.task} of run {_code(of.run)}", opening]
    if of.goal:
        sections += ["What the whole run is for:", _quotation(of.goal)]
    sections += ["## Intent", _quotation(of.intent)]
    if of.output:
        sections += ["## Output", "What the task is to produce:", _quotation(of.output)]
    if of.tier:
        sections.append(f"Tier: {_code(of.tier)}.")
    return sections


def _boundary(of: Assignment) -> list[str]:
    if not of.owns:
        text = "This task is read-only: you write, create and delete no file."
    else:
        owned = "\n".join(f"- {_code(path)}" for path in of.owns)
        text = (
            "These paths, relative to the repository's root, are yours; you write, create and delete "
            f"nothing else:\n\n{owned}"
        )
    sections = ["## Boundary", text]
    if of.depends_on:
        named = "\n".join(f"- {_code(step)}" for step in of.depends_on)
        sections += [
            "## Dependencies",
            f"What these steps of the run produced comes first:\n\n{named}",
        ]
    return sections


def _loop(of: Assignment, lines: _Lines) -> list[str]:
    steps: list[tuple[str, str]] = []
    by_runner = lines.hold is not None and lines.hold.by_runner
    if lines.hold is None:
        steps.append(("Come into the room, and read what it tells you.", _sh(lines.enter())))
        if of.depends_on:
            steps.append(_dependencies(of, lines))
        refused = (
            "Claim the step and its paths. Exit code 3: see “In the way”."
            if of.owns
            else "Claim the step. Exit code 3: another agent has the task; end your turn."
        )
        steps.append((refused, _sh(lines.claim())))
    else:
        held = f"claim {_code(lines.hold.claim_id)}, fence {lines.hold.fence}"
        steps.append((f"You hold the task already ({held}): begin.", ""))
    if of.owns:
        ask = (
            "Before you write, ask, and name the files that you are about to write. "
            "Exit code 4: stop and read the findings."
        )
        steps.append((ask, _sh(lines.check())))
    if of.commands:
        steps.append(("Commands that belong to the task:", _verbatim(of.commands)))
    if of.validation:
        validate = "Validate, in the repository's root. It must end with 0 before you go on."
        steps.append((validate, _verbatim([of.validation])))
    if by_runner:
        landing = (
            "End your turn with the message below. Whoever started you compares it with what git and "
            "the validation say, and lands the task. Say neither artifact nor release; claim nothing. "
            "`changed_files` names each file that you wrote, created or deleted, relative to the root."
        )
        steps.append((landing, ""))
    else:
        steps.append(("Land the task; this also ends your claim.", _sh(lines.land())))
        closing = "See that nothing of yours is left open, and go on." if lines.hold else (
            "See that nothing of yours is left open, and leave."
        )  # fmt: skip
        steps.append((closing, _sh(lines.complete(), lines.finish())))
    numbered = [
        f"{number}. {text}" + (f"\n\n{block}" if block else "")
        for number, (text, block) in enumerate(steps, start=1)
    ]
    intro = "Every line runs as it is in `sh`, in any folder of the repository."
    return ["## The loop", intro, *numbered]


def _dependencies(of: Assignment, lines: _Lines) -> tuple[str, str]:
    waits = f"waits for {', '.join(of.depends_on[:5])}" + (" …" if len(of.depends_on) > 5 else "")
    text = "Have the dependencies landed? Exit code 0: go on with the next step."
    not_yet = "Exit code 3: not yet. Then go to sleep until they have, and end your turn:"
    resume = (
        "You will be woken. To resume, ask what it is that you were woken for, and begin again with "
        "step 1; landing the task ends the standby."
    )
    conditions = [f"step:{step}" for step in of.depends_on]
    blocks = [
        _sh(lines.have_landed()), not_yet, _sh(lines.sleep(conditions, waits)), resume,
        _sh(lines.next()),
    ]  # fmt: skip
    return text, "\n\n".join(blocks)


def _in_the_way(of: Assignment, lines: _Lines) -> list[str]:
    sections = ["## In the way"]
    if lines.hold is not None and lines.hold.by_runner:
        text = (
            "Something is missing that you cannot make, or you cannot finish: undo what you wrote, and "
            "end your turn with the message below, with `failed: …` or `not run: …` and the reason."
        )
        return [*sections, text]
    if lines.hold is None and of.owns:
        conditions = [f"free:{path}" for path in of.owns]
        taken = (
            "Somebody else holds what you need: sleep until it is free, and end your turn. "
            "Begin again with step 1 when you are woken."
        )
        sections += [taken, _sh(lines.sleep(conditions, "what the task owns is claimed"))]
    return [
        *sections,
        "Something is missing that you cannot make: say what, and end your turn.",
        _sh(lines.block()),
        f"You cannot finish: undo what you wrote, and give the task back with {_code(lines.drop())}.",
    ]


def _last_message(of: Assignment) -> list[str]:
    task = json.dumps(of.task)
    files = '["…"]' if of.owns else "[]"
    results = "passed | failed: … | not run: …" if of.validation else "none"
    return [
        "## Your last message",
        "Your last message is one JSON object and nothing else:",
        f'```json\n{{"task": {task}, "changed_files": {files}, "validation_result": "{results}"}}\n```',
    ]


def _code(text: str) -> str:
    """A value as a code span, which nothing in the value can end."""
    shown = visible(text)
    ticks = "`"
    while ticks in shown:
        ticks += "`"
    blank = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{ticks}{blank}{shown}{blank}{ticks}"


def _quotation(text: str) -> str:
    """A text as a quotation: no line of it can be a heading or a command of the packet."""
    return "\n".join(f"> {line}".rstrip() for line in visible(text, keep_newlines=True).split("\n"))


def _sh(*lines: str) -> str:
    return _verbatim(lines)


def _verbatim(texts: Iterable[str]) -> str:
    """Shell text as a block, which nothing in the text can end."""
    shown = visible("\n".join(texts), keep_newlines=True)
    fence = "```"
    while fence in shown:
        fence += "`"
    return f"{fence}sh\n{shown}\n{fence}"

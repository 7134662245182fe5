"""What the agent reads: the packet, a plan of at most three steps, and later what was found.

The plan follows from the task alone; no model is asked for it. What others wrote (evidence of earlier
steps, output of commands) is quoted, so that no line of it can pass for an instruction of the packet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rally.execution.loop.holding import Taken
from rally.facilitation.packets import Hold, packet
from rally.model.visible import visible

_QUOTED_CHARS_MAX = 2_000
_QUOTED_MAX = 5


def plan(taken: Taken, dependencies: Sequence[Mapping[str, Any]]) -> list[str]:
    """The steps, two or three, one text each."""
    of = taken.assignment
    steps = []
    if dependencies:
        named = ", ".join(str(one["step"]) for one in dependencies)
        steps.append(f"Read what comes first: {named}.")
    if of.owns:
        paths = ", ".join(of.owns[:5]) + (
            f" and {len(of.owns) - 5} more" if len(of.owns) > 5 else ""
        )
        steps.append(f"Change {paths}, and nothing else, until the intent is met.")
    else:
        steps.append("Look, and write nothing, until the intent is met.")
    if of.validation:
        steps.append("Run the validation until it ends with 0; it is run again after you.")
    else:
        steps.append("Compare what there is with the intent; a judge does so after you.")
    return steps


def prompt(
    taken: Taken,
    caller: tuple[str, str],
    steps: Sequence[str],
    dependencies: Sequence[Mapping[str, Any]],
    found: Sequence[str],
) -> str:
    """The whole prompt of an attempt.

    Args:
        caller: tool and session.
        steps: the plan.
        dependencies: the steps that come first, with what landed them.
        found: what was wrong with the first attempt; empty in the first one.
    """
    hold = Hold(taken.claim_id, taken.fence, by_runner=True)
    text = packet(taken.assignment, caller[0], session_id=caller[1], hold=hold)
    numbered = [f"{number}. {visible(step)}" for number, step in enumerate(steps, start=1)]
    sections = ["## Plan", "\n".join(numbered)]
    for dependency in dependencies:
        sections += _produced(dependency)
    if found:
        quoted = "\n".join(f"> - {visible(one)}" for one in found)
        said = (
            "This is the second and last attempt; what the first one changed is still there. It was "
            "compared with git and the validation, and this is wrong with it:"
        )
        again = (
            "Put it right. `changed_files` lists all that differs from before the first attempt."
        )
        sections += ["## What was found", said, quoted, again]
    return text + "\n" + "\n\n".join(sections) + "\n"


def _produced(dependency: Mapping[str, Any]) -> list[str]:
    """What a step that comes first produced, as its artifact says."""
    artifact = dependency["artifact"] or {}
    texts = [artifact.get(name, "") for name in ("subject", "uri", "summary")]
    quoted = []
    for text in (*texts, *artifact.get("evidence", ())[:_QUOTED_MAX]):
        shown = visible(str(text)[:_QUOTED_CHARS_MAX], keep_newlines=True)
        quoted += [f"> {line}".rstrip() for line in shown.split("\n") if line]
    if not quoted:
        return []
    step = visible(str(dependency["step"]))
    return [f"Of step {step} it was said that it produced:", "\n".join(quoted)]

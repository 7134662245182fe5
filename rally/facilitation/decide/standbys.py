"""standby and wake: going dormant and coming back (contract S1-S4)."""

from __future__ import annotations

from rally.facilitation.decide.context import Context, Decision
from rally.facilitation.intake import Asked
from rally.model.clock import to_rfc3339
from rally.model.durations import DURATION_MS_MAX, parse_instant_ms
from rally.model.errors import Refused, UsageError
from rally.model.shell import word


def standby(context: Context, asked: Asked) -> Decision:
    """The tool sleeps until a time, a condition or a wake.

    Raises:
        UsageError: `bad-time`, `bad-duration`, `unknown-id`, or `missing-field` for a `step:` condition
            without `--run`.
    """
    content = context.begin(asked)
    if (wake_after := asked.options.get("wake_after")) is not None:
        wake_ms = parse_instant_ms(wake_after, context.now_ms, name="--wake-after")
        if not 0 <= wake_ms <= context.now_ms + DURATION_MS_MAX:
            raise UsageError(
                "bad-time", f"--wake-after is out of range: {wake_after!a}", hint="+30m"
            )
        content["wake_after"] = to_rfc3339(wake_ms)
    if "until" in content:
        content["until"] = [
            settle_condition(context, condition, content.get("run"))
            for condition in content["until"]
        ]
    return Decision([content])


def settle_condition(context: Context, condition: str, run: str | None) -> str:
    """A condition whose names are known to exist; a seq becomes the event id.

    Raises:
        UsageError: `unknown-id`, or `missing-field` without a run for `step:`.
    """
    form, _, rest = condition.partition(":")
    if form == "step" and not run:
        named, slash, step = rest.partition("/")  # a step as the room prints it: run/step
        hint = f"--run {word(named)} --until {word(f'step:{step}')}"
        raise UsageError(
            "missing-field", f"--until {condition} needs --run",
            hint=hint if slash else f"--run RUN --until {word(condition)}",
            details={"missing": ["run"]},
        )  # fmt: skip
    if form == "fact":
        return f"fact:{context.known(rest, '--until').event_id}"
    return condition


def wake(context: Context, asked: Asked) -> Decision:
    """The sleeper is active again.

    Raises:
        UsageError: `unknown-id`, `wrong-kind`.
        Refused: `already-closed`, when the standby has ended.
    """
    fact = context.known_kind(asked.content["ref"], "--ref-standby", ("standby",))
    content = context.begin(asked)
    if fact.event_id not in context.state.standbys:
        raise Refused(
            "already-closed", f"standby {fact.event_id} has ended already",
            hint=f"rally next --tool {asked.tool}",
        )  # fmt: skip
    return Decision([content])

"""check and check-ci: write boundaries, and what should not be open when work is merged."""

from __future__ import annotations

from rally.facilitation.checks.before_write import before_write
from rally.facilitation.checks.closing import before_complete, check_ci
from rally.facilitation.checks.finding import Finding, Question, allowed
from rally.facilitation.decide.context import Context
from rally.facilitation.ledger.port import FactQuery
from rally.facilitation.ops.common import LIST_LIMIT_DEFAULT, Ask, Reply
from rally.facilitation.state import leases
from rally.model.errors import UsageError
from rally.model.text import check_identity

_GIT_PHASES = ("before-commit", "range")
PHASES = ("before-write", "before-complete", *_GIT_PHASES)


async def check(ask: Ask) -> Reply:
    """Write boundaries (contract K1-K5).

    For the git phases `paths` are the files of the commits, relative to the room's root. git follows no
    link, so none is followed: one in the place of a folder would hide the files that were there.
    """
    params = ask.params
    phase = str(params.get("phase", ""))
    if phase not in PHASES:
        raise UsageError(
            "usage", f"no such check: {phase!a}", hint="rally check before-write --path src/app.py",
            details={"choices": list(PHASES)},
        )  # fmt: skip
    tool, session_id = ask.caller()
    fence = params.get("fence")
    step = None
    if params.get("run") and params.get("step"):
        step = (check_identity(params["run"], "--run"), check_identity(params["step"], "--step"))
    elif params.get("step"):
        raise UsageError("missing-field", "--step needs --run", hint="--run RUN")
    paths = ask.names() if phase in _GIT_PHASES else ask.paths()
    judge = before_complete if phase == "before-complete" else before_write

    def look(context: Context) -> list[Finding]:
        question = Question(
            context.state, context.now_ms, tool, session_id, paths,
            fence=fence, step=step, require_claim=bool(params.get("require_claim")),
        )  # fmt: skip
        return judge(question)

    findings, warnings = await ask.service.read_with_warnings(look, renews=(tool, session_id))
    if phase in _GIT_PHASES and not paths:
        # Nothing staged, nothing to say about paths: not the caller's mistake.
        findings = [finding for finding in findings if finding.code != "missing-path"]
    if fence is not None:
        findings = [await _with_claim(ask, one, fence) for one in findings]
    strict = bool(params.get("strict"))
    data = {
        "phase": phase,
        "tool": tool,
        "allow": allowed(findings),
        "mode": "strict" if strict else "warn",
        "paths": list(paths),
        "findings": [finding.as_json() for finding in findings],
    }
    return Reply(data, warnings)


async def _with_claim(ask: Ask, found: Finding, fence: int | None) -> Finding:
    """A stale fence with the claim that it was of; that has ended, so only the ledger knows it."""
    if found.code != "stale-fence":
        return found
    claim = (await ask.service.ledger.by_id([str(fence)])).get(str(fence))
    if claim is None or claim.kind != "claim":
        return found
    found = found._replace(fact_id=claim.event_id, owner=claim.tool)
    if leases.owns(claim, *ask.caller()):
        return found
    return found._replace(
        message=f"the claim with fence {fence} was not the caller's but {claim.tool}'s"
    )


async def ci(ask: Ask) -> Reply:
    """What should not be open when work is merged (contract K6)."""
    limit = ask.limit(LIST_LIMIT_DEFAULT)
    bare = FactQuery(
        kinds=frozenset({"artifact"}), hide_retracted=True, newest_first=True,
        limit=limit or None, where=lambda fact: fact.has_effect and not fact.get("evidence"),
    )  # fmt: skip
    artifacts = await ask.service.ledger.select(bare)
    findings = await ask.service.read(
        lambda context: check_ci(context.state, context.now_ms, artifacts[::-1])
    )
    strict = bool(ask.params.get("strict"))
    data = {
        "mode": "strict" if strict else "warn",
        "clean": not findings,
        "findings": [finding.as_json() for finding in findings],
    }
    return Reply(data, [])

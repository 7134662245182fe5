"""dag: the graph of a run, from its history and what the live state knows of it (contract P5)."""

from __future__ import annotations

from typing import Any

from rally.facilitation.decide.context import Context
from rally.facilitation.ops.common import Ask, Reply
from rally.facilitation.projections.dag import dag as graph_of
from rally.facilitation.projections.dag_live import live_run
from rally.facilitation.service import RoomService
from rally.model.errors import UsageError
from rally.model.text import check_identity


async def dag(ask: Ask) -> Reply:
    """The graph of one run."""
    run = ask.params.get("run")
    if not run:
        raise UsageError("missing-field", "dag needs --run", hint="rally dag --run RUN")
    check_identity(run, "--run")
    return Reply(*await dag_of_run(ask.service, run))


async def dag_of_run(service: RoomService, run: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The graph of a run, and its warnings."""
    facts = await service.ledger.run_facts(run)
    retracted = await service.ledger.retracted([fact.event_id for fact in facts])

    def look(context: Context) -> tuple[dict[str, Any], list[dict[str, str]]]:
        live = live_run(context.state, run, context.now_ms)
        return graph_of(run, facts, retracted=retracted, live=live, now_ms=context.now_ms)

    return await service.read(look)

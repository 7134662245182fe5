"""From a host's event to its answer, whatever goes wrong on the way."""

from __future__ import annotations

from rally.cli.hook.call import Call, read_payload
from rally.cli.hook.failing import failed
from rally.cli.hook.moments import MOMENTS
from rally.cli.hook.request import Request
from rally.cli.plan import OutputClosedError, Session
from rally.hosts.hooks import Answer, PayloadError
from rally.hosts.known import HOOKS
from rally.model.errors import RallyError
from rally.model.visible import visible

# Less than the relay's patience: a daemon that lives but cannot get at the ledger says so itself, and
# what it cannot reach, another process could not either.
LIMIT_S = 2.5


async def run_hook(session: Session, request: Request) -> int:
    """Answer one event and return the exit code; whatever goes wrong, the host gets an answer."""
    import asyncio  # direct mode has imported it without ssl by now

    call = session.call
    why = ""
    try:
        async with asyncio.timeout(LIMIT_S):
            answer = await _answer(session, request)
    except TimeoutError:
        why = f"no answer within {LIMIT_S:g} s"
    except PayloadError as error:
        why = str(error)
    except RallyError as error:
        why = f"{error.code}: {error.message}"
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        answer = failed(request, why, call.env)
    try:
        call.out(answer.stdout)
        call.err(answer.stderr)
        if why and call.colour:  # a person tries it out; hosts read through a pipe
            call.err(f"rally hook: {visible(why)}\n".encode(errors="backslashreplace"))
    except OutputClosedError:
        pass  # the exit code is left
    return answer.code


async def _answer(session: Session, request: Request) -> Answer:
    if request.problem:
        raise PayloadError(request.problem)
    hooks = HOOKS.get(request.host)
    if hooks is None:
        raise PayloadError(f"no such host; known are {', '.join(HOOKS)}")
    moment = hooks.events.get(request.event)
    if moment is None:
        raise PayloadError(f"no such event; known are {', '.join(hooks.events)}")
    payload = read_payload(session.call.stdin)
    return await MOMENTS[moment](Call(session, request, hooks, payload))

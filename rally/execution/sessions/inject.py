"""Handing a text to an agent, and saying truthfully how far it came (contract X2).

Three results that are never mixed up: the text *reached* the terminal of the target, it is *queued* (a
handoff in the ledger, open in the target's inbox), it was *acknowledged* (a receipt of the target).
Whether the agent read what reached its terminal, nobody knows but the agent.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from rally.execution.sessions.book import Book, Doc
from rally.execution.sessions.life import DEAD, GONE, RUNNING, Life, look_at
from rally.execution.sessions.paste import Pasted, paste
from rally.execution.sessions.text import (
    TEXT_BYTES_MAX,
    checked,
    fits_ledger,
    handoff_text,
    subject_of,
    with_receipt,
)
from rally.model.durations import format_duration
from rally.model.errors import Failure, RallyError, Refused, UsageError
from rally.model.kinds import SUMMARY_BYTES_MAX
from rally.model.shell import word

Warnings = list[dict[str, str]]
NO_SESSION = "no-session"
# Why nothing may be put into a pane, by the state of its session.
_REASONS = {GONE: "gone", DEAD: "dead"}


@dataclass(slots=True, frozen=True)
class Message:
    """What is to be handed over: a text, or a handoff that is in the ledger.

    Attributes:
        text: cleaned; None for a handoff.
        handoff: the handoff's id; None for a text.
        enter: press Enter after it.
        ack_timeout_ms: how long to wait for a receipt; None: not at all.
    """

    text: str | None
    handoff: str | None
    enter: bool
    ack_timeout_ms: int | None


def message(
    *, text: str | None, handoff: str | None, enter: bool, ack_timeout_ms: int | None
) -> Message:
    """A message that can be handed over.

    Raises:
        UsageError: not exactly one of text and handoff, or a text that cannot be delivered.
    """
    if (text is None) == (handoff is None):
        raise UsageError(
            "usage", "inject takes either --text or --handoff", hint="--text 'what to do'"
        )
    if text is not None:
        text = checked(text)
        if ack_timeout_ms is not None and not fits_ledger(text):
            raise UsageError(
                "too-long",
                f"--require-ack records the text as a handoff, of at most {SUMMARY_BYTES_MAX} bytes",
                hint="put it into a file, and inject the file's name",
            )
    return Message(text, handoff, enter, ack_timeout_ms)


async def inject(book: Book, target: str, message: Message) -> tuple[Doc, Warnings]:
    """Hand a message to a session.

    Raises:
        UsageError: `unknown-session`, `ambiguous-session`, `unknown-id`, `wrong-kind`; nothing was
            delivered or written.
        Refused: `not-target`, `already-closed`: the handoff is another tool's, or over.
        Failure: `undelivered`: the text did not reach the terminal and is too long to be queued.
    """
    session = await book.find(target)
    tool = str(session["tool"]) if session else await book.tool_of(target)
    handoff = await _handoff(book, message.handoff, tool) if message.handoff else None
    warnings: Warnings = []
    if message.ack_timeout_ms is not None and handoff is None:
        handoff = await _record(book, tool, message, warnings)
    life = look_at(session, book.env) if session else None
    pasted = await _deliver(book, life, _words(message, handoff, tool), enter=message.enter)
    if not pasted.reached and handoff is None:
        handoff = await _queue(book, tool, message, pasted.reason, warnings)
    data: Doc = {
        "target": target,
        "name": session["name"] if session else None,
        "tool": tool,
        "reached_target": pasted.reached,
        "submitted": pasted.submitted,
        "queued": not pasted.reached,
        "reason": pasted.reason or None,
        "handoff_id": handoff["event_id"] if handoff else None,
        "ack": _no_ack(),
    }
    if message.ack_timeout_ms is not None and handoff is not None and pasted.reached:
        timeout_ms = message.ack_timeout_ms
        data["ack"] = await _wait_for_ack(book, handoff, tool, timeout_ms, warnings)
    return data, warnings


def _words(message: Message, handoff: Doc | None, tool: str) -> str:
    if message.text is None:
        assert handoff is not None
        return _cut(handoff_text(handoff, tool))
    return message.text if handoff is None else with_receipt(message.text, handoff, tool)


def _cut(text: str) -> str:
    """A handoff's text within the limit: its evidence alone may be longer."""
    raw = text.encode()
    if len(raw) <= TEXT_BYTES_MAX:
        return text
    tail = text[-2_000:]  # how to answer stands at the end
    head = raw[: TEXT_BYTES_MAX - len(tail.encode()) - 16].decode(errors="ignore")
    return f"{head}\n[…]\n{tail}"


async def _handoff(book: Book, wanted: str, tool: str) -> Doc:
    found = await book.session("handoff", id=wanted, target=tool)
    fact: Doc = found["fact"]
    if fact["target"] not in (tool, "all"):
        raise Refused(
            "not-target", f"{fact['event_id']} is addressed to {fact['target']}, not to {tool}",
            hint=f"rally inject {word(fact['target'])} --handoff {fact['event_id']}",
            details={"target": fact["target"]},
        )  # fmt: skip
    if not found["open"]:
        raise Refused(
            "already-closed", f"{fact['event_id']} asks nothing of {tool} any more",
            hint=f"rally show {fact['event_id']}",
        )  # fmt: skip
    return fact


async def _record(book: Book, tool: str, message: Message, warnings: Warnings) -> Doc:
    """Write the text down as a handoff of intent `message`, so that it can be answered."""
    assert message.text is not None
    fields: Doc = {"subject": subject_of(message.text), "intent": "message", "target": tool}
    if message.text.strip() != fields["subject"]:
        fields["summary"] = message.text
    if message.ack_timeout_ms:
        fields["ack_within"] = format_duration(message.ack_timeout_ms)
    said = await book.call("say", kind="handoff", **book.caller, **fields)
    # That nobody entered under the operator's name is no news to the operator.
    warnings += [one for one in said.warnings if one["code"] != "not-entered"]
    fact: Doc = said["fact"]
    return fact


async def _queue(book: Book, tool: str, message: Message, reason: str, warnings: Warnings) -> Doc:
    assert message.text is not None
    if not fits_ledger(message.text):
        raise Failure(
            "undelivered",
            f"the text did not reach {tool} ({reason}), and is too long to wait in its inbox",
            hint=f"put it into a file, and inject its name; at most {SUMMARY_BYTES_MAX} bytes are kept",
            details={"reason": reason, "tool": tool},
        )
    return await _record(book, tool, message, warnings)


async def _deliver(book: Book, life: Life | None, text: str, *, enter: bool) -> Pasted:
    if life is None:
        return Pasted(False, False, NO_SESSION)
    blocked = _blocked(life, book)
    if blocked or life.pane is None:
        return Pasted(False, False, blocked)
    root = await book.root()
    pasted = await asyncio.to_thread(paste, life.tmux, life.pane.pane, text, enter=enter, root=root)
    if pasted.reason in ("copy-mode", "gone"):  # what stands in the way now?
        reason = _blocked(look_at(life.session, book.env), book) or pasted.reason
        return pasted._replace(reason=reason)
    return pasted


def _blocked(life: Life, book: Book) -> str:
    """Why nothing should be put into this pane; empty where something may."""
    if life.state != RUNNING or life.pane is None:
        return _REASONS.get(life.state, "unknown")
    if life.pane.in_mode:
        return "copy-mode"
    return "shell-prompt" if life.at_prompt(book.env) else ""


def _ack(receipt: Doc) -> Doc:
    return {
        "received": True, "state": receipt["state"], "event_id": receipt["event_id"],
        "timed_out": False,
    }  # fmt: skip


def _no_ack() -> Doc:
    return {"received": False, "state": None, "event_id": None, "timed_out": False}


async def _wait_for_ack(
    book: Book, handoff: Doc, tool: str, timeout_ms: int, warnings: Warnings
) -> Doc:
    """The target's receipt to a handoff, also one that was there before; it waits on the room.

    Nothing is an error here: the text is delivered, and an error would have it delivered again.
    """
    link = await book.link()

    def acknowledges(fact: Doc) -> bool:
        return fact.get("ref") == handoff["event_id"] and bool(fact["tool"] == tool)

    try:
        # However short the wait is, what is there already is seen.
        known = (await link.call("show", id=handoff["event_id"]))["referred_by"]
        for fact in known:
            if fact["kind"] == "receipt" and acknowledges(fact):
                return _ack(fact)
        async with asyncio.timeout(timeout_ms / 1_000):
            events = link.follow(since=handoff["seq"], want=["facts"], kinds=["receipt"])
            async with aclosing(events):
                async for event in events:
                    for fact in event.get("facts", ()):
                        if acknowledges(fact):
                            return _ack(fact)
    except TimeoutError:
        return {**_no_ack(), "timed_out": True}
    except RallyError as error:
        message = f"whether {tool} answered is not known: {error.message}"
        warnings.append({"code": "ack-unknown", "message": message})
    finally:
        await link.close()
    return _no_ack()

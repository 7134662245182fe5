"""The door: what a caller sent becomes checked content, or a usage error; nothing is decided here.

Every field is checked by the one table in `model.kinds`, whatever way it came in (command line,
socket, program), so all doors accept and refuse the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from rally.model.durations import parse_duration_ms
from rally.model.errors import UsageError
from rally.model.kinds import (
    EVIDENCE_ENTRIES_MAX,
    FIELD_BY_NAME,
    KIND_BY_NAME,
    LIST_ENTRIES_MAX,
    PATHS_MAX,
    SAY_FIELDS,
    SAYABLE,
    Field,
)
from rally.model.text import check_choice, check_encodable, check_identity, check_tool, nearest

TTL_MS_MIN = 1_000
TTL_MS_MAX = 7 * 86_400_000
TTL_MS_DEFAULT = 30 * 60_000
WAIT_MS_MAX = 24 * 3_600_000
# -9223372036854775808, and nothing longer, may fit into 64 bits.
_INTEGER_CHARS_MAX = 20
# Values that work, for hints that can be pasted.
_SAMPLES = {
    "subject": "'what it is about'", "target": "codex:1", "ref": "12", "ref_standby": "12",
    "reason": "'why'", "state": "accepted", "paths": "src/app.py", "resources": "port:5432",
}  # fmt: skip

# What counts as not given; but a time that is empty is a mistake, and not the default.
_NOTHING: tuple[Any, ...] = ("", [], (), {}, False)
_TIMES = ("duration", "instant")

Canonical = Callable[[str], str]


@dataclass(slots=True)
class Asked:
    """One checked wish to write a fact.

    Attributes:
        content: fields in their stored form, empty ones absent, paths canonical. Times that depend
            on the moment of writing are still as written, under `options`.
        options: what steers the decision and is not stored: `ttl_ms`, `wait_ms`, `ack_within_ms`,
            `wake_after` (text), `force`, `release`.
        origin: `watch:<label>` where a watcher's child says it; every fact that the wish leads to
            carries it.
    """

    kind: str
    tool: str
    session_id: str | None
    content: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    origin: str | None = None


def check_kind(kind: str) -> str:
    """A kind that `say` writes.

    Raises:
        UsageError: `unknown-kind` (lists the kinds, names a near miss) or `not-sayable`.
    """
    known = KIND_BY_NAME.get(kind)
    if known is None:
        near = nearest(kind, SAYABLE)
        raise UsageError(
            "unknown-kind",
            f"unknown kind {kind!a}; the kinds are: {' '.join(SAYABLE)}",
            hint=f"rally say {near}" if near else "rally say note",
            details={"kinds": list(SAYABLE), "nearest": near},
        )
    if known.command:
        raise UsageError(
            "not-sayable", f"`say` does not write {kind!r} facts", hint=f"{known.command} --help"
        )
    return kind


def check_caller(tool: str | None, session_id: str | None) -> tuple[str, str | None]:
    """Who calls.

    Raises:
        UsageError: `missing-tool`, `bad-tool`, or what `check_identity` raises.
    """
    if not tool:
        raise UsageError(
            "missing-tool", "who is calling? no --tool was given",
            hint="--tool claude:1, or export RALLY_TOOL=claude:1",
        )  # fmt: skip
    check_tool(tool)
    if session_id:
        check_identity(session_id, "--session-id")
    return tool, session_id or None


def admit(
    kind: str,
    caller: tuple[str, str | None],
    given: Mapping[str, Any],
    canonical: Canonical,
) -> Asked:
    """Check everything that was given for one `say`.

    Args:
        kind: the kind as it was typed.
        caller: tool and session id, checked already.
        given: values by field name (see `SAY_FIELDS`); None, empty text, empty lists and empty
            objects count as not given, except that an empty time is said to be none.
        canonical: brings one path to the one form (contract C1).

    Raises:
        UsageError: for the first value that is wrong. Nothing is written.
    """
    check_kind(kind)
    asked = Asked(kind, caller[0], caller[1], {})
    for name in given:
        if name not in FIELD_BY_NAME:
            raise UsageError("bad-field", f"no such field: {name!a}", hint="rally say --help")
    for spec in SAY_FIELDS:
        value = given.get(spec.name)
        if value is None or (value in _NOTHING and not (value == "" and spec.form in _TIMES)):
            continue
        if spec.kinds and kind not in spec.kinds:
            raise UsageError(
                "bad-field",
                f"{spec.flag} does not go with {kind}; it goes with {', '.join(spec.kinds)}",
                hint=f"rally say {spec.kinds[0]} --help",
            )
        _admit_value(asked, spec, value, canonical)
    _require(kind, asked)
    return asked


def _require(kind: str, asked: Asked) -> None:
    # A subject of nothing but blanks says nothing.
    said = {name for name, value in asked.content.items() if str(value).strip()}
    have = said | asked.options.keys()
    if "ref_standby" in have:
        asked.content["ref"] = asked.options.pop("ref_standby")
    for required in KIND_BY_NAME[kind].requires:
        names = (required,) if isinstance(required, str) else required
        if have.isdisjoint(names):
            flags = " or ".join(FIELD_BY_NAME[name].flag for name in names)
            raise UsageError(
                "missing-field", f"{kind} needs {flags}",
                hint=f"{FIELD_BY_NAME[names[0]].flag} {_SAMPLES[names[0]]}",
                details={"missing": list(names)},
            )  # fmt: skip
    if kind == "claim":
        _require_something_to_hold(asked)


def _require_something_to_hold(asked: Asked) -> None:
    content = asked.content
    takes_step = "run" in content and "step" in content
    if not (content.get("paths") or content.get("resources") or takes_step):
        raise UsageError(
            "claims-nothing",
            "a claim must name what it holds: --path, --resource, or --run with --step",
            hint="rally say claim --path src/",
        )


def _admit_value(asked: Asked, spec: Field, value: Any, canonical: Canonical) -> None:
    values = value if spec.many else [value]
    if not isinstance(values, list | tuple):
        values = [values]
    most = {"paths": PATHS_MAX, "evidence": EVIDENCE_ENTRIES_MAX}.get(spec.name, LIST_ENTRIES_MAX)
    if len(values) > most:
        raise UsageError(
            "too-long", f"{spec.flag} was given {len(values)} times, at most {most} are allowed",
            hint="say it in several facts",
        )  # fmt: skip
    checked = [_check_one(spec, one, canonical) for one in values]
    if spec.form in _TIMES:
        _admit_time(asked, spec, checked[0])
    elif not spec.stored:
        asked.options[spec.name] = checked[0]
    elif spec.name == "evidence":  # two runs may print the same; the others are sets
        asked.content[spec.name] = checked
    elif spec.many:
        asked.content[spec.name] = list(dict.fromkeys(checked))
    elif checked[0] != {}:
        asked.content[spec.name] = checked[0]


def _admit_time(asked: Asked, spec: Field, text: str) -> None:
    if spec.name == "ttl":
        asked.options["ttl_ms"] = parse_duration_ms(
            text, min_ms=TTL_MS_MIN, max_ms=TTL_MS_MAX, name="--ttl"
        )
    elif spec.name == "wait":
        asked.options["wait_ms"] = parse_duration_ms(text, max_ms=WAIT_MS_MAX, name="--wait")
    elif spec.name == "ack_within":
        asked.options["ack_within_ms"] = parse_duration_ms(text, min_ms=1_000, name="--ack-within")
    else:
        asked.options["wake_after"] = text


def _check_one(spec: Field, value: Any, canonical: Canonical) -> Any:  # noqa: PLR0911
    """One value in its stored form. (One return per form reads better than a chain.)"""
    if spec.form == "switch":
        return bool(value)
    if spec.form == "json":
        return check_data(value)
    if not isinstance(value, str):
        raise UsageError(
            "bad-value", f"{spec.flag} must be text, not {type(value).__name__}: {value!a}",
            hint=f"{spec.flag} TEXT",
        )  # fmt: skip
    if spec.form == "path":
        return canonical(value)
    if spec.form == "identity":
        return check_identity(value, spec.flag)
    if spec.form == "tool":
        return check_tool(value, name=spec.flag, reserved_ok=frozenset({"all"}))
    if spec.form == "condition":
        return check_condition(value, canonical)
    if spec.form == "choice":
        return check_choice(value, spec.flag, spec.choices)
    raw = check_encodable(value, spec.flag)
    size, unit = (len(value), "characters") if spec.name == "subject" else (len(raw), "bytes")
    if size > spec.limit:
        raise UsageError(
            "too-long", f"{spec.flag} has {size} {unit}, at most {spec.limit} are allowed",
            hint="shorten it, or put it into a file and name that with --uri",
        )  # fmt: skip
    return value


def check_data(value: Any) -> dict[str, Any]:
    """A JSON object, given as text or (through the socket) as an object.

    Raises:
        UsageError: `bad-value`, when it is no JSON object; `bad-text`, when a text in it holds NUL
            or is not UTF-8.
    """
    try:
        document = orjson.loads(value) if isinstance(value, str) else value
        raw = orjson.dumps(document)
        if isinstance(value, str):
            _check_as_written(value)
    except (TypeError, ValueError, UnicodeEncodeError):
        shown = value if not isinstance(value, str) or len(value) < 60 else value[:60] + "..."
        raise UsageError(
            "bad-value", f"--data is not JSON: {shown!a}", hint="""--data '{"port": 5432}'"""
        ) from None
    if not isinstance(document, dict):
        raise UsageError(
            "bad-value", f"--data is a JSON {type(document).__name__}, not an object",
            hint="""--data '{"port": 5432}'""",
        )  # fmt: skip
    # Without its escaped backslashes, so that a backslash before the letters u0000 is no NUL.
    if b"\\u0000" in raw.replace(b"\\\\", b""):
        raise UsageError("bad-text", "--data holds a NUL character", hint="send it without")
    return document


def _check_as_written(text: str) -> None:
    """Refuse JSON that would not be stored as it is written: readers differ in what they make of it.

    Raises:
        UsageError: `bad-value`; a key stands twice in one object, or a whole number does not fit into
            64 bits.
    """
    import json  # who sends data

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise UsageError(
                "bad-value", f"--data has the key {twice[:60]!a} twice in one object",
                hint="""--data '{"port": 5432}'""",
            )  # fmt: skip
        return found

    def whole(digits: str) -> int:
        if len(digits) > _INTEGER_CHARS_MAX or not -(2**63) <= int(digits) < 2**64:
            shown = digits if len(digits) < 60 else digits[:60] + "..."
            raise UsageError(
                "bad-value", f"--data has a number that does not fit into 64 bits: {shown}",
                hint=f"""--data '{{"number": "{shown}"}}'""",
            )  # fmt: skip
        return 0

    try:
        json.loads(text, object_pairs_hook=checked, parse_int=whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def check_condition(value: str, canonical: Canonical) -> str:
    """A condition of contract S4 in its stored form: `step:ID`, `fact:ID` or `free:PATH`.

    Raises:
        UsageError: `bad-condition`, or what the path or the identity raises.
    """
    form, colon, rest = value.partition(":")
    if not colon or not rest or form not in ("step", "fact", "free"):
        raise UsageError(
            "bad-condition", f"--until is {value!a}; it must be step:ID, fact:ID or free:PATH",
            hint="--until free:src/app.py",
        )  # fmt: skip
    if form == "free":
        return f"free:{canonical(rest)}"
    return f"{form}:{check_identity(rest, '--until')}"

"""From parameters to a checked wish: the one door for whatever wants to write a fact."""

from __future__ import annotations

from rally.facilitation.intake import Asked, admit, check_caller
from rally.facilitation.ops.common import Params
from rally.facilitation.places import Place, canonical_path

NOT_FIELDS = frozenset({"kind", "tool", "session_id", "room"})


def wish(place: Place, params: Params) -> Asked:
    """The checked wish behind `say` parameters; the same for every door.

    Raises:
        UsageError: whatever is wrong with them.
    """
    caller = check_caller(params.get("tool"), params.get("session_id"))
    given = {name: value for name, value in params.items() if name not in NOT_FIELDS}
    kind = str(params.get("kind", ""))
    asked = admit(kind, caller, given, lambda raw: canonical_path(raw, place))
    data = asked.content.get("data", {})
    if place.top != place.root and (kind == "enter" or (kind == "claim" and not data)):
        # Whose worktree it is: the boundary sentinel and the git guard go by it. What a claimer put
        # into its claim to know it again stays as it is.
        asked.content["data"] = {**data, "worktree": place.top}
    return asked

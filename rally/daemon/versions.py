"""Which of two versions of rally gives way to the other."""

from __future__ import annotations

import re


def is_superseded_by(own: str, other: str) -> bool:
    """Whether a daemon of version `own` leaves for a client of version `other`.

    The newer one stays, so that two versions that are used side by side do not replace each other
    for ever; the older one's commands then run without a daemon. Versions of one release that are
    spelled differently (`1.0.0rc1`, `1.0.0`) have no order here, and the newcomer wins.
    """
    return own != other and _release(other) >= _release(own)


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()

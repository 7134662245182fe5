"""The register of this user's rooms, for `rally status`: one small file per room, nothing more.

It is a convenience, never the truth: an entry whose room is gone is skipped, and a state folder that
cannot be written only means that `status` does not list the room.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from rally.facilitation.files import write_whole
from rally.wire.locations import state_home

# Linux's PATH_MAX; macOS has less.
_PATH_BYTES_MAX = 4096


class Register:
    """The rooms that were opened for one user.

    Args:
        env: the caller's environment: XDG_STATE_HOME and HOME decide where the register is.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._folder = Path(state_home(env), "rooms")

    def add(self, root: str) -> None:
        """Note a room; repeatable, never an error."""
        name = sha256(os.fsencode(root)).hexdigest()[:16]
        entry = self._folder / name
        if entry.exists():
            return
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = entry.with_name(f".{name}.{os.getpid()}")
            write_whole(entry, os.fsencode(root), partial=partial, is_durable=False)

    def roots(self) -> list[str]:
        """The rooms noted so far, sorted; some may be gone."""
        found = []
        with suppress(OSError):
            for entry in self._folder.iterdir():
                if not entry.name.startswith("."):
                    with suppress(OSError):
                        found.append(_root_in(entry))
        return sorted(root for root in found if root)


def _root_in(entry: Path) -> str:
    """The room that an entry names; empty where it cannot be one (somebody else's file, torn)."""
    with entry.open("rb") as file:
        raw = file.read(_PATH_BYTES_MAX + 1)
    is_path = raw.startswith(b"/") and b"\0" not in raw and len(raw) <= _PATH_BYTES_MAX
    return os.fsdecode(raw) if is_path else ""

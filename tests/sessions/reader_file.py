"""What `reader.py` has kept."""

from __future__ import annotations

from pathlib import Path

START, END = b"\x1b[200~", b"\x1b[201~"


class Received:
    """The bytes that came since somebody looked last.

    Args:
        path: the reader's file.
        channel: the tmux channel that it tells.
    """

    def __init__(self, path: Path, channel: str) -> None:
        self.path = path
        self.channel = channel
        self._offset = 0
        self._outside = b""

    def take(self) -> bytes:
        """All that came."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            raw = file.read()
        self._offset += len(raw)
        return raw

    def pasted(self) -> list[bytes]:
        """What came in bracketed pastes, one entry each; what came outside waits in `outside`."""
        pieces = []
        before, *rest = self.take().split(START)
        outside = [before]
        for one in rest:
            inside, _, after = one.partition(END)
            pieces.append(inside)
            outside.append(after)
        self._outside += b"".join(outside)
        return pieces

    def outside(self) -> bytes:
        """What came outside of pastes."""
        raw, self._outside = self._outside, b""
        return raw

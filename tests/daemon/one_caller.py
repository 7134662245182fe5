"""A server in the daemon's place, for what the real daemon cannot be made to do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_S = 30.0


@contextmanager
def listening(env: dict[str, str], answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """It treats its first caller as `answer` does, then is gone.

    The real daemon cannot be made to fail at exactly one point of an exchange.
    """
    folder = Path(env["RALLY_RUNTIME_DIR"])
    folder.mkdir(mode=0o700, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "rallyd.sock"))
    listener.listen()

    def serve() -> None:
        caller, _ = listener.accept()
        (folder / "rallyd.sock").unlink()
        listener.close()
        with caller:
            answer(caller)

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    thread.join(_PATIENCE_S)

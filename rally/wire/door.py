"""Knocking at the daemon's socket: the relay's and every program's way in (contract T1)."""

from __future__ import annotations

import _socket

from rally.wire.locations import SOCKET_NAME, SocketAddress, check_private_dir, runtime_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# A connection is granted by the kernel unless the daemon has stopped accepting; then this ends the
# wait.
KNOCK_S = 2.0


def knock(env: Mapping[str, str]) -> _socket.socket | None:
    """A blocking connection to this user's daemon.

    Returns None where none listens, and where the folder of the socket is not this user's alone:
    another user could answer there. Nothing was sent in either case.
    """
    sock = None
    try:
        folder = runtime_dir(env)
        check_private_dir(folder)
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        sock.settimeout(KNOCK_S)
        with SocketAddress(f"{folder}/{SOCKET_NAME}") as address:
            sock.connect(address)
        sock.settimeout(None)
    except OSError:
        if sock is not None:
            sock.close()
        return None
    return sock

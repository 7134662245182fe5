"""Who is at the other end of a Unix socket (contract T1)."""

from __future__ import annotations

import socket
import struct

# struct ucred of Linux: pid, uid, gid.
_UCRED = struct.Struct("3i")
# macOS, <sys/un.h> and <sys/ucred.h>: struct xucred begins with a version and the effective uid.
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1
_XUCRED_HEAD, _XUCRED_BYTES = struct.Struct("2I"), 76


def peer_uid(sock: socket.socket) -> int:
    """The user id of the process that opened the connection, as the kernel recorded it.

    Raises:
        OSError: the kernel does not say.
    """
    if hasattr(socket, "SO_PEERCRED"):  # Linux
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return int(_UCRED.unpack(credentials)[1])
    credentials = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES)
    return int(_XUCRED_HEAD.unpack_from(credentials)[1])

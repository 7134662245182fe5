"""The two conversations with systemd, in the few lines that they need.

Sources: sd_listen_fds(3) and sd_notify(3), whose protocols are declared stable.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

_FIRST_FD = 3


def inherited_socket(env: MutableMapping[str, str]) -> socket.socket | None:
    """The listening socket that systemd opened for this process, None if it did not.

    The variables are taken out of `env`, so that nothing else takes them for its own.

    Raises:
        OSError: what was handed over is not one listening Unix stream socket.
    """
    pid, count = env.pop("LISTEN_PID", ""), env.pop("LISTEN_FDS", "")
    env.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or count in ("", "0"):
        return None
    if count != "1":
        raise OSError(f"systemd handed over {count} sockets; rallyd takes one")
    handed = socket.socket(fileno=_FIRST_FD)
    os.set_inheritable(_FIRST_FD, False)
    is_listening = handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if handed.family != socket.AF_UNIX or handed.type != socket.SOCK_STREAM or not is_listening:
        raise OSError("the socket that systemd handed over is not a listening Unix stream socket")
    return handed


def notify(env: MutableMapping[str, str], state: str) -> None:
    """Tell systemd a state such as `READY=1`; nothing happens where it does not ask for it."""
    address = env.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            # Not being heard is no reason not to serve.
            return

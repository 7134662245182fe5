"""The systemd user units (contract X3)."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

from rally.wire.locations import socket_path

UNITS = Path(__file__).parents[2] / "systemd"


def unit(name: str) -> ConfigParser:
    # Settings may stand twice in a unit, and a percent sign is a specifier of systemd's.
    parsed = ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment]
    parsed.read_string((UNITS / name).read_text())
    return parsed


def test_systemd_listens_where_the_commands_knock() -> None:
    """`%t` is XDG_RUNTIME_DIR in a user unit; folder and socket are private (contract T1)."""
    listens = unit("rallyd.socket")["Socket"]
    where = listens["ListenStream"].replace("%t", "/run/user/1000")
    assert where == socket_path({"XDG_RUNTIME_DIR": "/run/user/1000"})
    assert (listens["DirectoryMode"], listens["SocketMode"]) == ("0700", "0600")


def test_the_service_waits_for_the_daemon_to_be_ready_and_takes_its_rights_away() -> None:
    """It speaks sd_notify, and neither privileges nor the network are within its reach."""
    service = unit("rallyd.service")["Service"]
    assert service["Type"] == "notify"
    assert service["ExecStart"].endswith("/rally daemon run")
    assert service["NoNewPrivileges"] == "yes"
    assert service["RestrictAddressFamilies"] == "AF_UNIX"

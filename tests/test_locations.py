"""Where the daemon is met: the same answer in every process, and only in a private folder."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rally.wire import locations
from rally.wire.locations import (
    NotAbsoluteError,
    NotPrivateError,
    SocketAddress,
    check_private_dir,
    ensure_private_dir,
    runtime_dir,
    socket_path,
    state_home,
)

UID = os.geteuid()


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"RALLY_RUNTIME_DIR": "/r/x/", "XDG_RUNTIME_DIR": "/run/user/7"}, "/r/x"),
        ({"RALLY_RUNTIME_DIR": "", "XDG_RUNTIME_DIR": "/run/user/7/"}, "/run/user/7/rally"),
        ({"XDG_RUNTIME_DIR": "relative", "TMPDIR": "/t/"}, f"/t/rally-{UID}"),
        ({"TMPDIR": "relative"}, f"/tmp/rally-{UID}"),
        ({}, f"/tmp/rally-{UID}"),
    ],
)
def test_the_runtime_folder_follows_the_environment(env: dict[str, str], expected: str) -> None:
    """Contract R4: rally's own variable, the session's folder, the temp folder."""
    assert runtime_dir(env) == expected
    assert socket_path(env) == f"{expected}/rallyd.sock"


def test_a_relative_runtime_folder_is_refused() -> None:
    """It would be another one, with another daemon, in each folder that a command runs in."""
    with pytest.raises(NotAbsoluteError):
        runtime_dir({"RALLY_RUNTIME_DIR": "run"})
    assert runtime_dir({"RALLY_RUNTIME_DIR": "/run//a/../b/"}) == "/run/b"


def test_the_log_goes_to_the_state_home() -> None:
    """XDG's variable when it is absolute, else below the home folder."""
    assert state_home({"XDG_STATE_HOME": "/s/", "HOME": "/h"}) == "/s/rally"
    assert state_home({"XDG_STATE_HOME": "s", "HOME": "/h"}) == "/h/.local/state/rally"


def test_without_home_the_password_database_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a uid that it does not know, as in some containers, has its runtime folder."""
    home = pwd.getpwuid(UID).pw_dir
    assert state_home({}) == f"{home.rstrip('/')}/.local/state/rally"
    # A process cannot change to a nameless uid and back unless root runs the tests.
    monkeypatch.setattr(os, "geteuid", lambda: 2**31 - 7)
    assert state_home({}) == f"/tmp/rally-{2**31 - 7}/.local/state/rally"


def test_a_private_folder_is_made_once(tmp_path: Path) -> None:
    """0700 whatever the umask lets through; making it again is no error."""
    folder = tmp_path / "deep" / "run"
    before = os.umask(0)
    try:
        ensure_private_dir(str(folder))
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o7777 == 0o700
    ensure_private_dir(str(folder))


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701, 0o777])
def test_a_folder_open_to_others_is_refused_and_left_alone(tmp_path: Path, mode: int) -> None:
    """Contract T1: the error says how it stands."""
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(NotPrivateError, match=f"mode {mode:04o}"):
        ensure_private_dir(str(folder))
    assert folder.stat().st_mode & 0o777 == mode


def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it is reached through that user's link."""
    folder, link = tmp_path / "run", tmp_path / "link"
    ensure_private_dir(str(folder))
    link.symlink_to(folder)
    check_private_dir(str(link))
    # Only root can give a folder away, so the test changes who asks.
    monkeypatch.setattr(os, "geteuid", lambda: UID + 1)
    for path in (folder, link):
        with pytest.raises(NotPrivateError, match=f"belongs to uid {UID}"):
            check_private_dir(str(path))


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    """A file, a link that leads nowhere, nothing at all: each an ordinary OSError."""
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(NotADirectoryError):
        ensure_private_dir(str(tmp_path / "file"))
    with pytest.raises(FileNotFoundError):
        ensure_private_dir(str(tmp_path / "dangling"))
    with pytest.raises(FileNotFoundError):
        check_private_dir(str(tmp_path / "none"))
    with pytest.raises(OSError, match="file"):
        ensure_private_dir(str(tmp_path / "file" / "below"))


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize("length", [60, 103, 140, 600])
def test_a_socket_works_at_any_length_of_its_path(tmp_path: Path, length: int) -> None:
    """Bound and connected through real sockets, short paths untouched, no descriptor kept."""
    folder = tmp_path
    while len(str(folder)) + len("/rallyd.sock") < length:
        missing = length - len(str(folder)) - len("/rallyd.sock") - 1
        folder /= "d" * max(1, min(missing, 200))
    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / "rallyd.sock")
    before = open_descriptors()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with SocketAddress(path) as address:
            assert (address == path) == (len(path) <= locations.SOCKET_PATH_BYTES_MAX)
            server.bind(address)
        server.listen()
        with SocketAddress(path) as address:
            client.connect(address)
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"hello")
            assert accepted.recv(5) == b"hello"
    assert Path(path).is_socket()
    assert open_descriptors() == before


def test_a_long_path_without_its_folder_is_an_ordinary_error(tmp_path: Path) -> None:
    """The relay takes it for "no daemon there"."""
    with pytest.raises(FileNotFoundError), SocketAddress(f"{tmp_path}/{'x' * 200}/rallyd.sock"):
        pass


def test_nothing_but_os_is_imported() -> None:
    """The relay pays for every import before its first byte."""
    program = (
        "import sys; before = set(sys.modules)\n"
        "import rally.wire.locations\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    own = {"rally", "rally.wire", locations.__name__}
    assert set(done.stdout.decode().split()) - own <= {"__future__", "errno"}

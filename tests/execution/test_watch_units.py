"""Units for systemd, launchd and cron: shipped and printed (contract X3)."""

from __future__ import annotations

import plistlib
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from runner_room import RALLY, Room

SHIPPED = Path(__file__).parents[2] / "systemd"
HOSTILE = "echo \"a $HOME\" 'b' 100% `id` \\ ; é"


SECTIONS = {"Unit", "Service", "Timer", "Socket", "Install"}
SETTINGS = set(
    "Description Documentation After Requires ConditionPathIsDirectory Type WorkingDirectory ExecStart "
    "Restart RestartSec KillMode TimeoutStopSec Unit OnCalendar AccuracySec Persistent WantedBy".split()
)


def verify(folder: Path) -> str:
    """What systemd finds wrong with the units in a folder; where there is no systemd, what a list of
    the settings that rally uses finds."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return "\n".join(unknown_settings(folder))
    done = subprocess.run(
        [program, "--user", "--man=no", "verify", *map(str, sorted(folder.iterdir()))],
        capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder.parent), "XDG_RUNTIME_DIR": str(folder)},
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if str(folder) in line or "rally" in line]
    return "\n".join(ours)


def unknown_settings(folder: Path) -> list[str]:
    """Lines of the watchers' units that are neither a comment nor a known setting or section."""
    return [
        f"{unit.name}: {line}"
        for unit in sorted(folder.glob("rally-watch*"))
        for line in unit.read_text().splitlines()
        if line and not line.startswith("#")
        and line.strip("[]") not in SECTIONS and line.partition("=")[0] not in SETTINGS
    ]  # fmt: skip


def install(folder: Path, name: str, text: str) -> None:
    """Put a unit where it could be started: its program has to exist, its instance to be named."""
    folder.mkdir(exist_ok=True)
    (folder / name.replace("@.", "@tmp.")).write_text(
        text.replace("%h/.local/bin/rally", "/bin/true")
    )


def test_the_units_that_are_shipped_are_good_ones(tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing, and would: a misspelt setting is named."""
    folder = tmp_path / "units"
    for unit in SHIPPED.glob("rally*"):
        install(folder, unit.name, unit.read_text())
        if "@." in unit.name:
            (folder / unit.name).write_text(
                unit.read_text().replace("%h/.local/bin/rally", "/bin/true")
            )
    assert verify(folder) == ""
    assert unknown_settings(folder) == []
    broken = folder / "rally-watch@tmp.service"
    broken.write_text(broken.read_text().replace("KillMode", "KilMode"))
    assert "KilMode" in verify(folder)
    assert "KilMode" in unknown_settings(folder)[0]


def test_the_timer_starts_the_call_that_ends() -> None:
    """The cron way is a service of its own: the one that stays is never due."""
    timer = (SHIPPED / "rally-watch@.timer").read_text()
    assert "Unit=rally-watch-once@%i.service" in timer
    assert "watch --once" in (SHIPPED / "rally-watch-once@.service").read_text()


@pytest.mark.parametrize("unit", ["rally-watch@.service", "rally-watch-once@.service"])
def test_what_a_unit_starts_works_in_a_services_surroundings(room: Room, unit: str) -> None:
    """No terminal, no shell, a PATH on which no rally is; its command finds rally all the same."""
    room.due_standby("claude:1")
    home = Path(room.env["HOME"])
    (home / ".local" / "bin").mkdir(parents=True)
    (home / ".local" / "bin" / "rally").symlink_to(RALLY)
    text = (SHIPPED / unit).read_text()
    meant = {"%h": str(home), "%f": str(room.root)}
    # systemd takes a line apart first, and puts paths in afterwards.
    words = shlex.split(setting(text, "ExecStart"))
    words = [re.sub("%[hf]", lambda found: meant[found[0]], word) for word in words]
    assert setting(text, "WorkingDirectory") == "%f"
    room.env["PATH"] = "/usr/bin:/bin"
    service = room.start_program(words, start_new_session=True)
    assert service.event("finished")["owner"] == "claude:1"
    if "once" not in unit:
        service.send(signal.SIGTERM)
    assert service.event("stopped")["failed"] == 0
    assert (service.wait(), service.errors()) == (0, "")


def setting(text: str, name: str) -> str:
    """The one value of a setting."""
    (value,) = re.findall(f"^{name}=(.*)$", text, re.MULTILINE)
    return str(value)


def printed(room: Room, unit: str) -> str:
    before = sorted(path.name for path in room.root.rglob("*"))
    done = room.run(
        "watch", "--print-unit", unit, "--on-wake", HOSTILE, "--tool", "night", "--kind", "note"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(path.name for path in room.root.rglob("*")) == before
    return done.stdout.decode()


def test_a_printed_systemd_unit_verifies_and_says_the_same(room: Room, tmp_path: Path) -> None:
    """Quoted by systemd's rules; nothing is written."""
    text = printed(room, "systemd")
    install(tmp_path / "units", "rally-watch.service", text.replace(RALLY, "/bin/true"))
    assert verify(tmp_path / "units") == ""
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    words = shlex.split(line.replace("$$", "$").replace("%%", "%"))
    assert words[0] == RALLY
    assert words[words.index("--on-wake") + 1] == HOSTILE
    assert words[words.index("--tool") + 1] == "night"


def test_a_printed_launchd_agent_can_be_read_back(room: Room) -> None:
    """A property list with the whole command line."""
    agent = plistlib.loads(printed(room, "launchd").encode())
    words = agent["ProgramArguments"]
    assert words[:2] == [RALLY, "watch"]
    assert words[words.index("--on-wake") + 1] == HOSTILE
    assert agent["WorkingDirectory"] == str(room.root)


def test_a_printed_crontab_line_runs(room: Room) -> None:
    """What cron hands to `sh`, after it took its escapes away, fires what is due."""
    text = printed(room, "cron")
    line = text.splitlines()[-1]
    assert "%" not in line.replace("\\%", "")
    room.due_standby()
    command = line.removeprefix("* * * * * ").replace("\\%", "%")
    assert room.start_program(["sh", "-c", command]).wait() == 0
    assert {fact["kind"] for fact in room.facts()} == {"enter", "standby", "claim", "release"}


def test_what_a_file_cannot_hold_is_refused(room: Room) -> None:
    """A crontab line is one line, a property list has no control characters."""
    for unit, command in (("cron", "a\nb"), ("launchd", "a\x01b"), ("upstart", "a")):
        code, error = room.error("watch", "--print-unit", unit, "--on-wake", command)
        assert (code, error["code"]) == (2, "bad-value")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--interval", "0s"), "bad-duration"), (("--interval", "-1s"), "bad-duration"),
        (("--max-interval", "0s"), "bad-duration"), (("--duration", "0s"), "bad-duration"),
        (("--timeout", "soon"), "bad-duration"), (("--timeout", "0s"), "bad-duration"),
        (("--interval", "10s", "--max-interval", "5s"), "bad-value"),
        (("--max-concurrent", "0"), "bad-value"), (("--max-concurrent", "-1"), "bad-value"),
        (("--max-concurrent", "x"), "usage"), (("--kind", "artefact"), "unknown-kind"),
        (("--kind", "renew"), "bad-value"), (("--tool", ""), "bad-tool"),
        (("--tool", "no label"), "bad-tool"), (("--tool", "all"), "bad-tool"),
        (("--on-wake", " "), "bad-value"), (("--on-activity", ""), "bad-value"),
        (("--room", "/dev/null/nowhere"), "room-not-found"), (("surplus",), "usage"),
    ],
)  # fmt: skip
def test_bad_input_is_a_clear_error_and_changes_nothing(
    room: Room, words: tuple[str, ...], code: str
) -> None:
    """Exit 2, the offending value in the message (contract T4)."""
    exit_code, error = room.error("watch", "--once", *words)
    assert (exit_code, error["code"]) == (2, code)
    assert error["message"]
    assert error["hint"]
    assert room.facts() == []

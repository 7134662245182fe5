"""`rally watch --print-unit`: the same watcher as a systemd unit, a launchd agent or a crontab line.

The text is printed, never installed. Everything in it that somebody chose, the room's path and the
commands, is quoted by the rules of the file that it goes into.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from hashlib import sha256

from rally.execution.watcher import Wishes
from rally.model.durations import format_duration
from rally.model.errors import UsageError
from rally.model.text import check_choice

UNITS = ("systemd", "launchd", "cron")
# Longer than a command may take (`--timeout`), so that stopping waits for those that run.
_STOP_MORE_S = 60

_SYSTEMD = """\
# ~/.config/systemd/user/{name}.service
#   systemctl --user daemon-reload
#   systemctl --user enable --now {name}.service
[Unit]
Description=rally watch in {room}
After=rallyd.socket

[Service]
Type=exec
WorkingDirectory={folder}
ExecStart={command}
Restart=on-failure
RestartSec=5
# The watcher itself ends its commands, and waits for them when it is stopped.
KillMode=mixed
TimeoutStopSec={stop_s}

[Install]
WantedBy=default.target
"""


def print_unit(unit: str, wishes: Wishes) -> str:
    """The text of a unit for these wishes.

    Args:
        unit: one of `UNITS`.

    Raises:
        UsageError: `bad-value`; there is no such unit, or it cannot hold the command.
    """
    check_choice(unit, "--print-unit", UNITS)
    return {"systemd": _systemd, "launchd": _launchd, "cron": _cron}[unit](wishes)


def _program() -> list[str]:
    """How this rally is called by somebody without its PATH."""
    called = os.path.abspath(sys.argv[0])
    if os.path.basename(called) == "rally":
        return [called]
    found = shutil.which("rally")
    return [found] if found else [sys.executable, "-m", "rally"]


def _words(wishes: Wishes, *, once: bool) -> list[str]:
    """The command line that comes to the same wishes."""
    words = [*_program(), "watch", "--json", "--room", wishes.root, "--tool", wishes.label]
    words += ["--once"] if once else []
    words += ["--boundaries"] if wishes.boundaries else []
    for flag, command in (("--on-wake", wishes.on_wake), ("--on-activity", wishes.on_activity)):
        words += [flag, command] if command is not None else []
    for kind in wishes.kinds:
        words += ["--kind", kind]
    if not once:
        words += ["--interval", format_duration(wishes.interval_ms)]
        words += ["--max-interval", format_duration(wishes.max_interval_ms)]
    words += ["--timeout", format_duration(wishes.timeout_ms)]
    words += ["--max-concurrent", str(wishes.most)]
    return words


def _name(wishes: Wishes) -> str:
    """A name of its own for each room and label."""
    digest = sha256(f"{wishes.root}\0{wishes.label}".encode("utf-8", "surrogateescape"))
    return f"rally-watch-{digest.hexdigest()[:8]}"


def _systemd(wishes: Wishes) -> str:
    return _SYSTEMD.format(
        name=_name(wishes),
        room=_one_line(wishes.root).replace("%", "%%"),
        folder=_systemd_path(wishes.root),
        command=" ".join(_systemd_word(word) for word in _words(wishes, once=False)),
        stop_s=wishes.timeout_ms // 1_000 + _STOP_MORE_S,
    )


def _systemd_word(word: str) -> str:
    """One argument of ExecStart=, by systemd.syntax(7) and systemd.service(5)."""
    quoted = (
        word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    )
    quoted = quoted.replace("%", "%%").replace("$", "$$")
    is_plain = quoted == word and not set(word) & set(" ';") and word != ""
    return word if is_plain else f'"{quoted}"'


def _systemd_path(path: str) -> str:
    """WorkingDirectory= takes the rest of the line as it is, but for specifiers."""
    if "\n" in path:
        raise UsageError(
            "bad-value", f"a unit cannot hold this path: {path!a}", hint="rename the folder"
        )
    return path.replace("%", "%%")


def _one_line(text: str) -> str:
    return text.replace("\n", "\\n")


def _launchd(wishes: Wishes) -> str:
    from plistlib import dumps  # only here

    name = _name(wishes)
    agent = {
        "Label": name,
        "ProgramArguments": _words(wishes, once=False),
        "WorkingDirectory": wishes.root,
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": wishes.timeout_ms // 1_000 + _STOP_MORE_S,
        "ProcessType": "Background",
    }
    head = (
        f"<!-- ~/Library/LaunchAgents/{name}.plist\n"
        f"     launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/{name}.plist -->\n"
    )
    try:
        text = dumps(agent).decode()
    except ValueError:
        raise UsageError(
            "bad-value", "a property list cannot hold control characters",
            hint="put the command into a script, and give its path",
        ) from None  # fmt: skip
    lines = text.split("\n", 2)
    return "\n".join([*lines[:2], head + lines[2]])


def _cron(wishes: Wishes) -> str:
    if wishes.boundaries:
        raise UsageError(
            "bad-value", "--boundaries sees what is written while it runs; cron's calls end at once",
            hint="--print-unit systemd",
        )  # fmt: skip
    words = _words(wishes, once=True)
    if any("\n" in word for word in words):
        raise UsageError(
            "bad-value", "a crontab line cannot hold a command of several lines",
            hint="put it into a script, and give its path",
        )  # fmt: skip
    # In a crontab `%` stands for a line break unless it is escaped (crontab(5)).
    line = f"{shlex.join(words)} >/dev/null".replace("%", "\\%")
    return f"# crontab -e; every minute. Calls that overlap do no harm.\n* * * * * {line}\n"

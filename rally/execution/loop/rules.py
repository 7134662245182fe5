"""What decides what git takes for a change, as it was before the agent came.

An agent may write `.git/config`, and whoever may change the rules can hide what he did: a file mode that
is not looked at, a filter that cleans everything away, a list of what is to be ignored. So each call of
git gets the settings of the beginning on its command line, where nothing overrules them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rally.execution.git import clean_env, run_git

# The settings by which git decides whether a file differs, with what holds where nobody set them.
_SETTINGS = {
    "core.fileMode": "true", "core.symlinks": "true", "core.ignoreCase": "false",
    "core.autocrlf": "false", "core.eol": "native", "core.trustctime": "true",
    "core.checkStat": "default",
}  # fmt: skip
# Setting, the file that is read where nobody set it, and what the copy is called.
_FILES = (("core.excludesFile", "ignore"), ("core.attributesFile", "attributes"))
# What belongs to nobody's task; hooks of the samples never run.
_OF_GIT = ("HEAD", "config", "config.worktree", "info/attributes", "info/exclude", "hooks")
_SAMPLE = ".sample"
_COMPARED_BYTES_MAX = 1024 * 1024


class Rules:
    """The rules of one repository.

    Args:
        top: the root of the working tree.
        env: the caller's environment.
        scratch: a folder for copies of the files that rules stand in.

    Attributes:
        ignore: a copy of the user's own rules of what is to be ignored.
        exclude: a copy of the repository's.
    """

    def __init__(self, top: str, env: Mapping[str, str], scratch: str) -> None:
        self._top = top
        self._env = clean_env(env)
        self.ignore, self.exclude = f"{scratch}/ignore", f"{scratch}/exclude"
        self._settings = {
            name: self._ask("config", "--get", name).strip() or default
            for name, default in _SETTINGS.items()
        }
        home = self._env.get("XDG_CONFIG_HOME") or f"{self._env.get('HOME', '')}/.config"
        for name, file in _FILES:
            own = self._ask("config", "--type=path", "--get", name).strip()
            _copy(os.path.join(top, own or f"{home}/git/{file}"), f"{scratch}/{file}")
            self._settings[name] = f"{scratch}/{file}"
        self._filters = self._read_filters()
        self._excluded = self._path("info/exclude")
        _copy(self._excluded, self.exclude)
        # Looked up once: the agent may tell git to look for hooks somewhere else.
        self._paths = {name: self._path(name) for name in _OF_GIT}
        self._before = self._own_files()

    def env(self) -> dict[str, str]:
        """The environment in which git follows the rules of the beginning; asked before each look."""
        now = dict.fromkeys(self._read_filters().keys() - self._filters.keys(), "")
        settings = {**self._settings, **self._filters, **now}
        for name in now:
            if name.endswith(".required"):
                settings[name] = "false"
        env = {"GIT_CONFIG_COUNT": str(len(settings))}
        for number, (name, value) in enumerate(settings.items()):
            env[f"GIT_CONFIG_KEY_{number}"] = name
            env[f"GIT_CONFIG_VALUE_{number}"] = value
        return env

    @property
    def ignores_more(self) -> bool:
        """Whether the repository's rules of what is to be ignored are others than in the beginning."""
        return content(self._excluded) != content(self.exclude)

    def changed(self) -> list[str]:
        """Which of git's own files are not as they were in the beginning, sorted."""
        now = self._own_files()
        names = self._before.keys() | now.keys()
        return sorted(name for name in names if self._before.get(name) != now.get(name))

    def _read_filters(self) -> dict[str, str]:
        out = self._ask("config", "-z", "--get-regexp", r"^filter\..*\.(clean|process|required)$")
        pairs = (entry.partition("\n") for entry in out.split("\0") if entry)
        # A name without a value means yes.
        return {name: value if has_value else "true" for name, has_value, value in pairs}

    def _own_files(self) -> dict[str, tuple[int, int, bytes]]:
        """Mode, size and the beginning of each of git's own files, by its name."""
        found = {}
        for name, path in self._paths.items():
            files = {name: path}
            if os.path.isdir(path):
                files = {f"{name}/{one}": f"{path}/{one}" for one in os.listdir(path)}
            for file, at in files.items():
                if os.path.isfile(at) and not file.endswith(_SAMPLE):
                    seen = os.stat(at)
                    found[file] = (seen.st_mode, seen.st_size, content(at, _COMPARED_BYTES_MAX))
        return found

    def _path(self, name: str) -> str:
        out = self._ask("rev-parse", "--git-path", name)
        return os.path.join(self._top, out.removesuffix("\n"))

    def _ask(self, *arguments: str) -> str:
        """What git answers; empty where it knows nothing."""
        _, out, _ = run_git(arguments, self._top, self._env)
        return os.fsdecode(out)


def content(file: str, most_bytes: int = -1) -> bytes:
    """What stands in a file, or the beginning of it; nothing where it cannot be read."""
    try:
        with open(file, "rb") as opened:
            return opened.read(most_bytes)
    except OSError:
        return b""


def _copy(file: str, to: str) -> None:
    with open(to, "wb") as kept:
        kept.write(content(file))

"""`rally completion install`: one file of rally's own, where the shell looks, in real shells."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_process import PATIENCE_S, Shell

PLACES = {
    "bash": "data/bash-completion/completions/rally",
    "zsh": "data/zsh/site-functions/_rally",
    "fish": "config/fish/completions/rally.fish",
}
# What a shell is asked, with the line `rally che` before it and a tab behind it.
ASKING = {
    "bash": """. "$XDG_DATA_HOME/bash-completion/completions/rally"
        complete -p rally >&2
        COMP_WORDS=(rally che); COMP_CWORD=1; _rally_completion rally
        printf '%s\\n' "${COMPREPLY[@]}" """,
    "zsh": """fpath=("$XDG_DATA_HOME/zsh/site-functions" $fpath)
        autoload -Uz compinit && compinit -u -D
        print -r -- "${_comps[rally]}" >&2
        # What completion would offer is caught where zsh would show it.
        compadd() { :; }; _describe() { local -a found; found=("${(@P)3}"); print -rl -- $found }
        compdef() { :; }
        words=(rally che); CURRENT=2; _rally""",
    "fish": "complete -C 'rally che'",
}
ANYWHERE = [shell for shell in PLACES if shutil.which(shell)]


@pytest.fixture
def home(shell: Shell, tmp_path: Path) -> Shell:
    """A person with folders of their own and `rally` in PATH."""
    shell.env["XDG_DATA_HOME"] = str(tmp_path / "data")
    shell.env["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    shell.env["PATH"] = f"{Path(sys.executable).parent}:{shell.env['PATH']}"
    return shell


@pytest.mark.parametrize("name", ANYWHERE)
def test_a_real_shell_completes_from_the_installed_file(
    home: Shell, name: str, tmp_path: Path
) -> None:
    """Each shell that this machine has; bash it has in any case."""
    assert "bash" in ANYWHERE
    installed = home.rally("completion", "install", name)
    assert (installed.code, installed.err) == (0, "")
    assert (tmp_path / PLACES[name]).is_file()
    words = {"bash": ["bash", "--norc", "-c"], "zsh": ["zsh", "-f", "-c"], "fish": ["fish", "-c"]}
    done = subprocess.run(
        [*words[name], ASKING[name]], env=home.env, cwd=home.cwd, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    # bash shows the words, the others a word and what it is.
    offered = {re.split(r"[\t:]", line)[0] for line in done.stdout.splitlines()}
    assert {"check", "check-ci"} <= offered, done
    assert "claim" not in offered


@pytest.mark.parametrize("name", PLACES)
def test_it_is_written_once_and_removed_whole(home: Shell, name: str, tmp_path: Path) -> None:
    """Done again it changes nothing; a dry run never does."""
    path = tmp_path / PLACES[name]
    planned = home.rally("completion", "install", name, "--dry-run", "--json").data
    assert (planned["changed"], planned["dry_run"], planned["path"]) == (True, True, str(path))
    assert not (tmp_path / PLACES[name].split("/", maxsplit=1)[0]).exists()
    first = home.rally("completion", "install", name, "--json").data
    text, stamp = path.read_text(), path.stat().st_mtime_ns
    again = home.rally("completion", "install", name, "--json").data
    assert (first["changed"], again["changed"]) == (True, False)
    assert (path.read_text(), path.stat().st_mtime_ns) == (text, stamp)
    path.write_text(text + "# of another version\n")
    assert home.rally("completion", "install", name, "--json").data["changed"] is True
    assert path.read_text() == text
    gone = home.rally("completion", "uninstall", name)
    assert gone.out == f"removed {path}\n"
    assert not path.exists()
    assert home.rally("completion", "uninstall", name).out == f"nothing of rally's at {path}\n"


def test_a_file_of_somebody_else_stays(home: Shell, tmp_path: Path) -> None:
    """Neither overwritten nor removed."""
    path = tmp_path / PLACES["fish"]
    path.parent.mkdir(parents=True)
    path.write_text("mine\n")
    refused = home.rally("completion", "install", "fish", "--json")
    assert (refused.code, refused.error["code"]) == (3, "foreign-file")
    assert home.rally("completion", "uninstall", "fish", "--json").data["changed"] is False
    assert path.read_text() == "mine\n"


def test_what_it_cannot_know_it_says(home: Shell, tmp_path: Path) -> None:
    """zsh needs two lines unless the folder is in FPATH; no file of a person is touched."""
    folder = tmp_path / "data/zsh/site-functions"
    told = home.rally("completion", "install", "zsh").out
    assert f"add to ~/.zshrc:\n  fpath=({folder} $fpath)\n  autoload -Uz compinit" in told
    known = home.rally("completion", "install", "zsh", "--json", FPATH=f"/x:{folder}").data
    assert known["add_lines"] == []
    assert not list(tmp_path.glob(".*rc"))


@pytest.mark.parametrize(
    ("named", "says"),
    [("/bin/tcsh", "SHELL names 'tcsh'"), ("", "none was named, and SHELL is not set")],
)
def test_the_shell_is_the_one_that_runs_unless_it_is_named(
    home: Shell, named: str, says: str
) -> None:
    """One that rally has no script for is a usage error."""
    assert home.rally("completion", "install", "--json", SHELL="/bin/zsh").data["shell"] == "zsh"
    refused = home.rally("completion", "install", "--json", SHELL=named)
    assert (refused.code, refused.error["code"]) == (2, "usage")
    assert says in refused.error["message"]
    assert home.rally("completion", "install", "ksh", "--json").error["message"].endswith("'ksh'")


def test_a_folder_that_cannot_be_made_is_a_failure(home: Shell, tmp_path: Path) -> None:
    """And leaves nothing behind."""
    (tmp_path / "config").write_text("a file")
    failed = home.rally("completion", "install", "fish", "--json")
    assert failed.code in (1, 2)
    assert str(tmp_path / "config") in failed.error["message"]

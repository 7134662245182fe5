"""Words of a command line: a POSIX shell reads them back unchanged, and a terminal sees nothing odd."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rally.model.shell import option, options, path, word
from rally.model.visible import visible

special = st.sampled_from("'\"\\$`%-\n\t\x1b\u202e!*~ ")
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0") | special, max_size=12)
PRINT = 'for one in "$@"; do printf "%s\\000" "$one"; done'


def read_back(folder: Path, line: str) -> list[str]:
    """The arguments that `sh` finds in a command line."""
    script = folder / "print"
    if not script.exists():
        script.write_text(f"#!/bin/sh\n{PRINT}\n")
        script.chmod(0o755)
    done = subprocess.run(["sh", "-c", f"{script} {line}"], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(texts, max_size=4))
def test_sh_reads_every_word_back_unchanged(tmp_path: Path, values: list[str]) -> None:
    """O5: whatever an agent wrote is one argument, the same one, and nothing is run."""
    line = " ".join(map(word, values))
    assert read_back(tmp_path, line) == values


@given(texts)
def test_a_word_shows_nothing_active(text: str) -> None:
    """O5: escapes and bidirectional characters are never passed on; line feeds at the end stand as
    they are, for no shell keeps them otherwise."""
    assert visible(word(text).rstrip("\n'")) == word(text).rstrip("\n'")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "plain"),
        ("a b", "'a b'"),
        ("", "''"),
        ("it's", "'it'\"'\"'s'"),
        ("é 日本", "'é 日本'"),
        ("a\tb", "\"$(printf 'a\\011b')\""),
        ("\u202eabc", "\"$(printf '\\342\\200\\256abc')\""),
        ("-\x1b%'\\", "\"$(printf '\\055\\033\\045\\047\\134')\""),
    ],
)
def test_words_are_as_plain_as_they_can_be(text: str, written: str) -> None:
    """What needs no quotes has none, so that people can read what they are to run."""
    assert word(text) == written


def test_a_value_like_a_flag_stays_a_value() -> None:
    """`--step -rf` could be read as two flags, `--step=-rf` cannot."""
    assert option("--step", "-rf") == "--step=-rf"
    assert options("--path", ["a", "-b c"]) == " --path a --path='-b c'"
    assert options("--path", []) == ""
    assert path("-") == "./-"
    assert path("src/-x") == "src/-x"

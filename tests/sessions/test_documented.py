"""docs/sessions.md: what it tells to type works, in that order; what it lists is complete."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from desk import PATIENCE_S, Desk

from rally.cli.text.sessions import WHY
from rally.facilitation.decide.sessions import ENDINGS

PAGE = (Path(__file__).parents[2] / "docs" / "sessions.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_examples_work(desk: Desk) -> None:
    """Each block as a script of its own, one after the other in one repository, with a daemon."""
    desk.make_repository()
    desk.program("claude", "#!/bin/sh\nwhile read line; do :; done\n")
    del desk.env["RALLY_DAEMON"]
    assert len(BLOCKS) >= 10
    try:
        for block in BLOCKS:
            done = run(desk, block)
            assert (done.returncode, "error:" in done.stderr) == (0, False), (block, done.stderr)
    finally:
        assert run(desk, "rally daemon stop").returncode == 0


def run(desk: Desk, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-e", "-c", script], cwd=desk.root, env=desk.env, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("word", [*WHY, *ENDINGS, "running", "starting", "started", "adopted"])
def test_every_word_of_an_answer_is_explained(word: str) -> None:
    """A reason or status that the page does not know would be a riddle."""
    assert f"`{word}`" in PAGE

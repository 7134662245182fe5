"""The `sh` blocks of the README and the guide run as they stand, in a fresh repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "guide.md"]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a new user in a new repository; the daemon ends with the test."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("RALLY_", "GIT_", "XDG_"))}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    env["HOME"] = env["XDG_STATE_HOME"] = str(tmp_path)
    env["RALLY_RUNTIME_DIR"] = str(tmp_path / "run")
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "repo")], check=True, env=env)
    yield env
    subprocess.run(
        ["rally", "daemon", "stop"], env=env, cwd=tmp_path, check=True, capture_output=True
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_the_page_says_can_be_pasted(
    page: Path, tmp_path: Path, shell: dict[str, str]
) -> None:
    """Every command of the page succeeds, or says itself that it expects not to."""
    script = "\n".join(BLOCK.findall(page.read_text()))
    assert "rally enter" in script
    done = subprocess.run(
        ["sh", "-eu"], input=script, text=True, capture_output=True, check=False,
        cwd=tmp_path / "repo", env=shell,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_fan_out_of_the_guide_really_landed(tmp_path: Path, shell: dict[str, str]) -> None:
    """The guide's last run ends with its task landed."""
    script = "\n".join(BLOCK.findall((ROOT / "docs" / "guide.md").read_text()))
    subprocess.run(
        ["sh", "-eu"], input=script, text=True, capture_output=True, check=True,
        cwd=tmp_path / "repo", env=shell,
    )  # fmt: skip
    shown = subprocess.run(
        ["rally", "dag", "--run", "r1"], text=True, capture_output=True, check=True,
        cwd=tmp_path / "repo", env=shell,
    )  # fmt: skip
    assert "1 landed" in shown.stdout

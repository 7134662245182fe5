"""docs/workstreams.md: its worked example works, and says what the program says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rally.execution.verify import verdict_of
from rally.workstream.descriptor import Descriptor, TaskSpec

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "workstreams.md").read_text()


def blocks(language: str) -> list[str]:
    """The page's blocks of one language."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which `rally` is this one, and no daemon is started."""
    command = tmp_path / "bin" / "rally"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/bin/rally" "$@"\n')
    command.chmod(0o755)
    return {
        "PATH": f"{command.parent}:{os.environ['PATH']}", "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"), "RALLY_DAEMON": "off",
    }  # fmt: skip


def test_the_worked_example_lints_starts_lands_and_verifies(
    tmp_path: Path, env: dict[str, str]
) -> None:
    """Everything in the page can be pasted, in its order, and does what the page says."""
    shop = tmp_path / "shop project"
    shop.mkdir()
    (plan,) = blocks("json")
    (shop / "plan.json").write_text(plan)
    script = "set -e\n" + "\n".join(blocks("sh"))
    done = subprocess.run(
        ["sh", "-c", script], cwd=shop, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    for said in (
        "plan.json: clean", "started run tax-1 with 4 tasks", "exit code 3: work remains",
        "exit code 3: cart and invoice wait for money", "4 of 4 landed, complete",
        "complete: all 4 landed and hold",
    ):  # fmt: skip
        assert said in done.stdout, said
    assert "cart waits for money" in done.stderr
    assert sorted(one.name for one in (shop / "packets").iterdir()) == [
        "cart.md", "invoice.md", "money.md", "review.md",
    ]  # fmt: skip
    (shop / "shop" / "cart.py").write_text(
        "def total(prices, rate):\n    return float(sum(prices))\n"
    )
    broken = subprocess.run(
        [*"rally workstream verify --run tax-1 --json".split()], cwd=shop, env=env,
        capture_output=True, check=False,
    )  # fmt: skip
    assert broken.returncode == 4
    assert json.loads(broken.stdout)["data"]["workstream"]["why"] == "no longer valid: cart, review"


def test_every_field_of_a_descriptor_is_in_the_table() -> None:
    """The page knows what the program knows."""
    fields = {*Descriptor.model_fields, *TaskSpec.model_fields}
    named = set(re.findall(r"^\| `(\w+)(?:\[\])?` \|", PAGE, re.MULTILINE))
    verdicts = {"complete", "unverified", "incomplete", "broken"}
    assert named - verdicts == fields
    assert {verdict_of([{"step": "a", "status": one}])[0]
            for one in ("passed", "unverified", "not_landed", "failed")} == verdicts  # fmt: skip
    assert verdicts <= named

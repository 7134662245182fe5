"""A descriptor never makes rally run anything, except where it is asked to verify."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from plan_desk import plan, task

DESK = Path(__file__).with_name("guarded_desk.py")
HOSTILE = "$(touch pwned) `touch pwned`; touch pwned"
RUN = ("--run", "$(touch pwned)")


def test_no_command_on_a_descriptor_starts_a_process(tmp_path: Path) -> None:
    """Law 1: lint, packets, start, status, tasks and a dry run quote what they are given, no more."""
    hostile = task(
        "a", intent=HOSTILE, owns=[HOSTILE], validation=HOSTILE, output=HOSTILE, commands=[HOSTILE]
    )
    described = plan(hostile, task("b", validation="touch pwned"), workstream=HOSTILE)
    raw = json.dumps({**described, "description": HOSTILE})
    me = ("--tool", "x:1")
    commands = [
        ("workstream", "lint", "plan.json"),
        ("workstream", "packet", "plan.json", *RUN, "--out", "packets"),
        ("workstream", "start", "plan.json", *RUN, *me),
        ("task", "take", *RUN, *me), ("task", "done", *RUN, "--id", "a", *me),
        ("task", "list", *RUN), ("dag", *RUN),
        ("workstream", "status", "plan.json", *RUN),
        ("workstream", "verify", "plan.json", *RUN, "--dry-run"),
        ("workstream", "verify", *RUN),
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(DESK), str(tmp_path)], input=json.dumps([raw, *commands]),
        env={**os.environ, "RALLY_DAEMON": "off"}, cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["0"] * 7 + ["3", "0"], done.stderr
    assert (done.returncode, "subprocess.Popen" in done.stderr) == (99, True), "verify is a runner"
    assert sorted(one.name for one in (tmp_path / "repo").iterdir()) == [
        ".rally",
        "packets",
        "plan.json",
    ]

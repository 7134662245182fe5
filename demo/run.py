"""`make demo`: four real agents share one repository, two of them collide, and nobody loses work.

Everything happens in a scratch clone with a daemon of its own, which ends with the demo.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIME_OUT_S = 60


def surroundings(scratch: Path) -> dict[str, str]:
    """The environment of every process of the demo: this rally, a daemon and a state of its own."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("RALLY_", "GIT_"))
    }
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
    env["RALLY_RUNTIME_DIR"] = str(scratch / "run")
    env["XDG_STATE_HOME"] = str(scratch / "state")
    env["DEMO_GATE"] = str(scratch / "gate")
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    return env


def narrate(text: str) -> None:
    """One line of what the reader is about to see."""
    print(f"\n== {text}", flush=True)


class Stage:
    """The scratch clone and the processes in it."""

    def __init__(self, scratch: Path) -> None:
        self.env = surroundings(scratch)
        self.clone = scratch / "shared-repo"
        self.gate = scratch / "gate"

    def rally(self, *words: str, show: bool = False) -> str:
        """Run one rally command to its end; with `show` its text goes to the reader."""
        done = subprocess.run(
            ["rally", *words], cwd=self.clone, env=self.env, text=True, check=True,
            stdout=None if show else subprocess.PIPE, timeout=TIME_OUT_S,
        )  # fmt: skip
        return done.stdout or ""

    def agent(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Start one agent: an ordinary process that only has rally's command line."""
        command = ["/bin/sh", str(HERE / f"{name}.sh"), *words]
        return subprocess.Popen(
            command,
            cwd=self.clone,
            env={**self.env, "RALLY_TOOL": name, "RALLY_SESSION_ID": "demo"},
        )

    @contextmanager
    def facts(self) -> Iterator[Iterator[dict[str, object]]]:
        """The room's facts as they are said."""
        command = ["rally", "log", "--follow", "--json", "--limit", "0"]
        with subprocess.Popen(
            command, cwd=self.clone, env=self.env, stdout=subprocess.PIPE
        ) as following:
            assert following.stdout is not None
            try:
                yield (json.loads(line) for line in following.stdout)
            finally:
                following.terminate()

    @contextmanager
    def watch(self) -> Iterator[None]:
        """The runner that wakes whoever is due, for as long as the context lasts."""
        on_wake = f'"{HERE}/$RALLY_TOOL.sh" resume'
        command = ["rally", "watch", "--on-wake", on_wake]
        with subprocess.Popen(command, cwd=self.clone, env=self.env) as watching:
            try:
                yield
            finally:
                watching.terminate()


def until(facts: Iterator[dict[str, object]], **wanted: str) -> None:
    """Read facts until one has these fields."""
    for fact in facts:
        if all(fact.get(name) == value for name, value in wanted.items()):
            return
    raise SystemExit(f"demo: the room never said {wanted}")


def play(stage: Stage) -> int:
    """The whole demo; answers its exit code."""
    narrate("four agents enter; `rally watch` will wake whoever goes to sleep")
    os.mkfifo(stage.gate)
    stage.rally("init")
    with stage.facts() as facts, stage.watch():
        ada = stage.agent("ada")
        until(facts, kind="claim", tool="ada")
        others = [stage.agent("cleo"), stage.agent("dan")]
        ben = stage.agent("ben")
        until(facts, kind="standby", tool="ben")
        narrate(
            "ada and ben collided: ben was stopped before he wrote, and sleeps. `rally room` now:"
        )
        stage.rally("room", show=True)
        narrate("ada goes on")
        with stage.gate.open("w") as gate:
            gate.write("go on\n")
        codes = [agent.wait(TIME_OUT_S) for agent in (ada, ben, *others)]
        until(facts, kind="leave", tool="ben")
    if any(codes):
        print(f"demo: an agent failed: {codes}", file=sys.stderr)
        return 1
    narrate("rally room")
    stage.rally("room", show=True)
    narrate("rally dag --run demo")
    stage.rally("dag", "--run", "demo", show=True)
    narrate("rally verify")
    stage.rally("verify", show=True)
    landed = json.loads(stage.rally("dag", "--run", "demo", "--json"))["data"]["dag"]["counts"][
        "landed"
    ]
    changed = subprocess.run(
        ["git", "status", "--short"], cwd=stage.clone, text=True, capture_output=True, check=True
    ).stdout
    narrate("what changed in the shared clone")
    print(changed, end="")
    print(CLOSING)
    return 0 if landed == 4 else 1


CLOSING = """
What you have just seen: four processes worked in one clone at once. Each claimed what it wanted to
write, asked before writing, ran a real validation and posted the result as evidence. Two of them
wanted the same file: the second was stopped before it wrote a byte, went on standby until the file was
free, was woken by `rally watch`, and finished. Rally recorded and answered; `watch` did the starting.

Try it yourself: rally enter --tool me && rally room"""


def main() -> int:
    """Make the scratch clone, play, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="rally-demo-") as folder:
        stage = Stage(Path(folder))
        subprocess.run(
            ["git", "clone", "--quiet", str(HERE.parent), str(stage.clone)], check=True,
            timeout=TIME_OUT_S,
        )  # fmt: skip
        try:
            return play(stage)
        finally:
            subprocess.run(
                ["rally", "daemon", "stop"], cwd=stage.clone, env=stage.env, check=False,
                stdout=subprocess.DEVNULL, timeout=TIME_OUT_S,
            )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

"""`make demo`: four real agents share one repository, two of them collide, and nobody loses work; a
fifth sits in tmux, where a handoff is put into its terminal.

Everything happens in a scratch clone with a daemon and a tmux server of its own, which end with the
demo.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIME_OUT_S = 60
# The agent in tmux.
REVIEWER = "eve"


def surroundings(scratch: Path) -> dict[str, str]:
    """The environment of every process of the demo: this rally, a daemon and a state of its own."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("RALLY_", "GIT_"))
    }
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
    env["RALLY_RUNTIME_DIR"] = str(scratch / "run")
    env["XDG_STATE_HOME"] = str(scratch / "state")
    env["DEMO_GATE"] = str(scratch / "gate")
    env["RALLY_TMUX_SOCKET"] = str(scratch / "tmux")
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
    def story(self) -> Iterator[Story]:
        """The room's facts as they are said."""
        command = ["rally", "log", "--follow", "--json", "--limit", "0"]
        with subprocess.Popen(
            command, cwd=self.clone, env=self.env, stdout=subprocess.PIPE
        ) as following:
            assert following.stdout is not None
            try:
                yield Story(following.stdout)
            finally:
                following.terminate()

    @contextmanager
    def tmux(self) -> Iterator[bool]:
        """A tmux server for as long as the context lasts; whether there is one."""
        if not has_tmux():
            yield False
            return
        # The reader's own settings stay out of it: they may start programs.
        server = ["tmux", "-f", os.devnull, "-S", self.env["RALLY_TMUX_SOCKET"]]
        own = {name: value for name, value in self.env.items() if name not in ("TMUX", "TMUX_PANE")}
        subprocess.run(
            [*server, "new-session", "-d", "-s", "stage", "cat"], env=own, cwd=self.clone,
            check=True, timeout=TIME_OUT_S,
        )  # fmt: skip
        try:
            yield True
        finally:
            subprocess.run([*server, "kill-server"], env=own, check=False, timeout=TIME_OUT_S)

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


def has_tmux() -> bool:
    """Whether there is a tmux; where it may be installed just like that, it is."""
    if shutil.which("tmux") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        narrate("there is no tmux; trying: apt-get install tmux")
        subprocess.run(
            ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "tmux"],
            check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    return shutil.which("tmux") is not None


class Story:
    """The facts of the room, in whatever order they are waited for.

    Args:
        lines: as `rally log --follow --json` prints them.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._coming = (json.loads(line) for line in lines)
        self._told: list[dict[str, object]] = []

    def until(self, **wanted: str) -> dict[str, object]:
        """Wait until one has these fields, or had them before; that fact."""
        for fact in chain(list(self._told), self._remembered()):
            if all(fact.get(name) == value for name, value in wanted.items()):
                return fact
        raise SystemExit(f"demo: the room never said {wanted}")

    def _remembered(self) -> Iterator[dict[str, object]]:
        for fact in self._coming:
            self._told.append(fact)
            yield fact


def play(stage: Stage) -> int:
    """The whole demo; answers its exit code."""
    stage.rally("init")
    with stage.tmux() as has_tmux:
        if has_tmux:
            narrate(f"{REVIEWER} is started in tmux, as a managed agent")
            command = json.dumps(["/bin/sh", str(HERE / f"{REVIEWER}.sh")])
            stage.rally("run", REVIEWER, "--name", REVIEWER, "--command-json", command, show=True)
            stage.env["DEMO_REVIEWER"] = REVIEWER
        else:
            narrate(
                "tmux is not installed, so the managed agent is left out"
                " (apt install tmux, or brew install tmux)"
            )
        code = collide(stage)
    return code or look_back(stage)


def collide(stage: Stage) -> int:
    """The four agents, from their first word to their last, and the review that one asks for."""
    narrate("four agents enter; `rally watch` will wake whoever goes to sleep")
    os.mkfifo(stage.gate)
    with stage.story() as story, stage.watch():
        ada = stage.agent("ada")
        story.until(kind="claim", tool="ada")
        others = [stage.agent("cleo"), stage.agent("dan")]
        ben = stage.agent("ben")
        story.until(kind="standby", tool="ben")
        narrate(
            "ada and ben collided: ben was stopped before he wrote, and sleeps. `rally room` now:"
        )
        stage.rally("room", show=True)
        narrate("ada goes on")
        with stage.gate.open("w") as gate:
            gate.write("go on\n")
        codes = [agent.wait(TIME_OUT_S) for agent in (ada, ben, *others)]
        if any(codes):
            print(f"demo: an agent failed: {codes}", file=sys.stderr)
            return 1
        if "DEMO_REVIEWER" in stage.env:
            review(stage, story)
        story.until(kind="leave", tool="ben")
    return 0


def review(stage: Stage, story: Story) -> None:
    """dan's handoff is put into the terminal of the agent in tmux, which answers in the ledger."""
    handoff = str(story.until(kind="handoff", target=REVIEWER)["event_id"])
    narrate(f"dan's handoff goes into {REVIEWER}'s terminal: rally inject {REVIEWER} --handoff …")
    stage.rally("inject", REVIEWER, "--handoff", handoff, "--require-ack", show=True)
    story.until(kind="receipt", tool=REVIEWER, state="done")
    narrate(f"what {REVIEWER} has said about it: rally inbox --tool dan --sent")
    stage.rally("inbox", "--tool", "dan", "--sent", show=True)
    stage.rally("stop", REVIEWER)


def look_back(stage: Stage) -> int:
    """What the room knows in the end."""
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
    fifth = FIFTH if "DEMO_REVIEWER" in stage.env else ""
    print(CLOSING.format(fifth=fifth, bin=Path(sys.executable).parent))
    return 0 if landed == 4 else 1


FIFTH = """ A fifth sat in tmux, found a handoff in its
terminal (`rally inject`), and answered it."""
CLOSING = """
What you have just seen: four processes worked in one clone at once. Each claimed what it wanted to
write, asked before writing, ran a real validation and posted the result as evidence. Two of them
wanted the same file: the second was stopped before it wrote a byte, went on standby until the file was
free, was woken by `rally watch`, and finished.{fifth} Rally recorded and answered; the runners did the
starting, as programs of their own.

Try it yourself, in any repository:
  export PATH="{bin}:$PATH"
  rally enter --tool me && rally room"""


def give_up(number: int, _: object) -> None:
    """The demo has no time left, or is told to end."""
    raise SystemExit(f"demo: ended by {signal.Signals(number).name}")


def main() -> int:
    """Make the scratch clone, play, and leave nothing behind."""
    # Whatever goes wrong, the processes of the demo end with it.
    for number in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, give_up)
    signal.alarm(2 * TIME_OUT_S)
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

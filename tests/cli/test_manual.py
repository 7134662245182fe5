"""The manual pages: everything that the help says, in roff that nothing trips over."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from rally.cli import reference
from rally.cli.app import client_root
from rally.cli.command import VerbGroup
from rally.cli.manual import escaped, pages

ROOT = Path(__file__).resolve().parents[2]
PAGES = pages(client_root())
# Those that are installed here; what they would say is also looked for without them, below.
READERS = [
    command
    for command in (
        ["mandoc", "-Tlint", "-Wwarning"],
        ["groff", "-man", "-ww", "-Tascii"],
        ["man", "-l", "--warnings"],
    )
    if shutil.which(command[0])
]  # fmt: skip
REQUESTS = {"TH", "SH", "SS", "PP", "TP", "RS", "RE", "nf", "fi", "BR"}


def plain(page: str) -> str:
    """What a reader sees of a page, without its layout."""
    text = re.sub(r"^\.\\\".*\n", "", page, flags=re.MULTILINE)
    text = re.sub(r"^\.(SH|SS|BR|TH) ?", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\.(PP|TP|RS.*|RE|nf|fi)$", "", text, flags=re.MULTILINE)
    for raw, seen in (
        ("\\fB", ""), ("\\fR", ""), ("\\&", ""), ("\\-", "-"), ("\\(aq", "'"), ("\\(ga", "`"),
        ("\\(dq", '"'), ("\\(ti", "~"), ("\\(ha", "^"), ("\\e", "\\"),
    ):  # fmt: skip
        text = text.replace(raw, seen)
    return " ".join(text.split())


def test_there_is_a_page_for_rally_and_for_each_command() -> None:
    """A group's commands are on its page."""
    root = client_root()
    context = click.Context(root, info_name="rally")
    assert set(PAGES) == {"rally.1", *(f"rally-{n}.1" for n in root.list_commands(context))}
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None
        seen = plain(PAGES[f"rally-{name}.1"])
        inner = [command]
        if isinstance(command, VerbGroup):
            group = click.Context(command, info_name=name, parent=context)
            inner += [found for n in command.entries if (found := command.get_command(group, n))]
        for one in inner:
            assert one.example in seen  # type: ignore[attr-defined]
            for param in one.params:
                if isinstance(param, click.Option):
                    assert param.opts[-1] in seen
        assert f"rally-{name} (1)" in plain(PAGES["rally.1"])


def test_the_pages_are_those_in_the_folder(tmp_path: Path) -> None:
    """`make docs` writes them and takes away what is left of a command that is no more."""
    folder = ROOT / "docs" / "man"
    assert {page.name: page.read_text() for page in folder.glob("*.1")} == PAGES
    assert reference.main([str(tmp_path)]) == 0
    (tmp_path / "man" / "rally-old.1").write_text("old")
    assert reference.main(["--check", str(tmp_path)]) == 1
    assert reference.main([str(tmp_path)]) == 0
    assert reference.main(["--check", str(tmp_path)]) == 0
    assert not (tmp_path / "man" / "rally-old.1").exists()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_holds_nothing_that_roff_could_misread(name: str) -> None:
    """ASCII; every request is one that was meant, every backslash begins an escape of ours."""
    page = PAGES[name]
    assert page.isascii()
    assert page.endswith("\n")
    lines = page.splitlines()
    assert lines[1].startswith(".TH RALLY")
    for line in lines[1:]:
        assert not line.startswith("'")
        if line.startswith("."):
            assert line[1:].split()[0] in REQUESTS, line
        for escape in re.findall(r"\\(.\(?..?)", line):
            assert escape[0] in "&-efR(" or escape.startswith("fB"), line
        # A bare hyphen is drawn as a typographic one, which no shell takes for a flag.
        assert "-" not in line.replace("\\-", ""), line
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES"):
        assert f".SH {heading}" in lines


@pytest.mark.parametrize(
    ("text", "roff"),
    [
        (".SH FORGED", "\\&.SH FORGED"),
        ("a\n.so /etc/passwd\n'br", "a\n\\&.so /etc/passwd\n\\&\\(aqbr"),
        ("\\fBx\\", "\\efBx\\e"),
        ("--path", "\\-\\-path"),
        ("~/`x` ^\"y\"", "\\(ti/\\(gax\\(ga \\(ha\\(dqy\\(dq"),
        ("…é\x1b[31m", "\\&...\\[u00E9] [31m"),
    ],
)  # fmt: skip
def test_text_is_printed_as_it_stands(text: str, roff: str) -> None:
    """No line of it becomes a request, nor a part of it an escape."""
    assert escaped(text) == roff


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader[0])
def test_the_readers_of_this_machine_find_nothing_wrong(reader: list[str], tmp_path: Path) -> None:
    """The only complaint is that a page has no date, which would change with nothing else."""
    for name, page in PAGES.items():
        (tmp_path / name).write_text(page)
    done = subprocess.run(
        [*reader, *(str(tmp_path / name) for name in PAGES)], check=False, text=True,
        capture_output=True, timeout=60, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80"},
    )  # fmt: skip
    said = done.stderr + (done.stdout if reader[0] == "mandoc" else "")
    assert [line for line in said.splitlines() if "missing date" not in line] == []


@pytest.mark.parametrize("reader", [r for r in READERS if r[0] == "man"], ids=lambda r: r[0])
def test_a_person_reads_what_the_help_says(reader: list[str], tmp_path: Path) -> None:
    """Flags keep their hyphens, and an example can be pasted."""
    page = tmp_path / "rally-say.1"
    page.write_text(PAGES[page.name])
    shown = subprocess.run(
        [*reader, str(page)], check=True, text=True, capture_output=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "120", "LC_ALL": "C"},
    ).stdout  # fmt: skip
    assert "rally-say - write one fact" in shown
    assert "--ref-standby ID" in shown
    assert (
        "rally say claim --tool claude:1 --path src/api/ --subject 'rework the handlers'" in shown
    )

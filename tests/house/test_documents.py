"""What the documents say is what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rally.cli import reference
from rally.model.kinds import KINDS
from rally.wire import names

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def test_the_generated_pages_are_those_in_the_folder() -> None:
    """docs/cli.md and docs/errors.md are written by `make docs`, never by hand."""
    assert (DOCS / "cli.md").read_text() == reference.cli_markdown()
    assert (DOCS / "errors.md").read_text() == reference.errors_markdown()


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_kind_is_in_the_vocabulary(kind: str) -> None:
    """One meaning each, written down."""
    assert f"**{kind}**" in (DOCS / "vocabulary.md").read_text()


@pytest.mark.parametrize("verb", sorted(names.FORWARDED))
def test_every_verb_is_in_the_vocabulary(verb: str) -> None:
    """A verb that nobody explained does not exist."""
    words = (DOCS / "vocabulary.md").read_text()
    assert f"**{verb}**" in words


@pytest.mark.parametrize(
    "page", sorted([*DOCS.glob("*.md"), ROOT / "README.md"]), ids=lambda path: path.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A relative link names a file that exists."""
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_changelog_names_this_version() -> None:
    """Each version says what changed for its users."""
    from rally import __version__

    assert f"## {__version__}" in (DOCS / "changelog.md").read_text()

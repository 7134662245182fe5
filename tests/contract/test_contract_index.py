"""Every numbered rule has a test that cites it, and the page beside this file names real tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
RULES = (
    [f"R{n}" for n in range(1, 6)]
    + [f"O{n}" for n in range(1, 8)]
    + [f"F{n}" for n in range(1, 9)]
    + [f"C{n}" for n in range(1, 11)]
    + [f"K{n}" for n in range(7)]
    + [f"P{n}" for n in range(1, 11)]
    + [f"S{n}" for n in range(1, 5)]
    + ["T1", "T2", "T3", "T4"]
    + [f"W{n}" for n in range(1, 7)]
    + [f"X{n}" for n in range(1, 5)]
)
FINDINGS = (
    "claimed-path stale-fence read-only-step outside-claim unclaimed-path lapsed-claim active-blocker "
    "room-freeze unscoped-blocker binding-decision missing-path shared-claim"
).split()
# `claim` is missing: the C rules are its row.
KINDS = (
    "enter leave renew release artifact blocker resolve decision handoff receipt risk lesson "
    "note standby wake retract"
).split()


def promises() -> dict[str, str]:
    """The docstring of each test, by its name."""
    found = {}
    for source in HERE.glob("test_contract_[a-z].py"):
        for node in ast.parse(source.read_text()).body:
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and node.name[:5] == "test_"
            ):
                found[node.name] = ast.get_docstring(node) or ""
    return found


def cited(docstring: str) -> list[str]:
    """The rules before the colon, such as `R2, T4: …`."""
    return re.findall(r"\b[RFOCKPSTWX]\d+\b", docstring.partition(":")[0] + ":")


def test_every_rule_is_cited_by_a_test() -> None:
    """So that a new rule is noticed here."""
    rules = {rule for docstring in promises().values() for rule in cited(docstring)}
    assert set(RULES) - rules == set()


def test_every_finding_and_every_kind_has_a_test_of_its_own() -> None:
    """K2 and the table of kinds, row by row."""
    told = " ".join(promises().values())
    assert [code for code in FINDINGS if f"`{code}`" not in told] == []
    titles = " ".join(
        docstring.partition(":")[0] for docstring in promises().values() if "ind" in docstring[:5]
    )
    assert [kind for kind in KINDS if not re.search(rf"\b{kind}\b", titles)] == []


def test_every_test_says_which_rule_it_keeps() -> None:
    """A docstring that begins with a rule, a kind or the word Kinds."""
    free = [
        name
        for name, docstring in promises().items()
        if not cited(docstring) and not re.match(r"Kinds? ?", docstring)
    ]
    assert free == []


def test_the_page_beside_names_tests_that_exist() -> None:
    """README.md: a rule on each line, and tests that cite it."""
    known = promises()
    rows = re.findall(r"^\| (\w+) \| (.*) \|$", (HERE / "README.md").read_text(), re.MULTILINE)
    assert {rule for rule, _ in rows if rule != "rule"} == set(RULES)
    for rule, names in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert rule in cited(known[f"test_{name}"]), (rule, name)

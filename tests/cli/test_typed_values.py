"""What people type that looks right and is not: refused or pointed out, with something that works."""

from __future__ import annotations

import shlex

import pytest
from cli_terminal import Terminal


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"a":1,"a":2}', "'a' twice"),
        ('{"outer":[{"b":1,"c":2,"b":1}]}', "'b' twice"),
        ('{"n":18446744073709551616}', "64 bits: 18446744073709551616"),
        ('{"n":-9223372036854775809}', "64 bits: -9223372036854775809"),
        ('{"n":[' + "9" * 300 + "]}", "64 bits: 999"),
        ("[" * 5_000 + "]" * 5_000, "not JSON"),
    ],
)
async def test_data_that_would_not_be_kept_as_it_is_written_is_refused(
    rally: Terminal, data: str, words: str
) -> None:
    """A second value of a key, or the end of a number, would be lost without a word."""
    result = await rally("say", "note", "--tool", "a:1", "--subject", "s", "--data", data, "--json")
    assert (result.code, result.error["code"]) == (2, "bad-value")
    assert words in result.error["message"]
    assert len(result.error["message"]) < 200
    assert (await rally.json("room"))["head"] == 0


async def test_data_is_kept_to_the_last_digit(rally: Terminal) -> None:
    """The largest and the smallest number of 64 bits; a key may stand in two objects."""
    data = '{"max":18446744073709551615,"min":-9223372036854775808,"in":{"max":1}}'
    said = await rally.json("say", "note", "--tool", "a:1", "--subject", "s", "--data", data)
    assert said["fact"]["data"] == {"max": 2**64 - 1, "min": -(2**63), "in": {"max": 1}}


async def test_force_by_path_names_the_claims_that_it_could_mean(rally: Terminal) -> None:
    """C9: it ends one claim, by its id; the hint does it."""
    await rally.say("a:1", "claim", "--path", "src")
    words = ("say", "release", "--tool", "human", "--path", "src/x.py", "--path", "src/y.py")
    result = await rally(*words, "--force", "--reason", "gone", "--json")
    assert (result.code, result.error["code"]) == (2, "missing-field")
    assert "--ref" in result.error["message"]
    assert "a:1 (claim-" in result.error["message"]
    assert len(result.error["details"]["claims"]) == 1
    _, *again = shlex.split(result.error["hint"])
    assert (await rally(*again)).code == 0
    assert (await rally.json("room"))["active_claims"] == []


@pytest.mark.parametrize("typed", ["a.py", "./a.py", "deep/b.py"])
async def test_a_path_meant_from_the_folder_is_pointed_out(rally: Terminal, typed: str) -> None:
    """C1: it is the root's; who has a file of that name before his eyes is told, by claim and check."""
    (rally.cwd / ".git").mkdir()
    folder = rally.cwd / "sub"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.py").touch()
    (folder / "deep" / "b.py").touch()
    rally.cwd = folder
    meant = "sub/" + typed.removeprefix("./")
    for words in (("say", "claim"), ("check", "before-write")):
        result = await rally(*words, "--tool", "a:1", "--path", typed, "--json")
        assert result.code == 0
        (one,) = [
            one for one in result.envelope["warnings"] if one["code"] == "path-relative-to-root"
        ]
        assert one["message"].endswith(f"--path {meant}")


async def test_other_paths_are_not_remarked_upon(rally: Terminal) -> None:
    """A file of the root, one that is nowhere, a pattern, an absolute one, and whoever is at the top."""
    (rally.cwd / ".git").mkdir()
    top, folder = rally.cwd, rally.cwd / "sub"
    folder.mkdir()
    for path in (top / "both.py", folder / "both.py", folder / "a.py"):
        path.touch()
    paths = ("both.py", "nowhere.py", "*.py", str(folder / "a.py"), "sub/a.py")
    flags = [word for path in paths for word in ("--path", path)]
    rally.cwd = folder
    result = await rally("check", "before-write", "--tool", "a:1", *flags, "--json")
    assert "path-relative-to-root" not in result.out
    rally.cwd = top
    result = await rally("check", "before-write", "--tool", "a:1", "--path", "a.py", "--json")
    assert "path-relative-to-root" not in result.out


async def test_hints_of_the_merge_check_can_be_pasted(rally: Terminal) -> None:
    """K6: each finding is gone once its hint has been typed."""
    await rally.say("a:1", "claim", "--path", "src", "--ttl", "1s")
    await rally.say("a:1", "artifact", "--subject", "it's $HOME", "--run", "r", "--step", "s")
    rally.clock.advance(2_000)
    findings = (await rally.json("check-ci"))["findings"]
    assert {one["code"] for one in findings} == {"lapsed-claim", "artifact-without-evidence"}
    for one in findings:
        for command in one["hint"].split(" && "):
            _, *words = shlex.split(command)
            assert (await rally(*words)).code == 0, command
    assert (await rally.json("check-ci"))["findings"] == []
    (landed,) = (await rally.json("dag", "--run", "r"))["nodes"]
    assert (landed["status"], landed["subjects"]) == ("landed", ["it's $HOME"])

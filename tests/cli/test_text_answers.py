"""Text answers: harmless whatever agents wrote, within the terminal, plain where they must be
(contract O4, O5)."""

from __future__ import annotations

import re

import pytest
from cli_scene import EVIL, QUESTIONS, RUN, name_of, set_scene
from cli_terminal import Terminal

from rally.model.visible import display_width

OWN_STYLES = re.compile(r"\x1b\[(?:0|1|2|1;31|31|32|33|34|36)m")
# Columns beyond which nothing but ids, commands and whole messages goes.
TABLES = (("room",), ("inbox", "--tool", "codex:api"), ("task", "list", "--run", RUN), ("log",))


def is_harmless(text: str) -> bool:
    """Whether every character is one that a terminal only draws, or the end of a line."""
    return all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize("width", [0, 40, 80, 200])
async def test_what_agents_wrote_never_reaches_the_terminal_as_a_command(
    rally: Terminal, width: int
) -> None:
    """O5, for every text answer, errors and warnings included: no escape, no reversal, no forged
    line."""
    await set_scene(rally)
    for argv in QUESTIONS:
        result = await rally(*argv, width=width)
        shown = result.out + result.err
        assert is_harmless(shown), (argv, shown)
        assert not re.search(r"^error: forged", shown, re.MULTILINE), argv
        assert "\u202e" not in shown, argv


async def test_the_hostile_text_is_there_to_be_read(rally: Terminal) -> None:
    """A filter that drops everything would pass the test above."""
    await set_scene(rally)
    shown = (await rally("show", "7", width=200)).out
    assert r"\x1b[31mred\x1b]0;title\x07\nerror: forged\r\u202eabc" in shown
    assert "[bold]x[/bold]" in shown


async def test_a_block_of_text_cannot_pass_for_the_fields_around_it(rally: Terminal) -> None:
    """A summary of several lines keeps its lines and tabs, all of them indented."""
    await rally.say("a:1", "note", "--subject", "s", "--summary", "first\nhash  0000\n\tlast")
    shown = (await rally("show", "1")).out
    assert "summary\n  first\n  hash  0000\n          last\n" in shown


@pytest.mark.parametrize("argv", QUESTIONS, ids=name_of)
async def test_colours_are_laid_over_the_plain_text(rally: Terminal, argv: tuple[str, ...]) -> None:
    """O4: without its styles a coloured answer is the plain one, byte for byte."""
    if argv[0] in ("say", "enter", "leave", "task") and argv[1] != "list":
        return  # said twice, these are two facts
    await set_scene(rally)
    plain = await rally(*argv, width=100)
    coloured = await rally(*argv, width=100, colour=True)
    assert OWN_STYLES.sub("", coloured.out) == plain.out
    assert "\x1b" not in coloured.err


@pytest.mark.parametrize(
    ("flags", "surroundings"),
    [
        ((), {"colour": False}),
        (("--no-color",), {"colour": True}),
        ((), {"colour": True, "env": {"NO_COLOR": "1"}}),
        ((), {"colour": True, "env": {"TERM": "dumb"}}),
    ],
)
async def test_colours_can_be_declined_in_every_way(
    rally: Terminal, flags: tuple[str, ...], surroundings: dict[str, object]
) -> None:
    """O4: in a pipe, by flag, by NO_COLOR and on a dumb terminal."""
    await set_scene(rally)
    assert "\x1b" in (await rally("room", width=80, colour=True)).out
    assert "\x1b" not in (await rally("room", *flags, width=80, **surroundings)).out


async def test_an_empty_no_color_declines_nothing(rally: Terminal) -> None:
    """no-color.org: the variable counts when it is not empty."""
    await set_scene(rally)
    assert "\x1b" in (await rally("room", width=80, colour=True, env={"NO_COLOR": ""})).out


@pytest.mark.parametrize("width", [80, 100, 200])
async def test_tables_stay_within_the_terminal(rally: Terminal, width: int) -> None:
    """O4: no row is wrapped by the terminal; what does not fit is cut or goes below."""
    await set_scene(rally)
    for argv in TABLES:
        shown = (await rally(*argv, width=width)).out
        rows = [
            line for line in shown.splitlines()[1:] if not line.startswith(("mission", "answer"))
        ]
        assert max(map(display_width, rows)) <= width, argv


async def test_ids_are_never_cut(rally: Terminal) -> None:
    """They are there to be copied, on the narrowest terminal too."""
    await set_scene(rally)
    facts = (await rally.json("room"))["active_claims"]
    shown = (await rally("room", width=40)).out
    assert facts
    assert all(fact["event_id"] in shown for fact in facts)


async def test_a_piped_log_leaves_nothing_out(rally: Terminal) -> None:
    """O4: `rally log | grep word` finds a word at the end of a long subject."""
    await rally.say("a:1", "note", "--subject", f"{'long ' * 60}needle")
    assert "needle" in (await rally("log")).out
    assert "needle" not in (await rally("log", width=80)).out


async def test_a_piped_answer_does_not_depend_on_the_terminal(rally: Terminal) -> None:
    """O4: stable when piped, with no drawing in it."""
    await set_scene(rally)
    first, second = await rally("room"), await rally("room", env={"COLUMNS": "30", "TERM": "xterm"})
    assert first.out == second.out
    assert not set(first.out) & set("─│┌┐└┘━┃")


async def test_the_room_shows_what_is_there_and_only_that(rally: Terminal) -> None:
    """P2: sections without entries are left out; an empty room says what to type."""
    empty = (await rally("room")).out
    assert "rally enter" in empty
    assert "claims" not in empty.splitlines()[0]
    await rally.say("a:1", "claim", "--path", "src/app.py", "--subject", "rework")
    shown = (await rally("room")).out
    assert "claims (1)" in shown
    assert "src/app.py" in shown
    assert "30m" in shown
    assert "blockers" not in shown
    assert "handoffs" not in shown


async def test_the_room_says_when_a_list_is_capped(rally: Terminal) -> None:
    """P2: lists are capped, totals exact."""
    for number in range(4):
        await rally.say("a:1", "claim", "--path", f"src/{number}")
    assert "claims (2 of 4; --limit 0 shows all)" in (await rally("room", "--limit", "2")).out
    assert "claims (4)" in (await rally("room", "--limit", "0")).out


async def test_every_section_of_the_room_is_drawn(rally: Terminal) -> None:
    """P2: nothing that the JSON answer lists is missing on the screen."""
    await set_scene(rally)
    shown = (await rally("room")).out
    for title in ("blockers", "claims", "lapsed claims", "handoffs", "standbys", "decisions",
                  "risks", "agents", "latest artifacts"):  # fmt: skip
        assert f"\n{title} (" in shown, title
    assert "overdue" in shown
    assert "no evidence" in shown
    assert "mission" in shown


async def test_a_check_answers_in_its_first_word(rally: Terminal) -> None:
    """K1 for people: allow or stop alone on the first line, then why and what to type."""
    await rally.say("a:1", "claim", "--path", "src")
    assert (await rally("check", "before-write", "--tool", "a:1", "--path", "src")).out == "allow\n"
    refused = (await rally("check", "before-write", "--tool", "b:1", "--path", "src/x")).out
    assert refused.splitlines()[0] == "stop"
    assert "claimed-path" in refused
    assert "rally say standby --tool b:1" in refused


async def test_a_claim_says_what_it_holds_and_until_when(rally: Terminal) -> None:
    """The fence and the end of the lease are what its owner needs next."""
    result = await rally("say", "claim", "--tool", "a:1", "--path", "src", "--path", "docs")
    lines = result.out.splitlines()
    assert re.fullmatch(r"claim-\w+  seq 1  fence 1", lines[0])
    assert lines[1] == "holds src, docs  lease ends 2023-11-14T22:43:20.000Z (in 30m)"
    assert result.err.startswith("warning: a:1 has not entered the room")


async def test_a_taken_task_comes_with_its_packet(rally: Terminal) -> None:
    """W5: taking a task prints the whole prompt for it."""
    await rally.json("task", "add", "--tool", "a:1", "--run", "r 1", "--id", "t", "--intent", "do\nit",
                     "--owns", "src/t", "--validation", "make test")  # fmt: skip
    taken = (await rally("task", "take", "--run", "r 1", "--tool", "b:1")).out
    first, _, packet = taken.partition("\n\n")
    assert re.fullmatch(r"took t of run r 1  claim-\w+  fence 2", first)
    assert "make test" in packet
    assert "src/t" in packet
    assert "b:1" in packet


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("log",), "no fact matches"),
        (("status",), "no rooms yet"),
        (("inbox", "--tool", "a:1"), "nothing is asked of a:1"),
        (("inbox", "--tool", "a:1", "--sent"), "a:1 has asked nothing of others"),
        (("wake-due",), "no standby is due"),
        (("lead",), "the lead's seat is free"),
        (("mission",), "no mission is set"),
        (("task", "list", "--run", "r"), "run r has no tasks"),
        (("task", "list", "--run", "r; rm x"), "rally task add --run 'r; rm x' --id ID"),
        (("dag", "--run", "r"), "run r: no facts"),
        (("check-ci",), "clean"),
        (("whoami",), "not said: --tool"),
        (("next", "--tool", "a:1"), "nothing asks for you"),
    ],
)
async def test_nothing_is_said_in_words(rally: Terminal, argv: tuple[str, ...], text: str) -> None:
    """An empty answer says that it is one, and makes no room (contract R2)."""
    result = await rally(*argv)
    assert result.code == 0
    assert text in result.out
    assert not (rally.cwd / ".rally").exists()


async def test_warnings_go_beside_the_answer(rally: Terminal) -> None:
    """In text mode they stand on standard error, where a pipe does not take them for the answer."""
    result = await rally("say", "note", "--tool", "a:1", "--subject", EVIL)
    assert "warning" not in result.out
    assert result.err.startswith("warning: ")
    assert result.err.count("\n") == 1


async def test_paths_are_cut_so_that_they_can_be_told_apart(rally: Terminal) -> None:
    """A narrow terminal shows the end of a path; of several, the first and how many more."""
    folder = "src/frontend/components/authentication"
    await rally.say("a:1", "claim", "--path", f"{folder}/form.tsx")
    await rally.say("b:1", "claim", "--path", f"{folder}/one.ts", "--path", f"{folder}/two.ts")
    shown = (await rally("room", width=60)).out
    assert re.search(r"src/\S*….*/form\.tsx ", shown)
    assert re.search(r"src/\S*….*/one\.ts \+1 ", shown)


async def test_entering_tells_the_news_and_counts_the_traffic(rally: Terminal) -> None:
    """Who came, claimed and let go is in the other lists, as far as it still matters."""
    await rally.say("a:1", "claim", "--path", "src")
    await rally.say("a:1", "release", "--path", "src")
    await rally.say("a:1", "lesson", "--subject", "mind the gap")
    shown = (await rally("enter", "--tool", "b:1")).out
    assert "new to you (3)\n" in shown
    assert shown.count("mind the gap") == 1
    assert "  and 2 about who came, went, claimed or let go: rally log --since 0\n" in shown
    assert "release" not in shown


async def test_what_is_said_tells_what_comes_of_it(rally: Terminal) -> None:
    """A sleeper sees what wakes it; whoever lands something, which claims have ended."""
    await rally.say("a:1", "claim", "--path", "src")
    claim = (await rally.json("log"))["facts"][0]["event_id"]
    landed = await rally("say", "artifact", "--tool", "a:1", "--path", "src", "--subject", "s",
                         "--release")  # fmt: skip
    assert landed.out.endswith(f"\nreleased src  {claim}\n")
    asleep = await rally("say", "standby", "--tool", "a:1", "--until", "free:src",
                         "--wake-after", "+30m")  # fmt: skip
    assert re.search(r"\nasleep until free:src or \S+Z \(in (30|29)m\)\n$", asleep.out)


async def test_what_is_not_to_be_touched_is_named_whole(rally: Terminal) -> None:
    """Half a path keeps nobody away, in a terminal of whatever width."""
    path = "src/frontend/components/authentication/form.tsx"
    await rally.say("a:1", "claim", "--path", path)
    assert path in (await rally("enter", "--tool", "b:1", width=40)).out


async def test_letting_go_of_one_path_says_what_else_goes_with_it(rally: Terminal) -> None:
    """A claim ends whole, also where only one of its paths was named."""
    await rally.say("a:1", "claim", "--path", "src", "--path", "docs")
    await rally.say("a:1", "claim", "--path", "other")
    said = await rally("say", "release", "--tool", "a:1", "--path", "docs")
    assert re.search(r"\nreleased (src, docs|docs, src)  claim-\w+\n$", said.out)
    told = await rally.json("say", "release", "--tool", "a:1", "--path", "other")
    assert set(told) == {"fact", "replayed"}  # as the contract has it (O1)

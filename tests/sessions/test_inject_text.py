"""What arrives in the terminal is the text, byte for byte, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import READER, Desk, at_desk
from reader_file import Received

from rally.execution.sessions.text import TEXT_BYTES_MAX


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Received]]:
    """A session whose agent keeps every byte that it reads."""
    folder = tmp_path_factory.mktemp("terminal")
    with at_desk(folder) as desk:
        received = Received(folder / "bytes", "texts")
        pane = desk.pane(sys.executable, READER, str(received.path), received.channel)
        desk.wait_for(f"{received.channel}-ready")
        with desk.rally("adopt", pane, "--name", "reader") as adopting:
            assert adopting.wait() == 0
        yield desk, received


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "it's \"quoted\" `cmd` $(cmd) $HOME ${X} !! %d \\ \\n \\x1b #{pane_id} ~ * ?",
        "semicolon;",
        ";",
        "-t %0 Enter C-c",
        "one\n\ttwo\n\n  three\n",
        "naïve 日本語 🙂 e\u0301 \u200d",
        "a" * TEXT_BYTES_MAX,
        "\n".join(f"line {number} 'x' \\" for number in range(3_000)),
        "é" * (TEXT_BYTES_MAX // 2),
    ],
    ids=[
        "plain", "quotes", "semicolon", "only-semicolon", "looks-like-flags", "lines", "unicode",
        "64-kib", "3000-lines", "64-kib-of-two-byte-characters",
    ],
)  # fmt: skip
async def test_a_text_arrives_byte_for_byte(terminal: tuple[Desk, Received], text: str) -> None:
    """Quotes, escapes, lines and length change nothing; Enter follows once, outside the paste."""
    desk, received = terminal
    data = (await desk("inject", "reader", "--text", text)).data
    assert (data["reached_target"], data["queued"], data["submitted"]) == (True, False, True)
    assert data["reason"] is None
    desk.wait_for(f"{received.channel}-enter")
    assert received.pasted() == [text.encode()]
    assert received.outside() == b"\r"


@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        ("red \x1b[31m \x1b]0;t\x07 end", "red [31m ]0;t end"),
        ("out \x1b[201~\r rm -rf .\r", "out [201~ rm -rf ."),
        ("one\r\ntwo\x7f\x08\x85\x9b", "one\ntwo"),
        ("\u202eabc\u2066\u200f\u061c", "abc"),
    ],
    ids=["escapes", "end-of-paste", "controls", "bidi"],
)
async def test_controls_do_not_arrive(
    terminal: tuple[Desk, Received], text: str, arrives: str
) -> None:
    """No byte can press a key, end the paste, move the cursor or turn the reading direction."""
    desk, received = terminal
    assert (await desk("inject", "reader", "--text", text)).data["reached_target"]
    desk.wait_for(f"{received.channel}-enter")
    assert received.pasted() == [arrives.encode()]
    assert received.outside() == b"\r"


async def test_no_enter_leaves_the_text(terminal: tuple[Desk, Received]) -> None:
    """`--no-enter`: what is pasted stays in the input line, and the next text joins it."""
    desk, received = terminal
    data = (await desk("inject", "reader", "--text", "first ", "--no-enter")).data
    assert (data["reached_target"], data["submitted"]) == (True, False)
    await desk("inject", "reader", "--text", "second")
    desk.wait_for(f"{received.channel}-enter")
    assert received.pasted() == [b"first ", b"second"]
    assert received.outside() == b"\r"


async def test_a_text_comes_from_standard_input(terminal: tuple[Desk, Received]) -> None:
    """`--text -`: as every other value that may be `-`, without the last line break."""
    desk, received = terminal
    await desk("inject", "reader", "--text", "-", stdin=b"a\nb\n")
    desk.wait_for(f"{received.channel}-enter")
    assert received.pasted() == [b"a\nb"]
    received.outside()


async def test_texts_that_come_at_once_do_not_mix(desk: Desk, tmp_path: Path) -> None:
    """Between a paste and its Enter nothing else comes, whoever writes."""
    received = Received(tmp_path / "bytes", "crowd")
    pane = desk.pane(sys.executable, READER, str(received.path), received.channel)
    desk.wait_for(f"{received.channel}-ready")
    await desk("adopt", pane, "--name", "reader")
    texts = [f"text {number}" for number in range(4)]
    writers = [desk.rally("inject", "reader", "--text", text) for text in texts]
    for writer in writers:
        with writer:
            assert writer.wait() == 0
    raw = received.take()
    while raw.count(b"\r") < len(texts):  # it tells after each, so the last is never missed
        desk.wait_for(f"{received.channel}-enter")
        raw += received.take()
    assert sorted(raw.split(b"\r")[:-1]) == [
        b"\x1b[200~" + text.encode() + b"\x1b[201~" for text in texts
    ]


@pytest.mark.usefixtures("impatient")
async def test_a_reader_that_takes_its_time_gets_it_all(desk: Desk, tmp_path: Path) -> None:
    """More than its terminal holds is kept by tmux until it reads; nobody waits for that."""
    received = Received(tmp_path / "late", "late")
    await desk.run(
        sys.executable, READER, str(received.path), received.channel, "late",
        flags=("--name", "reader"),
    )  # fmt: skip
    desk.wait_for(f"{received.channel}-ready")
    text = "\n".join(f"slow {number}" for number in range(5_000))
    data = (await desk("inject", "reader", "--text", text)).data
    assert (data["reached_target"], data["submitted"], data["queued"]) == (True, True, False)
    assert not received.path.exists()
    desk.tmux("wait-for", "-S", f"{received.channel}-go")
    desk.wait_for(f"{received.channel}-enter")
    assert received.pasted() == [text.encode()]
    assert received.outside() == b"\r"


async def test_a_program_without_bracketed_paste_gets_the_bare_text(
    desk: Desk, tmp_path: Path
) -> None:
    """Its line feeds stay line feeds: only the last Enter sends something off."""
    received = Received(tmp_path / "bytes", "plain")
    pane = desk.pane(sys.executable, READER, str(received.path), received.channel, "plain")
    desk.wait_for(f"{received.channel}-ready")
    await desk("adopt", pane, "--name", "plain")
    await desk("inject", "plain", "--text", "one\ntwo;")
    desk.wait_for(f"{received.channel}-enter")
    assert received.take() == b"one\ntwo;\r"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--text", "a" * (TEXT_BYTES_MAX + 1)), "too-long"),
        (("--text", "é" * (TEXT_BYTES_MAX // 2) + "a"), "too-long"),
        (("--text", "a\udcffb"), "bad-text"),
        (("--text", ""), "bad-value"),
        (("--text", " \n\x1b\u202e"), "bad-value"),
        ((), "usage"),
        (("--text", "a", "--handoff", "handoff-1"), "usage"),
        (("--text", "a", "--timeout", "1s"), "usage"),
        (("--text", "a", "--require-ack", "--timeout", "soon"), "bad-duration"),
        (("--text", "a" * (16 * 1024 + 1), "--require-ack"), "too-long"),
        (("--handoff", "handoff-nowhere"), "unknown-id"),
    ],
)
async def test_a_bad_text_is_refused(
    terminal: tuple[Desk, Received], words: tuple[str, ...], code: str
) -> None:
    """Exit 2, and neither terminal nor ledger has anything new."""
    desk, received = terminal
    before = await desk.facts()
    result = await desk("inject", "reader", *words)
    assert result.code == 2
    assert result.error["code"] == code
    assert await desk.facts() == before
    assert received.take() == b""


async def test_standard_input_that_is_no_text_is_refused(terminal: tuple[Desk, Received]) -> None:
    """NUL and what is no UTF-8, as everywhere."""
    desk, _ = terminal
    for raw in (b"a\0b", b"a\xff"):
        result = await desk("inject", "reader", "--text", "-", stdin=raw)
        assert (result.code, result.error["code"]) == (2, "bad-text")

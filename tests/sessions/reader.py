"""A program that reads its terminal raw, as agents do, and keeps every byte in a file.

    reader.py OUT_FILE CHANNEL [plain|late]

It asks for bracketed paste unless it is `plain`, and reads nothing before CHANNEL-go where it is `late`.
It tells the tmux channel CHANNEL-ready when it is there, and CHANNEL-enter after each Enter that comes
outside of a paste.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tty

START, END, ENTER = b"\x1b[200~", b"\x1b[201~", b"\r"


def tell(channel: str) -> None:
    subprocess.run(["tmux", "wait-for", "-S", channel], check=True)


def main(path: str, channel: str, *words: str) -> None:
    tty.setraw(0)
    if "plain" not in words:
        os.write(1, b"\x1b[?2004h")
    tell(f"{channel}-ready")
    if "late" in words:
        subprocess.run(["tmux", "wait-for", f"{channel}-go"], check=True)
    data = b""
    with open(path, "ab") as kept:
        while True:
            piece = os.read(0, 65_536)
            if not piece:
                return
            data += piece
            kept.write(piece)
            kept.flush()
            inside = data.count(START) > data.count(END)
            if data.endswith(ENTER) and not inside:
                tell(f"{channel}-enter")


main(*sys.argv[1:])

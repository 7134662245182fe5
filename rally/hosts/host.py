"""What rally knows of one agent's command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Host:
    """One agent CLI.

    Attributes:
        name: what `rally run` calls it; sessions are numbered after it.
        programs: the command under all its names, the one to prefer first. Called without
            arguments it opens its interactive screen in the folder it is started in.
        facts_from: the version of the program that all this was learnt from.
        marks: variables that it puts into the environment of what it starts, and by which a
            second agent started from it would take itself for a part of the first.
    """

    name: str
    programs: tuple[str, ...]
    facts_from: str
    marks: tuple[str, ...] = ()

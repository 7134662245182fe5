"""The files that a patch in codex's own form names.

    *** Begin Patch
    *** Add File: <path>            every line below it begins with +
    *** Delete File: <path>         nothing follows
    *** Update File: <path>
    *** Move to: <path>             directly below it: the file is renamed
    @@ …                            then context, - and + lines
    *** End Patch

Only headers are looked at; whether the patch applies is the tool's business. A line of the body
never begins with `***`, because its first character is a blank, `-`, `+` or `@`.
"""

from __future__ import annotations

from rally.hosts.hooks import PayloadError, Write, absolute

_HEADERS = ("*** Add File: ", "*** Update File: ", "*** Move to: ", "*** Delete File: ")
# Each line of a new file begins with `+`, so that no header is mistaken there.
_WITHOUT_CONTEXT = (_HEADERS[0], _HEADERS[-1])


def patch_writes(text: str, folder: str) -> list[Write]:
    """The files that a patch writes, as a hook is asked about them.

    Args:
        folder: the one that it is applied in.

    Raises:
        PayloadError: it names no file, or a relative one where the folder is not known.
    """
    found = [Write(absolute(one, folder)) for one in patch_paths(text)]
    if not found:
        raise PayloadError("a patch that names no file")
    return found


def patch_paths(text: str) -> list[str]:
    """The paths that the patch adds, changes, removes or moves, in order, each once.

    Args:
        text: a patch of any length, or anything else, which names no path.
    """
    found: dict[str, None] = {}
    in_body = False
    for raw in text.split("\n"):
        if "***" not in raw:
            continue
        # Above the first header and below a file that is added or removed the tool forgives blanks;
        # in an update they are context.
        line = raw.rstrip() if in_body else raw.strip()
        for header in _HEADERS:
            if line.startswith(header):
                path = line[len(header) :].strip()
                if path:
                    found[path] = None
                in_body = header not in _WITHOUT_CONTEXT
    return list(found)

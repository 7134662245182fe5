"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, *pieces: bytes, partial: Path, is_durable: bool) -> None:
    """Put content in the place of a file's, in one step for whoever reads it; mode 0600.

    Args:
        pieces: the content.
        partial: where it is written first: beside the file, under a name that no other writer uses at
            the same time. What a killed process left there is overwritten.
        is_durable: have the content on the disk before the name; what is only a cache does without.

    Raises:
        OSError: the file is as it was.
    """
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path | str) -> None:
    """Make the names in a folder durable, where the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

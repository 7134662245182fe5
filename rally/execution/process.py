"""The only file of rally that starts processes (law 1).

spawn_detached    a program that outlives this process: the daemon
run_captured      a short program, to its end: git, tmux
start_child       a program to look after: a process group of its own, its output drained, a time
                  limit that holds for its children too
start_foreground  a program in this one's place: terminal, standard input and process group
become            this process turns into another program and does not come back
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

    from rally.execution.child import Child, Pipes

    Process = subprocess.Popen[bytes]

# The shell starts the program in the background and ends, so the program becomes a child of init: a
# starter that lives long never has to collect it, and os.fork(), unsafe beside threads, is not
# needed.
_IN_BACKGROUND = '"$@" &'


def spawn_detached(argv: Sequence[str], *, env: Mapping[str, str], log_path: str | None) -> int:
    """Start a program that outlives this process: its own session, `/` as folder, no standard
    input.

    Args:
        argv: the program, absolute, and its arguments.
        env: its whole environment.
        log_path: file that its standard error is appended to; None: discarded.

    Returns:
        The read end of the pipe that is the program's standard output, for the caller to close. End
        of file on it means that the program ended, or that it closed or redirected its output.

    Raises:
        OSError: nothing was started.
    """
    import subprocess  # 5 ms: only for those who start something

    log_fd = os.open(
        log_path or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        read_end, write_end = os.pipe()
        try:
            subprocess.run(  # noqa: S603 -- an argument list, passed through "$@" unread
                ["/bin/sh", "-c", _IN_BACKGROUND, "sh", *argv],
                env=dict(env),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=log_fd,
                start_new_session=True,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            os.close(read_end)
            raise OSError(f"cannot start {argv[0]}: {error}") from error
        finally:
            os.close(write_end)
    finally:
        os.close(log_fd)
    return read_end


def run_captured(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    timeout_s: float,
    stdin: bytes = b"",
) -> tuple[int, bytes, bytes]:
    """Run a short program to its end.

    Args:
        argv: the program and its arguments.
        cwd: the folder it runs in.
        env: its whole environment.
        timeout_s: after so many seconds it is killed.
        stdin: what it reads on standard input.

    Returns:
        Its exit code (negative: the signal that ended it), standard output and standard error.

    Raises:
        OSError: it could not be started, or (TimeoutError) it did not end in time.
    """
    import subprocess  # 5 ms: only for those who start something

    try:
        ended = subprocess.run(  # noqa: S603 -- an argument list, no shell
            list(argv),
            cwd=cwd,
            env=dict(env),
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{argv[0]} did not end within {timeout_s:g} s") from None
    return ended.returncode, ended.stdout, ended.stderr


def start_child(
    argv: Sequence[str], *, cwd: str, env: Mapping[str, str], pipes: Pipes | None = None
) -> Child:
    """Start a program in a session and process group of its own.

    Both its outputs are drained from here on. Called in a running event loop.

    Args:
        argv: the program and its arguments.
        cwd: the folder it runs in.
        env: its whole environment; also where its name is looked up.
        pipes: what it reads, and what is kept of what it prints; by default it reads nothing.

    Raises:
        OSError: nothing was started.
    """
    import subprocess

    from rally.execution.child import Child

    process = subprocess.Popen(  # noqa: S603 -- an argument list, no shell
        list(argv),
        cwd=cwd,
        env=dict(env),
        stdin=pipes.stdin if pipes and pipes.stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    return Child(process, pipes)


def start_foreground(
    argv: Sequence[str], *, env: Mapping[str, str], stdout: int | None = None
) -> Process:
    """Start a program as if it had been called in this process's place.

    It shares folder, terminal, process group and every descriptor that this process was given, so
    Ctrl-C, Ctrl-Z and standard input reach it directly.

    Args:
        argv: the program and its arguments.
        env: its whole environment; also where its name is looked up.
        stdout: the descriptor that is its standard output; None: this process's own.

    Raises:
        FileNotFoundError: there is no such program; nothing was started.
        OSError: it cannot be executed; nothing was started.
    """
    import subprocess

    return subprocess.Popen(list(argv), env=dict(env), close_fds=False, stdout=stdout)  # noqa: S603


def become(argv: Sequence[str], *, env: Mapping[str, str]) -> None:
    """Turn this process into another program; on success this call does not return.

    Args:
        argv: the program, absolute, and its arguments.
        env: its whole environment.

    Raises:
        OSError: it cannot be executed; this process goes on.
    """
    os.execve(argv[0], list(argv), dict(env))  # noqa: S606 -- no shell is the point

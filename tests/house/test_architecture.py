"""The laws of docs/architecture.md, held by a machine."""

from __future__ import annotations

import ast
import gc
import subprocess
import sys
from pathlib import Path

import pytest

import rally

PACKAGE = Path(rally.__file__).parent
ONLY_STARTER = PACKAGE / "execution" / "process.py"
# A program may become another one (exec) only where a person asked for exactly that.
STARTERS = frozenset(
    "system popen fork forkpty spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe "
    "posix_spawn posix_spawnp execl execle execlp execlpe execv execve execvp execvpe "
    "create_subprocess_exec create_subprocess_shell subprocess_exec subprocess_shell".split()
)
EVALUATORS = frozenset({"eval", "exec", "__import__", "compile"})
STARTING_MODULES = frozenset({"subprocess", "multiprocessing", "pty", "_posixsubprocess", "runpy"})


def sources() -> list[Path]:
    """Every module of the product."""
    return sorted(PACKAGE.rglob("*.py"))


def tree_of(source: Path) -> ast.Module:
    """The syntax tree of a module.

    Without the collector: CPython 3.11 can lose count of its own recursion when a finalizer runs while
    it builds a tree (SystemError: AST constructor recursion depth mismatch).
    """
    gc.disable()
    try:
        return ast.parse(source.read_text())
    finally:
        gc.enable()


def offences(tree: ast.AST) -> list[str]:
    """Names in a syntax tree that start a process or evaluate text."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func
            if isinstance(name, ast.Attribute) and name.attr in STARTERS:
                found.append(f"line {node.lineno}: .{name.attr}()")
            if isinstance(name, ast.Name) and name.id in STARTERS | EVALUATORS:
                found.append(f"line {node.lineno}: {name.id}()")
        if isinstance(node, ast.Import):
            found += [
                f"line {node.lineno}: import {alias.name}"
                for alias in node.names
                if alias.name.partition(".")[0] in STARTING_MODULES
            ]
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").partition(".")[0]
            if module in STARTING_MODULES:
                found.append(f"line {node.lineno}: from {node.module} import")
            if module == "os":
                found += [
                    f"line {node.lineno}: from os import {alias.name}"
                    for alias in node.names
                    if alias.name in STARTERS
                ]
    return found


@pytest.mark.parametrize(
    "source", sources(), ids=lambda path: str(path.relative_to(PACKAGE)).replace("/", ".")
)
def test_only_one_file_starts_processes_and_none_evaluates_text(source: Path) -> None:
    """Law 1: processes are started in `execution/process.py` and nowhere else."""
    if source == ONLY_STARTER:
        return
    allowed = ALLOWED.get(str(source.relative_to(PACKAGE)), frozenset())
    found = [one for one in offences(tree_of(source)) if one.split(": ")[1] not in allowed]
    assert found == []


# The guard names what it forbids.
ALLOWED: dict[str, frozenset[str]] = {
    "daemon/guard.py": frozenset({"import _posixsubprocess"}),
}


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.system('x')", "from os import posix_spawn", "import subprocess as s",
        "from multiprocessing import Process", "eval('1')", "__import__('os')",
        "import asyncio\nasyncio.create_subprocess_exec('x')", "import pty",
    ],
)  # fmt: skip
def test_the_scan_sees_every_way_it_is_meant_to_see(text: str) -> None:
    """A guard that cannot fire guards nothing."""
    assert offences(ast.parse(text))


def test_no_product_module_is_longer_than_its_room() -> None:
    """Files have at most 400 lines, functions at most 60."""
    long = []
    for source in sources():
        text = source.read_text()
        if text.count("\n") > 400:
            long.append(f"{source.name}: {text.count(chr(10))} lines")
        for node in ast.walk(tree_of(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno
                if length > 60:
                    long.append(f"{source.name}:{node.name}: {length} lines")
    assert long == []


def test_only_the_clock_reads_a_clock() -> None:
    """Law 4: decisions and views take `now`; one module reads the wall clock."""
    readers = []
    for source in sources():
        if source.name == "clock.py" and source.parent.name == "model":
            continue
        if "facilitation" not in source.parts and "model" not in source.parts:
            continue
        for node in ast.walk(tree_of(source)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                call = f"{node.value.id}.{node.attr}"
                if call in {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow"}:
                    readers.append(f"{source.name}: {call}")
    assert readers == []


def test_the_facilitating_modules_import_no_runner_even_indirectly() -> None:
    """Contract T2, asked of a real interpreter: importing the daemon brings in no runner."""
    program = (
        "import sys, pkgutil, importlib, rally.daemon, rally.facilitation\n"
        "for package in (rally.daemon, rally.facilitation):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
        "print([name for name in sys.modules if name.startswith('rally.execution')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

"""An agent host for tests: the SDK's own client, with `rally mcp` as a real process behind it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult, Implementation

from rally.client.direct import Direct

RALLY = str(Path(sys.executable).with_name("rally"))
# Nothing here takes long; a test that waits for ever is a failure and not a hang.
PATIENCE_S = 30.0
HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "tester", "version": "1"},
    },
}


class Desk:
    """A folder, an environment of its own, and whoever works there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repo"
        self.root.mkdir()
        self.env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "RALLY_RUNTIME_DIR": str(folder / "run"),
        }

    @contextlib.asynccontextmanager
    async def client(
        self, *words: str, name: str = "tester", mode: str = "auto", **env: str
    ) -> AsyncIterator[Client]:
        """A host that has started `rally mcp`."""
        server = StdioServerParameters(
            command=RALLY, args=["mcp", *words], env={**self.env, **env}, cwd=str(self.root)
        )
        info = Implementation(name=name, version="1")
        async with Client(
            stdio_client(server), client_info=info, mode=mode, read_timeout_seconds=PATIENCE_S
        ) as client:
            yield client

    def rally(self, *words: str, **env: str) -> Any:
        """The main result of a command that must succeed."""
        done = subprocess.run(
            [RALLY, *words, "--json"], cwd=self.root, env={**self.env, **env}, check=False,
            capture_output=True, timeout=PATIENCE_S,
        )  # fmt: skip
        document = json.loads(done.stdout)
        assert done.returncode == 0, document
        return document["data"][document["command"]]

    async def ask(self, op: str, **params: Any) -> Any:
        """One question, put to the ledger itself."""
        direct = Direct(env=self.env, cwd=str(self.root))
        try:
            return await direct.call(op, **params)
        finally:
            await direct.close()

    async def facts(self) -> list[dict[str, Any]]:
        """All facts; none where there is no room."""
        found: list[dict[str, Any]] = (await self.ask("log", limit=0))["facts"]
        return found

    @contextlib.contextmanager
    def raw(self, *words: str, **env: str) -> Iterator[Raw]:
        """The server without a client: what is typed into it, what comes out of it."""
        process = subprocess.Popen(
            [RALLY, "mcp", *words], cwd=self.root, env={**self.env, **env},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield Raw(process)
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE_S)


class Raw:
    """One server process, spoken to in lines."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def send(self, message: bytes | dict[str, Any]) -> None:
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def line(self) -> bytes:
        """The next line of the protocol."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        assert ready, "the server says nothing"
        return self.process.stdout.readline()

    def receive(self) -> dict[str, Any]:
        """The next message."""
        message = json.loads(self.line())
        assert message["jsonrpc"] == "2.0"
        return message

    def hello(self) -> dict[str, Any]:
        """The handshake of 2025."""
        self.send(HELLO)
        answer = self.receive()
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def call(self, number: int, name: str, arguments: Any) -> None:
        """Begin a call of a tool."""
        params = {"name": name, "arguments": arguments}
        self.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})

    def end(self) -> tuple[int, bytes, bytes]:
        """Close standard input; exit code, the rest of the output, standard error."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


def text_of(result: CallToolResult) -> str:
    """The one text of a result."""
    assert [one.type for one in result.content] == ["text"]
    text = getattr(result.content[0], "text", None)
    assert isinstance(text, str)
    return text


def answer_of(result: CallToolResult) -> dict[str, Any]:
    """The structured answer of a call that was done."""
    assert result.is_error is False, result
    assert isinstance(result.structured_content, dict)
    return result.structured_content


def refusal_of(result: CallToolResult) -> dict[str, Any]:
    """The structured error of a call that was refused."""
    assert result.is_error is True, result
    error = result.structured_content
    assert isinstance(error, dict)
    assert {"code", "message", "hint", "exit_code", "details"} <= set(error)
    assert text_of(result).endswith("\n")
    assert f"error: {error['message']}" in text_of(result)
    return error

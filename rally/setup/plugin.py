"""The opencode plugin: a file that is rally's own, since opencode runs no commands as hooks.

It is TypeScript that is plain JavaScript as well, so that anything can run it. opencode calls every
function that a plugin file exports; there is exactly one.
"""

from __future__ import annotations

import json
from typing import Final

from rally.setup.events import EVENTS, TIMEOUT_S
from rally.setup.hook_json import Found
from rally.setup.surface import Wish

OWN_LINE: Final = "// rally:plugin"
_OPTIONS_LINE = "const OPTIONS = "
_TEMPLATE = """\
// rally:plugin (managed: `rally hooks install opencode` writes it, `uninstall` removes it)
// @ts-nocheck
import { spawn } from "node:child_process"

const OPTIONS = @OPTIONS@
const FAIL_CLOSED = OPTIONS.includes("--fail-closed")
const TIMEOUT_MS = @TIMEOUT_MS@

// Asks rally; answers its exit code, null where there was none, what it said about that, and the text
// that it has for the agent.
const ask = (event, payload, options = []) =>
  new Promise((resolve) => {
    let said = ""
    let printed = ""
    let child
    let timer
    const answer = (code, why) => {
      clearTimeout(timer)
      resolve({ code, said: why.trim(), context: contextIn(printed) })
    }
    try {
      child = spawn("rally", ["hook", "opencode", event, ...options], {
        cwd: payload.cwd,
        stdio: ["pipe", "pipe", "pipe"],
      })
    } catch (error) {
      return answer(null, String(error))
    }
    timer = setTimeout(() => {
      child.kill("SIGKILL")
      answer(null, `no answer within ${TIMEOUT_MS} ms`)
    }, TIMEOUT_MS)
    child.on("error", (error) => answer(null, String(error)))
    child.on("close", (code) => answer(code, said))
    child.stdout.on("data", (piece) => { printed += piece })
    child.stderr.on("data", (piece) => { said += piece })
    child.stdin.on("error", () => {}) // it may end without reading
    child.stdin.end(JSON.stringify(payload))
  })

const contextIn = (printed) => {
  try {
    return JSON.parse(printed).context ?? ""
  } catch {
    return ""
  }
}

export const RallyPlugin = async ({ directory }) => {
  const pending = new Map() // the arguments of calls that have begun: afterwards they are not told
  const untold = new Map() // by session: texts that go with the result of its next tool call
  const keep = (sessionID, text) => {
    if (text) untold.set(sessionID, [...(untold.get(sessionID) ?? []), text])
  }
  return {
    "tool.execute.before": async (input, output) => {
      const { tool, sessionID, callID } = input
      const payload = { tool, args: output.args, sessionID, callID, cwd: directory }
      const { code, said, context } = await ask("tool.execute.before", payload, OPTIONS)
      if (code === 2) throw new Error(said || "rally: this write is blocked")
      if (code !== 0 && FAIL_CLOSED) throw new Error(`rally did not answer: ${said || `exit ${code}`}`)
      if (pending.size > 1000) pending.clear() // calls that failed have no afterwards
      pending.set(callID, output.args)
      keep(sessionID, context)
    },
    "tool.execute.after": async (input, output) => {
      const { tool, sessionID, callID } = input
      const args = pending.get(callID) ?? input.args ?? {}
      pending.delete(callID)
      await ask("tool.execute.after", { tool, args, sessionID, callID, cwd: directory })
      if (typeof output?.output !== "string" || !untold.has(sessionID)) return
      output.output += `\\n\\n${untold.get(sessionID).join("\\n")}`
      untold.delete(sessionID)
    },
    "chat.message": async (input) => {
      await ask("chat.message", { sessionID: input.sessionID, cwd: directory })
    },
    event: async ({ event }) => {
      if (!@EVENTS@.includes(event.type)) return
      const sessionID = event.properties?.info?.id ?? event.properties?.sessionID
      const { context } = await ask(event.type, { sessionID, cwd: directory })
      if (event.type === "session.deleted") untold.delete(sessionID)
      else keep(sessionID, context)
    },
  }
}
"""


def plugin_text(wish: Wish) -> str:
    """The whole plugin."""
    sessions = [event.name for event in EVENTS["opencode"] if event.name.startswith("session.")]
    return (
        _TEMPLATE.replace("@OPTIONS@", json.dumps(wish.flags()))
        .replace("@TIMEOUT_MS@", str(TIMEOUT_S * 1000))
        .replace("@EVENTS@", json.dumps(sessions))
    )


def is_own(data: bytes) -> bool:
    """Whether a plugin file is rally's."""
    return data.startswith(OWN_LINE.encode())


def look(data: bytes | None) -> Found:
    """What is there."""
    if data is None:
        return Found("absent")
    if not is_own(data):
        return Found("absent", problem="a file of this name is there and is not rally's")
    names = tuple(event.name for event in EVENTS["opencode"])
    options = next(
        (line for line in data.decode(errors="replace").splitlines() if _OPTIONS_LINE in line), ""
    )
    wish = Wish(auto_claim="--auto-claim" in options, fail_closed="--fail-closed" in options)
    if data != plugin_text(wish).encode():
        problem = "not as this version installs it"
        return Found("outdated", names, wish.names(), problem)
    return Found("installed", names, wish.names())

// opencode, as far as its plugins go (1.18): every function that a file in .opencode/plugins or
// ~/.config/opencode/plugins exports is a plugin; "tool.execute.before" blocks by throwing.
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { createInterface } from "node:readline"

const sessionID = process.argv[2]
const directory = process.cwd()
const config = process.env.XDG_CONFIG_HOME || `${process.env.HOME}/.config`
const hooks = []

for (const folder of [`${config}/opencode/plugins`, `${directory}/.opencode/plugins`]) {
  if (!existsSync(folder)) continue
  for (const name of readdirSync(folder).filter((one) => /\.[tj]s$/.test(one))) {
    // opencode strips types; this program cannot, so a plugin must be plain JavaScript as well.
    const source = readFileSync(`${folder}/${name}`).toString("base64")
    const module = await import(`data:text/javascript;base64,${source}`)
    for (const plugin of Object.values(module)) {
      hooks.push(await plugin({ project: {}, client: {}, $: null, directory, worktree: directory }))
    }
  }
}

const fire = async (name, ...args) => {
  for (const one of hooks) await one[name]?.(...args)
}
const event = (type, properties) => fire("event", { event: { type, properties } })
const toolOf = (call) =>
  call.do === "write"
    ? ["write", { filePath: call.path, content: call.content }]
    : ["bash", { command: call.command, description: "a command" }]

await event("session.created", { info: { id: sessionID } })
await fire("chat.message", { sessionID }, { message: {}, parts: [] })
let number = 0
for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line)
  const [tool, args] = toolOf(call)
  const input = { tool, sessionID, callID: `call-${++number}` }
  let said = ""
  let done = true
  try {
    await fire("tool.execute.before", input, { args })
    if (call.do === "write") {
      mkdirSync(dirname(call.path), { recursive: true })
      writeFileSync(call.path, call.content)
    } else {
      execFileSync("/bin/sh", ["-c", call.command], { cwd: directory })
    }
    const output = { title: "", output: "", metadata: {} }
    await fire("tool.execute.after", input, output)
    said = output.output
  } catch (error) {
    done = false
    said = error.message
  }
  console.log(JSON.stringify({ done, said, ran: hooks.length ? ["plugin"] : [] }))
}
await event("session.idle", { sessionID })
await event("session.deleted", { info: { id: sessionID } })

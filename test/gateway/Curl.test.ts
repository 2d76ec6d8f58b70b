/** The curl commands of the README. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { start } from "./support/gateway.js"

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8")

const commands = [...readme.matchAll(/^curl (?:.*\\\n)*.*$/gm)].map(([command]) => command)

const run = (command: string) =>
  Effect.async<string>((resume) => {
    execFile("bash", ["-c", `${command} --silent --fail-with-body`], (error, out, err) =>
      resume(Effect.succeed(error === null ? out : `${error.message} ${out} ${err}`))
    )
  })

describe("curl commands of the README", () => {
  it("finds one curl command for a whole answer and one for a stream in the README", () =>
    expect(commands).toHaveLength(2))

  it.scopedLive.each(commands)("runs the README's command: %s", (command) =>
    Effect.gen(function* () {
      const { url } = yield* start({ sections: { $aliases: { "openai/gpt-4o": "openai/large" } } })
      const out = yield* run(command.replace("http://localhost:8080", url))
      expect(out).toContain("Hello")
      if (command.includes("stream")) expect(out.trimEnd().split("\n\n").at(-1)).toContain("event: message_stop")
      else expect(JSON.parse(out)).toMatchObject({ object: "chat.completion", choices: [{ finish_reason: "stop" }] })
    })
  )
})

/** Tests of the bundled program in a terminal (tmux). */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { SimulatedProvider } from "../../src/testing/index.js"
import { bundled, environment } from "./bundle.js"
import { until } from "../support/eventually.js"

const { folder, program } = bundled()

const tmux = (server: string, ...words: ReadonlyArray<string>): string => {
  const { error, status, stderr, stdout } = spawnSync("tmux", ["-L", server, ...words], { encoding: "utf8" })
  if (error !== undefined) throw new Error("These tests need tmux: apt-get install tmux.")
  if (status !== 0) throw new Error(`tmux ${words.join(" ")}: ${stderr}`)
  return stdout
}

/** Numbers the tmux servers: one that has lost its last session exits and accepts no other. */
let servers = 0

/** Runs the program in a terminal of 100 by 30, which stays open after the program has exited. */
const terminal = (words: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const server = `effect-llm-${process.pid}-${servers++}`
      const quoted = ["node", program, ...words].map((word) => `'${word}'`).join(" ")
      const variables = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`])
      const size = ["-x", "100", "-y", "30"]
      tmux(
        server,
        "new-session",
        "-d",
        ...size,
        "-c",
        folder,
        ...variables,
        `${quoted}; echo "ended with $?"; sleep 600`
      )
      return {
        // Each capture starts a process, and this process also runs the provider.
        screen: Effect.delay(
          Effect.sync(() => tmux(server, "capture-pane", "-p")),
          150
        ),
        type: (...keys: ReadonlyArray<string>) => Effect.sync(() => tmux(server, "send-keys", ...keys)),
        server
      }
    }),
    ({ server }) => Effect.sync(() => tmux(server, "kill-server"))
  )

/** Whether the screen ends with an empty prompt. */
const isPrompt = (text: string): boolean => text.trimEnd().endsWith("›")

describe("the program in a terminal", () => {
  it.scopedLive("cancels the answer of a chat at Ctrl-C, and exits at Ctrl-C on the prompt", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: ({ messages }) => `**heard ${messages.length}** ${"and more ".repeat(40)}`,
        faults: () => SimulatedProvider.hang(20)
      })
      const { screen, type } = yield* terminal(["chat"], environment(provider))
      yield* until(screen, isPrompt)
      yield* type("one", "Enter")
      yield* until(screen, (text) => text.includes("heard 1 and more"))
      yield* type("C-c")
      yield* until(screen, (text) => text.includes("Stopped.") && isPrompt(text))
      yield* until(provider.inFlight, (inFlight) => inFlight === 0)
      yield* type("/model openai/gpt-4o", "Enter")
      yield* until(screen, (text) => text.includes("Switched to openai/gpt-4o.") && isPrompt(text))
      yield* type("two", "Enter")
      const text = yield* until(screen, (text) => text.split("heard 1").length === 3)
      expect(text).not.toContain("**")
      yield* type("C-c")
      yield* until(screen, (text) => text.split("Stopped.").length === 3 && isPrompt(text))
      yield* type("C-c")
      yield* until(screen, (text) => text.includes("ended with 0"))
      const chats = (yield* provider.log).filter(({ path }) => path.endsWith("/chat/completions"))
      expect(chats.map(({ outcome }) => outcome)).toEqual(["aborted", "aborted"])
    })
  )

  it.scopedLive("completes commands and models of a chat at Tab", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const { screen, type } = yield* terminal(["chat"], environment(provider))
      yield* until(screen, isPrompt)
      yield* type("/mo", "Tab")
      yield* until(screen, (text) => text.trimEnd().endsWith("› /model"))
      yield* type(" op", "Tab")
      yield* until(screen, (text) => text.trimEnd().endsWith("› /model openai/gpt-4o-mini"))
      yield* type("Enter")
      yield* until(screen, (text) => text.includes("Switched to openai/gpt-4o-mini.") && isPrompt(text))
    })
  )

  it.scopedLive("keeps chat input that is typed ahead, and exits at Ctrl-D", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ latency: "200 millis" })
      const { screen, type } = yield* terminal(["chat"], environment(provider))
      yield* until(screen, isPrompt)
      yield* type("one", "Enter", "two", "Enter")
      yield* until(screen, (text) => text.includes("You said: two") && isPrompt(text))
      yield* type("C-d")
      yield* until(screen, (text) => text.includes("ended with 0"))
    })
  )

  it.scopedLive("shows in one line which attempt comes next and why, and removes it before the answer", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ latency: "300 millis" })
      yield* provider.next(SimulatedProvider.status(429, { retryAfter: "2 seconds" }))
      const { screen } = yield* terminal(["ask", "Hello"], environment(provider))
      const line = /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] openai\/gpt-4o-mini · attempt 2 of 5 in [12] s: rate limited by the provider/
      const waiting = yield* until(screen, (text) => line.test(text))
      expect(waiting.match(/openai/g)).toHaveLength(1)
      const answered = yield* until(screen, (text) => text.includes("ended with 0"))
      expect(answered).toMatch(/^You said: Hello\n/)
      expect(answered).not.toContain("attempt")
    })
  )

  it.scopedLive("draws the progress bar of a batch in one line, and resumes the batch after Ctrl-C", () =>
    Effect.gen(function* () {
      let isStopped = false
      const provider = yield* SimulatedProvider.make({
        latency: "5 millis",
        faults: (index) => (index >= 40 && !isStopped ? SimulatedProvider.hang() : undefined)
      })
      writeFileSync(join(folder, "many.jsonl"), Array.from({ length: 120 }, (_, index) => `"q ${index}"\n`).join(""))
      const words = ["batch", "many.jsonl", "answers.jsonl", "--concurrency", "4"]
      const first = yield* terminal(words, environment(provider))
      const bar = /█+░+ +\d+ % · \d+\/120 · .*\/s · .* tokens · \$[\d.]+ · \d+:\d\d left/
      const output = yield* until(first.screen, (text) => bar.test(text))
      expect(output.match(/120/g)).toHaveLength(1)
      yield* first.type("C-c")
      const stopped = yield* until(first.screen, (text) => text.includes("ended with"))
      expect(stopped).toContain("ended with 130")
      expect(stopped).toContain("answers.jsonl.journal")
      isStopped = true
      const second = yield* terminal(words, environment(provider))
      const finished = yield* until(second.screen, (text) => text.includes("ended with"))
      expect(finished).toContain("100 % · 120/120")
      expect(finished).toContain("120 of 120 answered")
      expect(finished).toContain("ended with 0")
      expect((yield* provider.log).filter(({ outcome }) => outcome === "complete").length).toBeLessThanOrEqual(124)
    })
  )
})

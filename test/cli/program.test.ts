/**
 * The program as it is shipped: the bundle, in processes of its own, and in a terminal (tmux) where a person would see and type.
 */
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SimulatedProvider } from "../../src/testing/index.js"
import { canary, eventually } from "./support.js"

const folder = mkdtempSync(join(tmpdir(), "effect-llm-program-"))

const program = join(folder, "cli", "effect-llm.js")

beforeAll(() => {
  const { status, stderr } = spawnSync("node", [".ci/bundle.mjs", join(folder, "cli")], { encoding: "utf8" })
  if (status !== 0) throw new Error(`The program cannot be bundled: ${stderr}`)
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

const environment = (provider: SimulatedProvider.Service) => ({
  PATH: process.env["PATH"] ?? "",
  OPENAI_API_KEY: canary,
  OPENAI_BASE_URL: provider.baseUrl
})

/** A process that has been started. */
const started = (words: ReadonlyArray<string>, env: Readonly<Record<string, string>>, input?: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn("node", [program, ...words], { env, cwd: folder, stdio: "pipe" })
      let [out, err] = ["", ""]
      child.stdout.on("data", (chunk) => (out += String(chunk)))
      child.stderr.on("data", (chunk) => (err += String(chunk)))
      child.stdin.end(input ?? "")
      const ended = new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code, out, err })))
      return { child, ended: Effect.promise(() => ended), out: Effect.sync(() => out) }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

const ended = (words: ReadonlyArray<string>, env: Readonly<Record<string, string>>, input?: string) =>
  Effect.flatMap(started(words, env, input), ({ ended }) => ended)

describe("the program", () => {
  it.scopedLive("asks, with nothing beside it, and shows no key", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      expect(yield* ended(["ask", "Hello"], environment(provider))).toEqual({
        code: 0,
        out: "You said: Hello\n",
        err: ""
      })
      expect((yield* ended(["ask"], environment(provider), "from a pipe")).out).toBe("You said: from a pipe\n")
      const { code, err } = yield* ended(["ask", "Hello"], { PATH: process.env["PATH"] ?? "" })
      expect({ code, err }).toMatchObject({
        code: 2,
        err: expect.stringMatching(/^effect-llm: No model is configured/)
      })
      const all = yield* ended(["keys", "check", "--log-level", "all"], environment(provider))
      expect(`${all.out}${all.err}`).not.toContain(canary)
    })
  )

  it.scopedLive("chats through a pipe", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      expect(yield* ended(["chat"], environment(provider), "one\ntwo\n/history")).toEqual({
        code: 0,
        out:
          "You said: one\nYou said: two\n" +
          "user: one\nassistant: You said: one\nuser: two\nassistant: You said: two\n",
        err: ""
      })
    })
  )

  it.scopedLive("says its version, in less than it takes to look away", () =>
    Effect.gen(function* () {
      const { version } = JSON.parse(readFileSync("package.json", "utf8"))
      const startedAt = performance.now()
      const { code, out } = yield* ended(["--version"], {})
      expect({ code, out }).toEqual({ code: 0, out: `${version}\n` })
      // A third of a second where nothing else runs.
      expect(performance.now() - startedAt).toBeLessThan(5000)
    })
  )

  it.scopedLive("Ctrl-C ends it with 130, and SIGTERM with 143; what it had asked is given up", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ faults: () => SimulatedProvider.hang() })
      for (const [signal, code] of [
        ["SIGINT", 130],
        ["SIGTERM", 143]
      ] as const) {
        const running = yield* started(["ask", "Hello"], environment(provider))
        yield* eventually(provider.inFlight, (inFlight) => inFlight === 1)
        running.child.kill(signal)
        expect((yield* running.ended).code).toBe(code)
        yield* eventually(provider.inFlight, (inFlight) => inFlight === 0)
      }
    })
  )

  it.scopedLive("ends quietly when nobody reads on", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "word ".repeat(200), tokenPace: "2 millis" })
      const running = yield* started(["ask", "Hello"], environment(provider))
      yield* eventually(running.out, (out) => out !== "")
      running.child.stdout.destroy()
      const { code, err } = yield* running.ended
      expect({ code, err }).toEqual({ code: 141, err: "" })
    })
  )

  it.scopedLive("killed in the middle of a batch, asks nothing twice that was answered", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ latency: "10 millis" })
      const [input, output] = [join(folder, "in.jsonl"), join(folder, "out.jsonl")]
      writeFileSync(input, Array.from({ length: 60 }, (_, index) => `"question ${index}"\n`).join(""))
      const words = ["batch", "--concurrency", "4", input, output]
      const first = yield* started(words, environment(provider))
      yield* eventually(provider.log, (log) => log.length >= 12)
      first.child.kill("SIGKILL")
      yield* first.ended
      const recorded = readFileSync(`${output}.journal`, "utf8").trimEnd().split("\n").length - 1
      const before = (yield* provider.log).length
      const { code, err } = yield* ended(words, environment(provider))
      expect(code).toBe(0)
      expect(err).toContain("60 of 60 answered")
      yield* eventually(provider.inFlight, (inFlight) => inFlight === 0)
      expect((yield* provider.log).length - before).toBeLessThanOrEqual(60 - recorded + 4)
      expect(readFileSync(output, "utf8").trimEnd().split("\n")).toHaveLength(60)
      expect(existsSync(`${output}.journal`)).toBe(false)
    })
  )
})

// -------------------------------------------------------------------------------------
// in a terminal
// -------------------------------------------------------------------------------------

const tmux = (...words: ReadonlyArray<string>): string => {
  const { error, status, stderr, stdout } = spawnSync("tmux", ["-L", `effect-llm-${process.pid}`, ...words], {
    encoding: "utf8"
  })
  if (error !== undefined) throw new Error("These tests need tmux: apt-get install tmux.")
  if (status !== 0) throw new Error(`tmux ${words.join(" ")}: ${stderr}`)
  return stdout
}

/** A terminal of 100 by 30 in which the program runs; it stays when the program has ended, to be looked at. */
const terminal = (words: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const quoted = ["node", program, ...words].map((word) => `'${word}'`).join(" ")
      const variables = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`])
      const size = ["-x", "100", "-y", "30"]
      const [pane = ""] = tmux(
        "new-session",
        "-d",
        "-P",
        "-F",
        "#{pane_id}",
        ...size,
        "-c",
        folder,
        ...variables,
        `${quoted}; echo "ended with $?"; sleep 60`
      ).split("\n")
      return {
        // To look takes a process, and this one has a provider to run.
        screen: Effect.delay(
          Effect.sync(() => tmux("capture-pane", "-p", "-t", pane)),
          50
        ),
        type: (...keys: ReadonlyArray<string>) => Effect.sync(() => tmux("send-keys", "-t", pane, ...keys)),
        pane
      }
    }),
    ({ pane }) => Effect.sync(() => tmux("kill-pane", "-t", pane))
  )

/** The prompt is there, and nothing behind it: what is typed is for the program. */
const isPrompt = (shown: string): boolean => shown.trimEnd().endsWith("›")

describe("in a terminal", () => {
  it.scopedLive("chat: Ctrl-C stops the answer and not the program; at the prompt it leaves", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: ({ messages }) => `**heard ${messages.length}** ${"and more ".repeat(40)}`,
        tokenPace: "20 millis"
      })
      const { screen, type } = yield* terminal(["chat"], environment(provider))
      yield* eventually(screen, isPrompt)
      yield* type("one", "Enter")
      yield* eventually(screen, (shown) => shown.includes("heard 1 and more"))
      yield* type("C-c")
      yield* eventually(screen, (shown) => shown.includes("Stopped.") && isPrompt(shown))
      yield* eventually(provider.inFlight, (inFlight) => inFlight === 0)
      yield* type("/model openai/gpt-4o", "Enter")
      yield* eventually(screen, (shown) => shown.includes("Now with openai/gpt-4o.") && isPrompt(shown))
      yield* type("two", "Enter")
      const shown = yield* eventually(screen, (shown) => shown.split("heard 1").length === 3)
      expect(shown).not.toContain("**")
      yield* type("C-c")
      yield* eventually(screen, (shown) => shown.split("Stopped.").length === 3 && isPrompt(shown))
      yield* type("C-c")
      yield* eventually(screen, (shown) => shown.includes("ended with 0"))
      expect((yield* provider.log).map(({ outcome }) => outcome)).toEqual(["aborted", "aborted"])
    })
  )

  it.scopedLive("chat: what is typed ahead is not lost, and Ctrl-D leaves", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ latency: "200 millis" })
      const { screen, type } = yield* terminal(["chat"], environment(provider))
      yield* eventually(screen, isPrompt)
      yield* type("one", "Enter", "two", "Enter")
      yield* eventually(screen, (shown) => shown.includes("You said: two") && isPrompt(shown))
      yield* type("C-d")
      yield* eventually(screen, (shown) => shown.includes("ended with 0"))
    })
  )

  it.scopedLive("batch: the bar is drawn in one line; Ctrl-C leaves what is done, and it goes on from there", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ latency: "50 millis" })
      writeFileSync(join(folder, "many.jsonl"), Array.from({ length: 120 }, (_, index) => `"q ${index}"\n`).join(""))
      const words = ["batch", "many.jsonl", "answers.jsonl", "--concurrency", "4"]
      const first = yield* terminal(words, environment(provider))
      const bar = /█+░+ +\d+ % · \d+\/120 · .*\/s · .* tokens · \d+:\d\d left/
      const drawn = yield* eventually(first.screen, (shown) => bar.test(shown))
      expect(drawn.match(/120/g)).toHaveLength(1)
      yield* first.type("C-c")
      const stopped = yield* eventually(first.screen, (shown) => shown.includes("ended with"))
      expect(stopped).toContain("ended with 130")
      expect(stopped).toContain("answers.jsonl.journal")
      const second = yield* terminal(words, environment(provider))
      const over = yield* eventually(second.screen, (shown) => shown.includes("ended with"))
      expect(over).toContain("100 % · 120/120")
      expect(over).toContain("120 of 120 answered")
      expect(over).toContain("ended with 0")
      expect((yield* provider.log).filter(({ outcome }) => outcome === "complete").length).toBeLessThanOrEqual(124)
    })
  )
})

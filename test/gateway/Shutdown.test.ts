/** The shutdown of a gateway in a process of its own. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { SimulatedProvider } from "../../src/testing/index.js"
import { compiled } from "../support/compiled.js"
import { eventually } from "../support/eventually.js"
import { once } from "../support/once.js"
import { signalExitCode } from "../support/signalExit.js"
import { canary, providerJson } from "./support/gateway.js"
import type { Answer } from "./support/http.js"
import { post, question, reading, send } from "./support/http.js"
import { holding } from "./support/upstream.js"

interface Process {
  readonly url: string
  readonly child: ChildProcess
  readonly exitCode: Effect.Effect<number | null>
  readonly output: () => string
}

const program = once(compiled(new URL("../../examples/gateway.ts", import.meta.url)))

/** Runs the example in a child process. */
const launch = (
  baseUrl: string,
  environment: Readonly<Record<string, string>>
): Effect.Effect<Process, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const path = `${yield* fileSystem.makeTempDirectoryScoped()}/provider.json`
    yield* fileSystem.writeFileString(path, JSON.stringify(providerJson(baseUrl)))
    const main = yield* program
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [main, path], {
          stdio: ["ignore", "pipe", "pipe"],
          env: { ...process.env, PORT: "0", ...environment }
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    let output = ""
    const url = yield* Effect.async<string>((resume) => {
      const read = (piece: Buffer): void => {
        output += piece.toString()
        const [address] = /(?<=answers at )http:\/\/[\d.:]+/.exec(output) ?? []
        if (address !== undefined) resume(Effect.succeed(address))
      }
      child.once("exit", () => resume(Effect.dieMessage(`it did not start: ${output}`)))
      child.stdout?.on("data", read)
      child.stderr?.on("data", read)
    })
    const exitCode = Effect.async<number | null>((resume) => {
      if (child.exitCode !== null) resume(Effect.succeed(child.exitCode))
      else child.once("exit", (code) => resume(Effect.succeed(code)))
    })
    return { url, child, exitCode, output: () => output }
  }).pipe(Effect.provide(NodeFileSystem.layer))

const path = "/v1/chat/completions"

const key = { authorization: "Bearer master" }

const chatBody = (fields: Readonly<Record<string, unknown>> = {}) => question("chat completions", "fast", fields)

const ask = ({ url }: Process): Effect.Effect<Answer> => post(url + path, chatBody(), key)

/** Posts to the process, and reads the response in the background. */
const client = ({ url }: Process, fields: Readonly<Record<string, unknown>> = {}) =>
  reading(url + path, chatBody(fields), key)

/** Sends SIGTERM, and returns once the process shuts down. */
const terminate = ({ child, url }: Process) =>
  Effect.zipRight(
    Effect.sync(() => child.kill("SIGTERM")),
    eventually(Effect.map(send(`${url}/ready`), ({ status }) => status === 503))
  )

describe.concurrent("shutdown of a gateway process", () => {
  it.scopedLive("refuses new requests on SIGTERM, completes those in flight, and exits with the code of a signal", () =>
    Effect.gen(function* () {
      const latch = yield* Effect.makeLatch()
      const upstream = yield* holding(latch)
      const gateway = yield* launch(`${upstream.origin}/v1`, { EFFECT_LLM_MASTER_KEY: "master", GRACE: "10 minutes" })
      const streaming = yield* client(gateway, { stream: true })
      const waiting = yield* client(gateway)
      yield* eventually(Effect.map(streaming.text, (text) => text.includes("one") && upstream.bodies.length === 2))
      yield* terminate(gateway)
      const refused = yield* ask(gateway)
      expect(refused.status).toBe(503)
      expect(refused.headers.get("connection")).toBe("close")
      expect(refused.json).toMatchObject({ error: { code: "shutting_down" } })
      yield* latch.open
      const streamed = yield* streaming.ended
      expect(streamed.text).toContain("two")
      expect(streamed.text.trimEnd().endsWith("[DONE]")).toBe(true)
      expect((yield* waiting.ended).status).toBe(200)
      expect(yield* gateway.exitCode).toBe(signalExitCode)
      expect(upstream.bodies).toHaveLength(2)
      expect(gateway.output()).not.toContain(canary)
      expect(gateway.output()).not.toContain("master")
    })
  )

  it.scopedLive("ends requests that are still in flight after the grace period with shutting_down", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        keys: [{ key: canary }],
        answer: () => "one two three four five six seven"
      })
      const gateway = yield* launch(provider.baseUrl, { EFFECT_LLM_MASTER_KEY: "master", GRACE: "300 millis" })
      yield* provider.next(SimulatedProvider.hang(5))
      const stalled = yield* client(gateway, { stream: true })
      yield* eventually(Effect.map(stalled.text, (text) => text.includes("two")))
      yield* provider.next(SimulatedProvider.hang(), SimulatedProvider.hang())
      const unopened = yield* client(gateway, { stream: true })
      const waiting = yield* client(gateway)
      yield* eventually(Effect.map(provider.inFlight, (requests) => requests === 3))
      gateway.child.kill("SIGTERM")
      const { text } = yield* stalled.ended
      expect(text).toContain("shutting_down")
      expect(text).not.toContain("[DONE]")
      for (const { ended } of [unopened, waiting]) {
        const answer = yield* ended
        expect(answer.status).toBe(503)
        expect(JSON.parse(answer.text)).toMatchObject({ error: { code: "shutting_down" } })
      }
      expect(yield* gateway.exitCode).toBe(signalExitCode)
    })
  )

  it.scopedLive("serves on the same port at once when a gateway restarts after SIGKILL", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ keys: [{ key: canary }] })
      const first = yield* launch(provider.baseUrl, { EFFECT_LLM_MASTER_KEY: "master" })
      expect((yield* ask(first)).status).toBe(200)
      first.child.kill("SIGKILL")
      yield* first.exitCode
      const port = new URL(first.url).port
      const second = yield* launch(provider.baseUrl, { EFFECT_LLM_MASTER_KEY: "master", PORT: port })
      expect(second.url).toBe(first.url)
      expect((yield* ask(second)).status).toBe(200)
    })
  )
})

/** A real process that is told to end. */
import { FileSystem } from "@effect/platform"
import { NodeFileSystem } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { SimulatedProvider } from "../../src/testing/index.js"
import { compiled } from "../support/compiled.js"
import { canary, providerJson } from "./support/gateway.js"
import type { Answer } from "./support/http.js"
import { post, question } from "./support/http.js"

interface Process {
  readonly url: string
  readonly child: ChildProcess
  readonly exitCode: Effect.Effect<number | null>
  readonly output: () => string
}

/** The example, in a process of its own. */
const launch = (
  provider: SimulatedProvider.Service,
  environment: Readonly<Record<string, string>>
): Effect.Effect<Process, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const path = `${yield* fileSystem.makeTempDirectoryScoped()}/provider.json`
    yield* fileSystem.writeFileString(path, JSON.stringify(providerJson(provider.baseUrl)))
    const main = yield* compiled(new URL("../../examples/gateway.ts", import.meta.url))
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [main, path], {
          stdio: ["ignore", "pipe", "pipe"],
          env: { ...process.env, PORT: "0", ...environment }
        })
      ),
      (running) => Effect.sync(() => running.kill("SIGKILL"))
    )
    let output = ""
    const url = yield* Effect.async<string>((resume) => {
      const read = (piece: Buffer): void => {
        output += piece.toString()
        const [found] = /(?<=answers at )http:\/\/[\d.:]+/.exec(output) ?? []
        if (found !== undefined) resume(Effect.succeed(found))
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

const key = { authorization: "Bearer master" }

const ask = ({ url }: Process, fields: Readonly<Record<string, unknown>> = {}): Effect.Effect<Answer> =>
  post(`${url}/v1/chat/completions`, question("chat completions", "fast", fields), key)

const terminate = ({ child }: Process) =>
  Effect.zipRight(
    Effect.sync(() => child.kill("SIGTERM")),
    Effect.sleep("150 millis")
  )

describe.concurrent("a gateway that is told to end", () => {
  it.scopedLive(
    "takes nothing new, lets what is under way come to its end, and exits with 0",
    () =>
      Effect.gen(function* () {
        const provider = yield* SimulatedProvider.make({
          keys: [{ key: canary }],
          answer: () => "one two three four five six seven eight nine ten",
          tokenPace: "200 millis",
          latency: "100 millis"
        })
        const gateway = yield* launch(provider, { EFFECT_LLM_MASTER_KEY: "master" })
        const streaming = yield* Effect.fork(ask(gateway, { stream: true }))
        const waiting = yield* Effect.fork(ask(gateway))
        yield* Effect.sleep("300 millis")
        yield* terminate(gateway)
        const refused = yield* ask(gateway)
        expect(refused.status).toBe(503)
        expect(refused.headers.get("connection")).toBe("close")
        expect(refused.json).toMatchObject({ error: { code: "shutting_down" } })
        const streamed = yield* streaming
        expect(streamed.text).toContain("ten")
        expect(streamed.text.trimEnd().endsWith("[DONE]")).toBe(true)
        expect((yield* waiting).status).toBe(200)
        expect(yield* gateway.exitCode).toBe(0)
        expect(yield* provider.log).toHaveLength(2)
        expect(gateway.output()).not.toContain(canary)
        expect(gateway.output()).not.toContain("master")
      }),
    20_000
  )

  it.scopedLive(
    "tells those who are not done by then that the time is up",
    () =>
      Effect.gen(function* () {
        const provider = yield* SimulatedProvider.make({
          keys: [{ key: canary }],
          answer: () => "one two three four five six seven"
        })
        const gateway = yield* launch(provider, { EFFECT_LLM_MASTER_KEY: "master", GRACE: "300 millis" })
        yield* provider.next(SimulatedProvider.hang(5))
        const stalled = yield* Effect.fork(ask(gateway, { stream: true }))
        yield* Effect.sleep("200 millis")
        yield* provider.next(SimulatedProvider.hang(), SimulatedProvider.hang())
        const unopened = yield* Effect.fork(ask(gateway, { stream: true }))
        const waiting = yield* Effect.fork(ask(gateway))
        yield* Effect.sleep("200 millis")
        yield* terminate(gateway)
        const { text } = yield* stalled
        expect(text).toContain("two")
        expect(text).toContain("shutting_down")
        expect(text).not.toContain("[DONE]")
        for (const fiber of [unopened, waiting]) {
          const answer = yield* fiber
          expect(answer.status).toBe(503)
          expect(answer.json).toMatchObject({ error: { code: "shutting_down" } })
        }
        expect(yield* gateway.exitCode).toBe(0)
      }),
    20_000
  )

  it.scopedLive(
    "or is killed, and serves at once when it is started again",
    () =>
      Effect.gen(function* () {
        const provider = yield* SimulatedProvider.make({ keys: [{ key: canary }] })
        const first = yield* launch(provider, { EFFECT_LLM_MASTER_KEY: "master" })
        expect((yield* ask(first)).status).toBe(200)
        first.child.kill("SIGKILL")
        yield* first.exitCode
        const second = yield* launch(provider, { EFFECT_LLM_MASTER_KEY: "master", PORT: new URL(first.url).port })
        expect(second.url).toBe(first.url)
        expect((yield* ask(second)).status).toBe(200)
      }),
    20_000
  )
})

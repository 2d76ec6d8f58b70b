/**
 * Sends a burst of chats and a stream through a pool of keys, and prints a table with the results of each key.
 *
 * Without a key in the environment it starts a simulated provider on loopback, with one rate-limited and one revoked key. With
 * `OPENAI_API_KEY`, or with `--config provider.json`, it calls a real provider.
 */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import type { HttpClient } from "@effect/platform"
import { Array as Arr, Config, Console, Duration, Effect, Layer, Option, Ref, Stream } from "effect"
import type { Chat, ChatEvent } from "effect-llm"
import { ChatCompletionsClient, KeyPool, LLM, Models, RateLimiter, Usage } from "effect-llm"
import { SimulatedProvider } from "effect-llm/testing"
import { NodeTransport } from "effect-llm/node"

const burst = 24

const story =
  "Once upon a time a key was told to wait. It rested for ten seconds while two others took its calls. Then one call " +
  "tested it, and it served two at once, and four. No call had failed."

const simulated = Layer.unwrapScoped(
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make({
      keys: [
        { key: "sk-first" },
        { key: "sk-second" },
        { key: "sk-limited", limit: { requests: 3, per: "10 seconds" } },
        { key: "sk-revoked", revoked: true }
      ],
      script: [{ when: { message: "story" }, times: Infinity, answer: story }],
      latency: { min: "20 millis", max: "120 millis" },
      tokenPace: "15 millis"
    })
    yield* Console.log(`No key in the environment: asking a simulated provider at ${provider.baseUrl}\n`)
    return LLM.layer({ model: "simulated" }).pipe(
      Layer.provide(ChatCompletionsClient.layer({ provider: "simulated", baseUrl: provider.baseUrl })),
      Layer.provide(
        KeyPool.layer({
          provider: "simulated",
          keys: [
            { key: "sk-first", id: "first", weight: 3 },
            { key: "sk-second", id: "second", weight: 2 },
            { key: "sk-limited", id: "limited" },
            { key: "sk-revoked", id: "revoked" }
          ]
        })
      ),
      Layer.provide(RateLimiter.layer({ capacity: 50, refillRate: 50 }))
    )
  })
)

const configFile = Option.flatMap(
  Arr.findFirstIndex(process.argv, (argument) => argument === "--config"),
  (index) => Option.fromNullable(process.argv[index + 1])
)

const live = Option.match(configFile, {
  onSome: (path) => Layer.provide(Models.layerLLM(), Models.layerFile(path)),
  onNone: () =>
    Layer.unwrapEffect(
      Effect.map(
        Effect.option(Config.string("OPENAI_API_KEY")),
        (key): Layer.Layer<LLM.LLM, unknown, HttpClient.HttpClient> =>
          Option.isSome(key) ? LLM.layerConfig() : simulated
      )
    )
})

/** The result of one call, for the table. */
interface CallSummary {
  readonly keyId: string
  readonly attempts: Chat.ChatResponse["attempts"]
  readonly usage: Usage.Usage
  readonly latency: number
}

const percentile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0

const table = (status: LLM.Status, calls: ReadonlyArray<CallSummary>): ReadonlyArray<string> => {
  const attempts = calls.flatMap((call) => call.attempts)
  const count = (id: string, errors: ReadonlyArray<string | undefined>) =>
    attempts.filter((attempt) => attempt.keyId === id && errors.includes(attempt.error)).length
  const latencies = calls.map((call) => call.latency).toSorted((one, other) => one - other)
  const usage = Usage.combineAll(calls.map((call) => call.usage))
  const row = (...cells: ReadonlyArray<string | number>) =>
    cells.map((cell, column) => (column === 0 ? String(cell).padEnd(14) : String(cell).padStart(10))).join("")
  return [
    row("key", "weight", "served", "limited", "refused", "in flight", "  now"),
    ...status.keys.keys.map((key) =>
      row(
        key.id,
        key.weight,
        count(key.id, [undefined]),
        count(key.id, ["RateLimitError", "QuotaExceededError"]),
        count(key.id, ["AuthenticationError", "PermissionError"]),
        key.inFlight,
        `  ${key.state._tag.toLowerCase()}`
      )
    ),
    "",
    `${calls.length} calls, ${attempts.length} attempts`,
    `${usage.inputTokens} tokens in, ${usage.outputTokens} out${usage.estimated ? " (estimated)" : ""}`,
    `latency p50 ${percentile(latencies, 0.5)} ms, p90 ${percentile(latencies, 0.9)} ms, p99 ${percentile(latencies, 0.99)} ms`
  ]
}

const program = Effect.gen(function* () {
  const llm = yield* LLM.LLM
  yield* Console.log(`A burst of ${burst} chats with ${llm.info.provider}/${llm.info.model} …`)
  const answers = yield* Effect.forEach(
    Arr.range(1, burst),
    (index) => Effect.either(llm.chat(`In a few words: what is interesting about the number ${index}?`)),
    { concurrency: 8 }
  )
  for (const failure of Arr.getLefts(answers)) yield* Console.log(`${failure._tag}: ${failure.message}`)

  yield* Console.log("\nA stream:\n")
  const events = yield* Ref.make<ReadonlyArray<ChatEvent.ChatEvent>>([])
  yield* llm.chatStream("Tell me a short story about a key that came back.").pipe(
    Stream.tap((event) => Ref.update(events, (events) => [...events, event])),
    LLM.text,
    Stream.runForEach((piece) => Effect.sync(() => process.stdout.write(piece)))
  )
  const streamed = (yield* Ref.get(events)).reduce<CallSummary>(
    (summary, event) =>
      event._tag === "Start"
        ? { ...summary, keyId: event.keyId, attempts: event.attempts }
        : event._tag === "Finish"
          ? { ...summary, usage: event.usage, latency: event.latency }
          : summary,
    { keyId: "", attempts: [], usage: Usage.empty, latency: 0 }
  )

  yield* Console.log("\n")
  for (const line of table(yield* llm.status, [...Arr.getRights(answers), streamed])) yield* Console.log(line)
}).pipe(Effect.timeout(Duration.minutes(5)))

NodeRuntime.runMain(
  program.pipe(Effect.provide(live), Effect.provide(NodeTransport.layerUndici), Effect.provide(NodeContext.layer))
)

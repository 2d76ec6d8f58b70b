import { expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Transports from "../support/transports.js"

const setup = (options: SimulatedProvider.Options) =>
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make(options)
    const llm = yield* LLM.make({ model: "small", retry: false }).pipe(
      Effect.provide(ChatCompletionsClient.layer({ provider: "simulated", baseUrl: provider.baseUrl })),
      Effect.provide(KeyPool.layer({ provider: "simulated", keys: ["key"] })),
      Effect.provide(RateLimiter.layerUnlimited)
    )
    const ask = (prompt: string, model = "small") => Effect.map(llm.chat({ prompt, model }), ({ text }) => text)
    return { ask, llm, provider }
  })

it.scopedLive("a script is played in its order, and then the provider answers as without it", () =>
  Effect.gen(function* () {
    const { ask } = yield* setup({ script: [{ answer: "one" }, { answer: { text: "two" } }] })
    expect(yield* Effect.all([ask("a"), ask("b"), ask("c")])).toEqual(["one", "two", "You said: c"])
  }).pipe(Effect.provide(Transports.direct))
)

it.scopedLive("an entry is taken by the first request that it answers, by its last user message and its model", () =>
  Effect.gen(function* () {
    const { ask, llm } = yield* setup({
      answer: () => "other",
      script: [
        { when: { message: "WEATHER" }, answer: "sunny" },
        { when: { message: /^is it (?:hot|cold)/i, model: "large" }, answer: "warm" },
        { when: { model: /^la/ }, times: 2, answer: "large" },
        { when: { message: "weather" }, answer: "rainy" }
      ]
    })
    const answers = yield* Effect.all([
      ask("Hello"),
      ask("Is it hot?"),
      ask("How is the weather?", "large"),
      ask("Is it hot?", "large"),
      ask("Is it hot?", "large"),
      ask("Is it hot?", "large"),
      ask("Is it hot?", "large"),
      ask("How is the weather?"),
      ask("How is the weather?")
    ])
    expect(answers).toEqual(["other", "other", "sunny", "warm", "large", "large", "other", "rainy", "other"])
    const messages = [Chat.user("The weather?"), Chat.assistant("weather"), Chat.user("Thanks")]
    expect((yield* llm.chat({ messages })).text).toBe("other")
  }).pipe(Effect.provide(Transports.direct))
)

it.scopedLive("an entry can be taken always, and a function in it gets the request", () =>
  Effect.gen(function* () {
    const { ask } = yield* setup({
      script: [{ times: Infinity, answer: ({ messages }) => `${messages.length} messages` }, { answer: "never" }]
    })
    expect(yield* Effect.all([ask("a"), ask("b"), ask("c")])).toEqual(["1 messages", "1 messages", "1 messages"])
  }).pipe(Effect.provide(Transports.direct))
)

it.scopedLive("a script fails with a status and a Retry-After, and breaks streams", () =>
  Effect.gen(function* () {
    const { ask, llm } = yield* setup({
      script: [
        { fault: SimulatedProvider.status(429, { retryAfter: "200 millis", message: "slow down" }) },
        { fault: SimulatedProvider.truncate(2), answer: "one two three" },
        { answer: "done" }
      ]
    })
    const refused = yield* Effect.flip(ask("a"))
    expect(refused).toMatchObject({ _tag: "RateLimitError", retryAfter: Duration.millis(200) })
    expect((yield* Effect.flip(ChatEvent.collect(llm.chatStream("b"))))._tag).toBe("StreamInterruptedError")
    expect(yield* ask("c")).toBe("done")
  }).pipe(Effect.provide(Transports.direct))
)

it.scopedLive("a request that fails by a queued status or by a share of faults takes no entry", () =>
  Effect.gen(function* () {
    const { ask, provider } = yield* setup({
      script: [{ answer: "one" }, { answer: "two" }],
      faults: (index) => (index === 1 ? SimulatedProvider.status(500) : undefined)
    })
    yield* provider.next(SimulatedProvider.status(503))
    yield* Effect.flip(ask("a"))
    yield* Effect.flip(ask("b"))
    expect(yield* Effect.all([ask("c"), ask("d")])).toEqual(["one", "two"])
  }).pipe(Effect.provide(Transports.direct))
)

it.scopedLive("an entry delays its answer, or the one that is given without it", () =>
  Effect.gen(function* () {
    const { ask, provider } = yield* setup({ script: [{ delay: "120 millis" }, { delay: 120, answer: "late" }] })
    expect(yield* Effect.all([ask("a"), ask("b")])).toEqual(["You said: a", "late"])
    for (const { duration } of yield* provider.log) expect(duration).toBeGreaterThanOrEqual(115)
  }).pipe(Effect.provide(Transports.direct))
)

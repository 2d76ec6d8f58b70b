import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Option, Random, Ref, Stream, TestClock } from "effect"
import * as FastCheck from "fast-check"
import type { ApiKey } from "../src/vocabulary/ApiKey.js"
import * as Chat from "../src/vocabulary/Chat.js"
import * as ChatEvent from "../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../src/keyPool/KeyPool.js"
import * as LLM from "../src/LLM.js"
import * as LLMErrors from "../src/vocabulary/LLMError.js"
import * as ProviderClient from "../src/call/ProviderClient.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"
import { makeClock } from "./support/interleaving.js"
import { answer, context } from "./support/scripted.js"

/** A provider whose answer depends on the key. */
const client = (
  respond: (key: ApiKey) => Effect.Effect<Chat.ChatResponse, LLMErrors.LLMError>,
  stream?: (key: ApiKey) => Stream.Stream<ChatEvent.ChatEvent, LLMErrors.LLMError>
): Layer.Layer<ProviderClient.ProviderClient> =>
  Layer.succeed(ProviderClient.ProviderClient, {
    provider: "test",
    wire: "test",
    chat: (_, { key }) => Effect.map(respond(key), (response) => ({ ...response, keyId: key.id })),
    chatStream: (_, { key }) =>
      stream?.(key) ??
      Stream.unwrap(Effect.map(respond(key), (response) => Stream.fromIterable(ChatEvent.fromResponse(response))))
  })

const refused = new LLMErrors.AuthenticationError({ ...context, status: 401, message: "wrong key" })
const limited = (retryAfter?: Duration.DurationInput) =>
  new LLMErrors.RateLimitError({
    ...context,
    status: 429,
    source: "provider",
    message: "slow down",
    ...(retryAfter === undefined ? {} : { retryAfter: Duration.decode(retryAfter) })
  })
const down = new LLMErrors.ProviderUnavailableError({ ...context, status: 503, message: "down" })

const keys = (...ids: ReadonlyArray<string>) =>
  KeyPool.layer({ provider: "test", keys: ids.map((id) => ({ key: `secret-${id}`, id })) })

const bare: Omit<LLM.Options, "model"> = { retry: false, timeouts: false }

const service = (
  provider: Layer.Layer<ProviderClient.ProviderClient>,
  options: Omit<LLM.Options, "model"> = bare,
  pool = keys("one", "two", "three"),
  limiter: Layer.Layer<RateLimiter.RateLimiter, RateLimiter.InvalidLimitError> = RateLimiter.layerUnlimited
) => Effect.provide(LLM.make({ model: "model", ...options }), Layer.mergeAll(provider, pool, limiter))

const inFlight = (llm: LLM.Service) =>
  Effect.map(llm.status, ({ keys }) => keys.keys.reduce((sum, key) => sum + key.inFlight, keys.waiting))

describe("invalid requests", () => {
  for (const [what, field, request] of [
    ["without messages", "messages", { messages: [] }],
    ["with an unknown role", "messages[0].role", { messages: [{ role: "robot", content: "?" }] }],
    ["with a tool result without a call id", "messages[0].toolCallId", { messages: [{ role: "tool", content: "?" }] }],
    ["with a temperature that is not a number", "temperature", { messages: [Chat.user("?")], temperature: Number.NaN }],
    ["with an unknown field", "temprature", { messages: [Chat.user("?")], temprature: 1 }],
    [
      "with a tool choice without its tool",
      "toolChoice.name",
      { messages: [Chat.user("?")], toolChoice: { name: "x" } }
    ]
  ] as const) {
    it.effect(`fails a request ${what} with an InvalidRequestError before a key is taken`, () =>
      Effect.gen(function* () {
        const llm = yield* service(client(() => Effect.dieMessage("asked")))
        const input: unknown = request
        const error = yield* Effect.flip(llm.chat(input as Chat.ChatRequest.Input))
        expect(error._tag === "InvalidRequestError" && error.field).toBe(field)
        const streamed = yield* Effect.flip(Stream.runDrain(llm.chatStream(input as Chat.ChatRequest.Input)))
        expect(streamed).toEqual(error)
      })
    )
  }
})

describe("key failover", () => {
  it.effect("tries the next key at once when a failure concerns the key, and the answer lists all attempts", () =>
    Effect.gen(function* () {
      const llm = yield* service(
        client((key) =>
          key.id === "one"
            ? Effect.fail(refused)
            : key.id === "two"
              ? Effect.fail(limited())
              : Effect.succeed(answer("ok"))
        )
      )
      const response = yield* llm.chat("?")
      expect(response.attempts.map(({ error, keyId }) => [keyId, error])).toEqual([
        ["one", "AuthenticationError"],
        ["two", "RateLimitError"],
        ["key", undefined]
      ])
      const streamed = yield* ChatEvent.collect(llm.chatStream("?"))
      expect(streamed.attempts).toHaveLength(1)
    })
  )

  it.effect("answers with the only good key of ten without a retry, and tries each refused key once", () =>
    Effect.gen(function* () {
      const ids = Array.from({ length: 10 }, (_, index) => `${index}`)
      const asked = yield* Ref.make(0)
      const llm = yield* service(
        client((key) =>
          Effect.zipRight(
            Ref.update(asked, (count) => count + 1),
            key.id === "9" ? Effect.succeed(answer("ok")) : Effect.fail(refused)
          )
        ),
        bare,
        keys(...ids)
      )
      for (let call = 0; call < 20; call++) expect((yield* llm.chat("?")).text).toBe("ok")
      // Each of the nine refused keys costs one call in all, not one for each request.
      expect(yield* Ref.get(asked)).toBe(29)
    })
  )

  it.effect("tries every key once and fails with the earliest retryAfter when all are rate limited", () =>
    Effect.gen(function* () {
      const llm = yield* service(client((key) => Effect.fail(limited(key.id === "two" ? "5 seconds" : "20 seconds"))))
      const error = yield* Effect.flip(llm.chat("?"))
      expect(error._tag === "RateLimitError" && error.retryAfter).toEqual(Duration.seconds(5))
      expect(error.attempts).toHaveLength(3)
    })
  )

  it.effect("fails with the RateLimitError when one key is rate limited and the others are refused", () =>
    Effect.gen(function* () {
      const llm = yield* service(client((key) => Effect.fail(key.id === "one" ? limited("5 seconds") : refused)))
      expect((yield* Effect.flip(llm.chat("?")))._tag).toBe("RateLimitError")
    })
  )

  it.effect("a retry waits until the first rate-limited key is ready again", () =>
    Effect.gen(function* () {
      const llm = yield* service(
        client((key) =>
          Effect.flatMap(Effect.clock, (clock) =>
            clock.unsafeCurrentTimeMillis() >= 5000 && key.id === "two"
              ? Effect.succeed(answer("ok"))
              : Effect.fail(limited(key.id === "two" ? "5 seconds" : "40 seconds"))
          )
        ),
        { timeouts: false }
      )
      const fiber = yield* Effect.fork(llm.chat("?"))
      yield* TestClock.adjust("6 seconds")
      expect((yield* Fiber.join(fiber)).text).toBe("ok")
    })
  )
})

describe("failures that do not concern the key", () => {
  it.effect("does not try another key when the provider is unavailable", () =>
    Effect.gen(function* () {
      const asked = yield* Ref.make(0)
      const llm = yield* service(
        client(() =>
          Effect.zipRight(
            Ref.update(asked, (count) => count + 1),
            Effect.fail(down)
          )
        )
      )
      const error = yield* Effect.flip(llm.chat("?"))
      expect(error.attempts).toEqual([
        { provider: "test", model: "model", keyId: "one", error: "ProviderUnavailableError", status: 503, duration: 0 }
      ])
      expect(yield* Ref.get(asked)).toBe(1)
    })
  )
})

describe("release of keys and permits", () => {
  it.effect("releases the key at the Finish event of a stream", () =>
    Effect.gen(function* () {
      const llm = yield* service(client(() => Effect.succeed(answer("Hello"))))
      yield* Stream.runForEach(llm.chatStream("?"), (event) =>
        event._tag === "Finish" ? Effect.map(inFlight(llm), (count) => expect(count).toBe(0)) : Effect.void
      )
    })
  )

  it.effect("releases the key when the consumer stops a stream early", () =>
    Effect.gen(function* () {
      const events = ChatEvent.fromResponse(answer("Hello"))
      const endless = Stream.concat(Stream.rechunk(Stream.fromIterable(events.slice(0, 2)), 1), Stream.never)
      const llm = yield* service(
        client(
          () => Effect.never,
          () => endless
        )
      )
      yield* Stream.runDrain(Stream.take(llm.chatStream("?"), 2))
      expect(yield* inFlight(llm)).toBe(0)
    })
  )

  const steps = FastCheck.record({
    kind: FastCheck.constantFrom("chat", "stream"),
    behaviour: FastCheck.constantFrom("ok", "refused", "limited", "down", "dies", "hangs", "breaks"),
    fate: FastCheck.constantFrom("runs", "interrupted", "given up"),
    after: FastCheck.integer({ min: 0, max: 3000 })
  })

  it.effect.prop(
    "releases all keys, permits and tokens after any mix of failures, interruptions and stopped streams",
    { calls: FastCheck.array(steps, { minLength: 1, maxLength: 24 }) },
    ({ calls }) => {
      const { clock, pass } = makeClock()
      return Effect.gen(function* () {
        const behave = yield* Ref.make(0)
        const events = ChatEvent.fromResponse(answer("Hello there"))
        const ending = (behaviour: string): Effect.Effect<Chat.ChatResponse, LLMErrors.LLMError> => {
          switch (behaviour) {
            case "ok":
              return Effect.succeed(answer("Hello there"))
            case "refused":
              return Effect.fail(refused)
            case "limited":
              return Effect.fail(limited())
            case "dies":
              return Effect.dieMessage("a bug")
            case "hangs":
              return Effect.never
            default:
              return Effect.fail(down)
          }
        }
        const outcome = (behaviour: string) =>
          Effect.flatMap(Random.nextIntBetween(0, 1000), (pause) => Effect.delay(ending(behaviour), pause))
        const streamed = (behaviour: string): Stream.Stream<ChatEvent.ChatEvent, LLMErrors.LLMError> =>
          behaviour === "breaks"
            ? Stream.concat(Stream.rechunk(Stream.fromIterable(events.slice(0, 2)), 1), Stream.fail(down))
            : Stream.unwrap(
                Effect.map(outcome(behaviour), () =>
                  Stream.tap(Stream.rechunk(Stream.fromIterable(events), 1), () => Effect.sleep(100))
                )
              )
        const next = Effect.map(
          Ref.getAndUpdate(behave, (n) => n + 1),
          (n) => calls[n % calls.length]?.behaviour ?? "ok"
        )
        const llm = yield* service(
          client(
            () => Effect.flatMap(next, outcome),
            () => Stream.unwrap(Effect.map(next, streamed))
          ),
          { retry: { maxAttempts: 3 }, timeouts: { total: "20 seconds", idle: "2 seconds" } },
          KeyPool.layer({
            provider: "test",
            keys: [
              { key: "a", id: "a", maxConcurrency: 2 },
              { key: "b", id: "b", maxConcurrency: 1 }
            ],
            maxWait: "5 seconds"
          }),
          RateLimiter.layer({ capacity: 5, refillRate: 2, tokensPerMinute: 10_000, maxWait: "5 seconds" })
        )
        const fibers = yield* Effect.forEach(calls, ({ fate, kind }) => {
          const stream = llm.chatStream("?")
          const call: Effect.Effect<void, LLMErrors.LLMError> =
            kind === "chat"
              ? Effect.asVoid(llm.chat("?"))
              : Stream.runDrain(fate === "given up" ? Stream.take(stream, 2) : stream)
          return Effect.fork(call)
        })
        const interrupters = yield* Effect.forEach(calls, (call, index) => {
          const fiber = fibers[index]
          const interrupting: Effect.Effect<void> =
            call.fate === "interrupted" && fiber !== undefined
              ? Effect.delay(Effect.asVoid(Fiber.interrupt(fiber)), call.after)
              : Effect.void
          return Effect.fork(interrupting)
        })
        yield* pass(120_000)
        yield* Fiber.joinAll(interrupters)
        // Every call has ended.
        for (const fiber of fibers) expect(Option.isSome(yield* Fiber.poll(fiber))).toBe(true)
        expect(yield* inFlight(llm)).toBe(0)
        yield* pass(120_000)
        const { limiter } = yield* llm.status
        expect(limiter.waiting).toBe(0)
        expect(limiter.available).toBe(limiter.capacity)
        expect(limiter.tokens?.reserved).toBe(0)
        expect(limiter.tokens?.available).toBe(10_000)
      }).pipe(Effect.withClock(clock))
    },
    { fastCheck: { numRuns: 25 } }
  )
})

describe("defaults of a layer", () => {
  it.effect("applies `defaults` to every request, and fields of the request override them", () =>
    Effect.gen(function* () {
      const seen = yield* Ref.make<ReadonlyArray<readonly [string, Chat.ChatRequest]>>([])
      const recording = Layer.succeed(ProviderClient.ProviderClient, {
        provider: "test",
        wire: "test",
        chat: (request: Chat.ChatRequest, call: ProviderClient.Call) =>
          Effect.as(
            Ref.update(seen, (before) => [...before, [call.model, request] as const]),
            answer("ok")
          ),
        chatStream: () => Stream.empty
      })
      const llm = yield* service(recording, { ...bare, defaults: { temperature: 0.5, maxTokens: 10 } })
      yield* llm.chat("one")
      yield* llm.chat({ messages: [Chat.user("two")], temperature: 1, model: "other" })
      expect(yield* Ref.get(seen)).toEqual([
        ["model", { messages: [Chat.user("one")], temperature: 0.5, maxTokens: 10 }],
        ["other", { messages: [Chat.user("two")], temperature: 1, maxTokens: 10, model: "other" }]
      ])
    })
  )
})

import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream, TestClock, Fiber } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as Retry from "../../src/call/Retry.js"
import type { Scripted, Step } from "../support/scripted.js"
import { answer, context, rateLimited, scripted, unavailable } from "../support/scripted.js"

const withAttempt = (error: LLMError): LLMError =>
  LLMErrors.update(error, {
    attempts: [{ provider: "test", model: "model", keyId: "key", error: error._tag, duration: 1 }]
  })
const tooLong = withAttempt(new LLMErrors.ContextLengthError({ ...context, message: "too long" }))
const refused = withAttempt(new LLMErrors.ContentFilterError({ ...context, message: "refused" }))

/** A member with a context window. */
const sized = (contextWindow: number, ...steps: readonly [Step, ...Array<Step>]): Effect.Effect<Scripted> =>
  Effect.map(scripted(...steps), (llm) => ({ ...llm, info: { ...llm.info, contextWindow } }))

const callCounts = (...members: ReadonlyArray<Scripted>) =>
  Effect.forEach(members, (member) => Effect.map(member.asked, (asked) => asked.length))

describe("Fallback member option `on`", () => {
  const make = (error: LLMError) =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make([
        { llm: yield* scripted("larger"), on: ["context-window"] },
        { llm: yield* scripted("milder"), on: ["content-filter"] },
        { llm: yield* scripted("other"), on: ["general"] },
        { llm: yield* scripted("last"), on: ["InvalidRequestError"] }
      ])(yield* scripted(error))
      return [(yield* llm.chat("?")).text, (yield* ChatEvent.collect(llm.chatStream("?"))).text]
    })

  it.effect("hands an error to the first member whose `on` has its kind or class", () =>
    Effect.gen(function* () {
      expect(yield* make(tooLong)).toEqual(["larger", "larger"])
      expect(yield* make(refused)).toEqual(["milder", "milder"])
      expect(yield* make(unavailable)).toEqual(["other", "other"])
      expect(yield* make(new LLMErrors.InvalidRequestError({ ...context, message: "bad" }))).toEqual(["last", "last"])
    })
  )

  it.effect("hands an error of a later member to an earlier one that was skipped", () =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make([
        { llm: yield* scripted("larger"), on: ["context-window"] },
        yield* scripted(tooLong)
      ])(yield* scripted(unavailable))
      const response = yield* llm.chat("?")
      expect(response.text).toBe("larger")
      expect(response.attempts.map((attempt) => attempt.error)).toEqual([
        "ProviderUnavailableError",
        "ContextLengthError",
        undefined
      ])
    })
  )

  it.effect("waits for a Retry-After when no other member takes rate limits", () =>
    Effect.gen(function* () {
      const larger = yield* scripted("larger")
      const patient = yield* Retry.middleware({ maxAttempts: 2, backoff: { jitter: 0 } })(
        yield* scripted(rateLimited(0), "first")
      )
      const llm = yield* Fallback.make([{ llm: larger, on: ["context-window"] }], { failoverAfter: 0 })(patient)
      const response = yield* Effect.fork(llm.chat("?"))

      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(response)).text).toBe("first")
    })
  )
})

describe("Fallback for requests that exceed a context window", () => {
  it.effect("hands a ContextLengthError to a member with a larger window, never to one with a smaller", () =>
    Effect.gen(function* () {
      const smaller = yield* sized(500, "smaller")
      const larger = yield* sized(2000, "larger")
      const llm = yield* Fallback.make([smaller, larger])(yield* sized(1000, tooLong))
      expect((yield* llm.chat("?")).text).toBe("larger")
      const alone = yield* Fallback.make([smaller])(yield* sized(1000, tooLong))
      expect((yield* Effect.flip(alone.chat("?")))._tag).toBe("ContextLengthError")
      expect(yield* callCounts(smaller)).toEqual([0])
    })
  )

  it.effect("hands a ContextLengthError to a member with a window of the same size when none is larger", () =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make([yield* sized(1000, "same")])(yield* sized(1000, tooLong))
      expect((yield* llm.chat("?")).text).toBe("same")
    })
  )

  const long = { messages: [Chat.user("once upon a time ".repeat(300))] }

  it.effect("skips members whose window the request exceeds when `fit` is on", () =>
    Effect.gen(function* () {
      const small = yield* sized(500, "small")
      const large = yield* sized(50_000, "large")
      const llm = yield* Fallback.make([large], { fit: true })(small)
      expect((yield* llm.chat(long)).text).toBe("large")
      expect((yield* ChatEvent.collect(llm.chatStream(long))).text).toBe("large")
      expect((yield* llm.chat("short")).text).toBe("small")
      expect(yield* callCounts(small, large)).toEqual([1, 2])
      const withoutFit = yield* Fallback.make([large])(small)
      expect((yield* withoutFit.chat(long)).text).toBe("small")
    })
  )

  it.effect("sends a request that exceeds every window to the member with the largest one when `fit` is on", () =>
    Effect.gen(function* () {
      const members = [yield* sized(100, tooLong), yield* sized(300, tooLong), yield* sized(200, tooLong)] as const
      const llm = yield* Fallback.make(members.slice(1), { fit: true })(members[0])
      expect((yield* Effect.flip(llm.chat(long)))._tag).toBe("ContextLengthError")
      expect(yield* callCounts(...members)).toEqual([0, 1, 0])
    })
  )

  it.effect("sends a request that does not fit only to members that take a ContextLengthError", () =>
    Effect.gen(function* () {
      const milder: Fallback.Member = { llm: yield* sized(50_000, "milder"), on: ["content-filter"] }
      const first = yield* sized(500, "first")
      const large = yield* Fallback.make([milder, yield* sized(50_000, "large")], { fit: true })(first)
      expect((yield* large.chat(long)).text).toBe("large")
      const alone = yield* Fallback.make([milder], { fit: true })(first)
      expect((yield* alone.chat(long)).text).toBe("first")
    })
  )

  it.effect("counts `fit.reserve` tokens for the answer when it judges whether a request fits", () =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make([yield* sized(50_000, "large")], { fit: { reserve: 400 } })(
        yield* sized(500, "small")
      )
      expect((yield* llm.chat({ messages: [Chat.user("word ".repeat(250))] })).text).toBe("large")
    })
  )
})

describe("Fallback member options `without` and `replaces`", () => {
  const requests: ReadonlyArray<readonly [Fallback.Feature, Partial<Chat.ChatRequest>]> = [
    ["tools", { tools: [{ name: "clock" }] }],
    ["json", { responseFormat: "json" }],
    ["json-schema", { responseFormat: { name: "answer", schema: {} } }],
    ["images", { messages: [Chat.user([Chat.image("https://example.com/a.png")])] }],
    ["audio", { messages: [Chat.user([Chat.audio(new Uint8Array([1]))])] }],
    ["files", { messages: [Chat.user([Chat.file("https://example.com/a.pdf")])] }]
  ]

  it.effect.each(requests)("skips members that lack the feature which a request needs: %s", ([lacking, request]) =>
    Effect.gen(function* () {
      const second = yield* scripted("second")
      const llm = yield* Fallback.make([{ llm: second, without: [lacking] }, yield* scripted("third")], {
        first: { without: [lacking] }
      })(yield* scripted("first"))
      const fullRequest = { messages: [Chat.user("?")], ...request }
      expect((yield* llm.chat(fullRequest)).text).toBe("third")
      expect((yield* ChatEvent.collect(llm.chatStream(fullRequest))).text).toBe("third")
      expect((yield* llm.chat("?")).text).toBe("first")
      expect(yield* second.asked).toEqual([])
    })
  )

  it.effect("skips members that lack embeddings, and fails with an UnsupportedError when all do", () =>
    Effect.gen(function* () {
      const second = yield* scripted("second")
      const lacks = ["embeddings"] as const
      const llm = yield* Fallback.make([second], { first: { without: lacks } })(yield* scripted("never asked"))
      expect((yield* llm.embed("?")).embeddings).toEqual([["second".length]])
      const none = yield* Fallback.make([{ llm: second, without: lacks }], { first: { without: lacks } })(second)
      expect(yield* Effect.flip(none.embed("?"))).toMatchObject({ _tag: "UnsupportedError", feature: "embeddings" })
    })
  )

  it.effect("embeds with members of one family alone, since vectors of different models cannot be compared", () =>
    Effect.gen(function* () {
      const member = (model: string, step: Step, info: Partial<LLM.ModelInfo> = {}) =>
        Effect.map(scripted(step), (llm) => ({ ...llm, info: { ...llm.info, model, ...info } }))
      const small = yield* member("gpt-4o", unavailable, { embeddingModel: "text-embedding-3-small" })
      const other = yield* member("gemini-3", "other family", { embeddingModel: "gemini-embedding-001" })
      const same = yield* member("openai/text-embedding-3-small", "same")
      const deployment = yield* member("my-deployment", "named", { embeddingFamily: "text-embedding-3-small" })
      const llm = yield* Fallback.make([other, same])(small)
      expect((yield* llm.embed(["?"])).embeddings).toEqual([["same".length]])
      const named = yield* Fallback.make([other, deployment])(small)
      expect((yield* named.embed("?")).embeddings).toEqual([["named".length]])
      expect((yield* named.chat("?")).text).toBe("other family")
      expect(yield* Effect.flip((yield* Fallback.make([other])(small)).embed("?"))).toMatchObject({
        _tag: "ProviderUnavailableError"
      })
    })
  )

  it.effect("embeds with a member that has its own name for the model, and takes a named model for its family", () =>
    Effect.gen(function* () {
      const first = yield* scripted(unavailable)
      const second = yield* Effect.map(scripted("second"), (llm) => ({ ...llm, info: { ...llm.info, model: "x" } }))
      const renamed = yield* Fallback.make([{ llm: second, models: { large: "acme-large" } }])(first)
      expect((yield* renamed.embed({ input: ["?"], model: "large" })).embeddings).toEqual([["second".length]])
      const request = { input: ["?"], model: "other" }
      expect(yield* Effect.flip(renamed.embed(request))).toMatchObject({ _tag: "ProviderUnavailableError" })
    })
  )

  it.effect("skips a member whose `replaces` does not have the requested model", () =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make([
        { llm: yield* scripted("for small"), replaces: ["small"] },
        { llm: yield* scripted("for the first"), replaces: ["model"] }
      ])(yield* scripted(unavailable))
      expect((yield* llm.chat({ model: "small", messages: [Chat.user("?")] })).text).toBe("for small")
      expect((yield* llm.chat("?")).text).toBe("for the first")
      expect((yield* Effect.flip(llm.chat({ model: "huge", messages: [Chat.user("?")] })))._tag).toBe(
        "ProviderUnavailableError"
      )
    })
  )
})

describe("Fallback member option `models`", () => {
  it.effect("sends each member its own name for the requested model, or no name when it has none", () =>
    Effect.gen(function* () {
      const second = yield* scripted("second")
      const models = { model: "vendor/model", large: "vendor/large" }
      const llm = yield* Fallback.make([{ llm: second, models }])(yield* scripted(unavailable))
      const messages = [Chat.user("?")]
      yield* llm.chat("?")
      yield* llm.chat({ model: "large", messages })
      yield* llm.chat({ model: "unknown", messages })
      expect(yield* second.asked).toEqual([
        { model: "vendor/model", messages },
        { model: "vendor/large", messages },
        { messages }
      ])
    })
  )
})

describe("Fallback option `filteredAnswers`", () => {
  const stopped = { ...answer(""), finishReason: "content-filter" } as const
  const filtering = { filteredAnswers: true } as const

  it.effect("hands a filtered answer to the next member with its attempts, only when the option is on", () =>
    Effect.gen(function* () {
      const second: Fallback.Member = { llm: yield* scripted("second"), on: ["content-filter"] }
      const first = yield* scripted(Effect.succeed(stopped))
      const llm = yield* Fallback.make([second], filtering)(first)
      const whole = yield* llm.chat("?")
      expect(whole.text).toBe("second")
      expect(whole.attempts.map((attempt) => attempt.error)).toEqual(["ContentFilterError", undefined])
      const streamed = yield* ChatEvent.collect(llm.chatStream("?"))
      expect({ ...streamed }).toEqual({ ...whole })
      const byDefault = yield* Fallback.make([second])(first)
      expect((yield* byDefault.chat("?")).finishReason).toBe("content-filter")
    })
  )

  it.effect("returns the filtered answer when no member takes it or all fail, with the attempts of all", () =>
    Effect.gen(function* () {
      const first = yield* scripted(Effect.succeed(stopped))
      const general = yield* Fallback.make([yield* scripted("never asked")], filtering)(first)
      expect((yield* general.chat("?")).finishReason).toBe("content-filter")
      const llm = yield* Fallback.make(
        [{ llm: yield* scripted(unavailable), on: ["content-filter"] }],
        filtering
      )(first)
      const whole = yield* llm.chat("?")
      expect(whole.finishReason).toBe("content-filter")
      expect(whole.attempts.map((attempt) => attempt.error)).toEqual(["ProviderUnavailableError", undefined])
    })
  )

  it.effect("does not hand on a filtered stream that has produced text", () =>
    Effect.gen(function* () {
      const filtered = ChatEvent.fromResponse(Chat.withContent(stopped, [Chat.text("Well,")]))
      const second = yield* scripted("never asked")
      const llm = yield* Fallback.make(
        [{ llm: second, on: ["content-filter"] }],
        filtering
      )(yield* scripted({ stream: Stream.fromIterable(filtered) }))
      expect((yield* ChatEvent.collect(llm.chatStream("?"))).text).toBe("Well,")
      expect(yield* second.asked).toEqual([])
    })
  )
})

describe("Fallback.layer with member options", () => {
  it.effect("layer applies the options of its members", () =>
    Effect.gen(function* () {
      const first = Layer.effect(LLM.LLM, scripted(tooLong))
      const general = Layer.effect(LLM.LLM, scripted("general"))
      const larger = Layer.effect(LLM.LLM, scripted("larger"))
      const llm = Fallback.layer([
        { llm: first, without: ["tools"] },
        { llm: general, on: ["general"] },
        { llm: larger, on: ["context-window"] }
      ])
      expect((yield* Effect.provide(LLM.chat("?"), llm)).text).toBe("larger")
      const tools = LLM.chat({ messages: [Chat.user("?")], tools: [{ name: "clock" }] })
      expect((yield* Effect.provide(tools, llm)).text).toBe("general")
    })
  )
})

describe("Fallback", () => {
  it.effect("prefers a larger window over one of the same size for a request that is too long", () =>
    Effect.gen(function* () {
      const same = yield* sized(1000, "same")
      const larger = yield* sized(2000, "larger")
      const llm = yield* Fallback.make([same, larger])(yield* sized(1000, tooLong))
      expect((yield* llm.chat("?")).text).toBe("larger")
      expect(yield* callCounts(same, larger)).toEqual([0, 1])
    })
  )

  it.effect("never goes back to a window as small as one that was too small before", () =>
    Effect.gen(function* () {
      const small = yield* sized(1000, "small")
      const middle = yield* sized(2000, "middle")
      const large = yield* sized(4000, unavailable)
      // The largest window is called first and fails with another error: what exceeded 3,000 tokens exceeds 1,000 too.
      const llm = yield* Fallback.make([large, small, middle])(yield* sized(3000, tooLong))
      expect((yield* Effect.flip(llm.chat("?")))._tag).toBe("ProviderUnavailableError")
      expect(yield* callCounts(large, small, middle)).toEqual([1, 0, 0])
    })
  )

  it.effect("hands on the timeout of one request, and never that of the whole call", () =>
    Effect.gen(function* () {
      const failing = (phase: LLMErrors.TimeoutError["phase"]) =>
        withAttempt(new LLMErrors.TimeoutError({ ...context, phase, message: "too late" }))
      for (const on of [undefined, ["TimeoutError"] as const, ["general"] as const]) {
        const second = yield* scripted("second")
        const options = on === undefined ? {} : { on }
        for (const phase of ["connect", "response", "first-event", "idle"] as const) {
          const llm = yield* Fallback.make([second], options)(yield* scripted(failing(phase)))
          expect((yield* llm.chat("?")).text).toBe("second")
        }
        const llm = yield* Fallback.make([second], options)(yield* scripted(failing("total")))
        expect(yield* Effect.flip(llm.chat("?"))).toMatchObject({ _tag: "TimeoutError", phase: "total" })
        expect(yield* callCounts(second)).toEqual([4])
      }
    })
  )

  it.effect("does not wait for a long Retry-After while a member with a predicate can take the call", () =>
    Effect.gen(function* () {
      const patient = yield* Retry.middleware()(yield* scripted(rateLimited(30_000)))
      const llm = yield* Fallback.make([yield* scripted("second")], { on: LLMErrors.isRetryable })(patient)
      // The test clock is not advanced: a sleep would never end.
      expect((yield* llm.chat("?")).text).toBe("second")
    })
  )
})

describe("Fallback model names that every object inherits", () => {
  const inherited = ["constructor", "__proto__", "toString", "hasOwnProperty"]

  it.effect("does not look up a requested model among inherited properties of `models`", () =>
    Effect.gen(function* () {
      for (const model of inherited) {
        const second = yield* scripted("second")
        const llm = yield* Fallback.make([{ llm: second, models: { large: "huge" } }])(yield* scripted(unavailable))
        expect((yield* llm.chat({ model, messages: [Chat.user("?")] })).text).toBe("second")
        yield* ChatEvent.collect(llm.chatStream({ model, messages: [Chat.user("?")] }))
        expect(yield* second.asked).toEqual([{ messages: [Chat.user("?")] }, { messages: [Chat.user("?")] }])
      }
    })
  )
  it.effect("uses a model name such as `constructor` when `models` has it as an own property", () =>
    Effect.gen(function* () {
      for (const model of inherited) {
        const second = yield* scripted("second")
        const models = Object.fromEntries([[model, "huge"]])
        const llm = yield* Fallback.make([{ llm: second, models }])(yield* scripted(unavailable))
        yield* llm.chat({ model, messages: [Chat.user("?")] })
        expect(yield* second.asked).toEqual([{ model: "huge", messages: [Chat.user("?")] }])
      }
    })
  )
})

import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as ContextWindow from "../../src/call/ContextWindow.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as TestLLM from "../../src/testing/TestLLM.js"
import * as TokenCounter from "../../src/tokens/TokenCounter.js"

/** A text of so many words, which everybody here counts as a token each. */
const words = (count: number): string => Array.from({ length: count }, () => "word").join(" ")

/** Exact for `exact`, an estimate for every other model. */
const counter = TokenCounter.layer((model) =>
  model === "exact"
    ? { text: (text) => ({ tokens: text.split(/\s+/).length, estimated: false }), knownChatFormat: true }
    : undefined
)

const withWindow = (contextWindow: number, options?: ContextWindow.Options, model = "exact") =>
  Effect.provide(
    TestLLM.layer(["answer"], { loop: true, info: { provider: "acme", model, contextWindow } }).pipe(
      withCheck(options),
      Layer.provide(counter)
    )
  )

/** The middleware, with the record of what came through. */
const withCheck =
  (options?: ContextWindow.Options) =>
  <E, R>(layer: Layer.Layer<LLM.LLM | TestLLM.TestLLM, E, R>): Layer.Layer<LLM.LLM | TestLLM.TestLLM, E, R> =>
    Layer.merge(layer, LLM.withMiddleware(ContextWindow.check(options))(layer))

const asked = Effect.map(TestLLM.calls, (calls) => calls.length)

const outcome = (request: Chat.ChatRequest.Input): Effect.Effect<string, never, LLM.LLM> =>
  Effect.match(LLM.chat(request), { onFailure: (error: LLMError) => error._tag, onSuccess: (answer) => answer.text })

describe("a request that cannot fit", () => {
  it.effect("fails before anybody is asked", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.chat(words(101)))
      expect(error).toMatchObject({ _tag: "ContextLengthError", provider: "acme", model: "exact", attempts: [] })
      expect(error.message).toContain("have 101 tokens")
      expect(error.message).toContain("exact holds 100")
      expect(yield* asked).toBe(0)
    }).pipe(withWindow(100))
  )
  it.effect("fails as a stream", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(ChatEvent.collect(LLM.chatStream(words(101))))
      expect(error._tag).toBe("ContextLengthError")
      expect(yield* asked).toBe(0)
    }).pipe(withWindow(100))
  )
  it.effect("goes to the next member of a fallback", () =>
    Effect.gen(function* () {
      const small = yield* TestLLM.make(["small"], { info: { model: "exact", contextWindow: 100 } })
      const large = yield* TestLLM.make(["large"], { info: { model: "large", contextWindow: 1000 } })
      const checked = yield* ContextWindow.check()(small.llm)
      const llm = yield* Fallback.make([large.llm])(checked)
      expect((yield* llm.chat(words(200))).text).toBe("large")
      expect(yield* small.calls).toHaveLength(0)
    }).pipe(Effect.provide(counter))
  )
})

describe("a request that fits", () => {
  it.effect("is asked, whole and streamed, up to the last token", () =>
    Effect.gen(function* () {
      expect(yield* outcome(words(100))).toBe("answer")
      expect((yield* ChatEvent.collect(LLM.chatStream(words(100)))).text).toBe("answer")
      expect(yield* asked).toBe(2)
    }).pipe(withWindow(100))
  )
  it.effect("needs room for its answer", () =>
    Effect.gen(function* () {
      const request = (maxTokens: number) => ({ messages: [Chat.user(words(60))], maxTokens })
      expect(yield* outcome(request(40))).toBe("answer")
      expect(yield* outcome(request(41))).toBe("ContextLengthError")
    }).pipe(withWindow(100))
  )
  it.effect("needs the room that is reserved, where it does not say how much", () =>
    Effect.gen(function* () {
      const request = { messages: [Chat.user(words(60))] }
      expect(yield* outcome(request)).toBe("ContextLengthError")
      expect(yield* outcome({ ...request, maxTokens: 40 })).toBe("answer")
    }).pipe(withWindow(100, { reserve: 41 }))
  )
})

describe("only what is sure counts", () => {
  it.effect("an estimate is lowered by the tolerance", () =>
    Effect.gen(function* () {
      expect(yield* outcome(words(166))).toBe("answer")
      expect(yield* outcome(words(170))).toBe("ContextLengthError")
    }).pipe(withWindow(100, {}, "estimated"))
  )
  it.effect("by as much as is said", () =>
    Effect.gen(function* () {
      expect(yield* outcome(words(100))).toBe("answer")
      expect(yield* outcome(words(101))).toBe("ContextLengthError")
    }).pipe(withWindow(100, { tolerance: 0 }, "estimated"))
  )
  it.effect("images, sounds, files and earlier thoughts do not", () =>
    Effect.gen(function* () {
      const image = Chat.image("https://example.com/map.png")
      const messages: ReadonlyArray<Chat.Message> = [
        Chat.user([Chat.text(words(20)), image, image, Chat.audio("https://example.com/talk.wav")]),
        { role: "assistant", content: [{ type: "reasoning", text: words(500) }, Chat.text("yes")] },
        { role: "tool", toolCallId: "call_1", content: [Chat.text("result"), image] },
        Chat.user([Chat.file("https://example.com/report.pdf")])
      ]
      expect(yield* outcome({ messages })).toBe("answer")
      expect(yield* outcome({ messages: [...messages, Chat.user(words(100))] })).toBe("ContextLengthError")
    }).pipe(withWindow(100))
  )
  it.effect("the calls, results and definitions of tools do", () =>
    Effect.gen(function* () {
      const call = { id: "call_1", name: "search", arguments: words(60) }
      const history = [Chat.user("?"), Chat.assistant("", [call]), Chat.toolResult(call, words(60))]
      expect(yield* outcome({ messages: history })).toBe("ContextLengthError")
      const tools = [{ name: "search", description: words(120) }]
      expect(yield* outcome({ messages: [Chat.user("?")], tools })).toBe("ContextLengthError")
    }).pipe(withWindow(100))
  )
  it.effect("a request for another model is passed on", () =>
    Effect.gen(function* () {
      const request = { messages: [Chat.user(words(500))] }
      expect(yield* outcome({ ...request, model: "another" })).toBe("answer")
      expect(yield* outcome({ ...request, model: "exact" })).toBe("ContextLengthError")
    }).pipe(withWindow(100))
  )
  it.effect("a request that makes no sense is left to those who say why", () =>
    Effect.gen(function* () {
      expect(yield* outcome({ messages: [] })).toBe("InvalidRequestError")
    }).pipe(withWindow(100))
  )
})

describe("the window", () => {
  it.effect("may be given to the check", () =>
    Effect.gen(function* () {
      expect(yield* outcome(words(40))).toBe("answer")
      expect(yield* outcome(words(60))).toBe("ContextLengthError")
    }).pipe(withWindow(100, { contextWindow: 50 }))
  )
  it.effect("is not counted against where even single bytes would fit", () =>
    Effect.gen(function* () {
      const counted: Array<TokenCounter.Input> = []
      const spy: TokenCounter.Service = {
        count: (input) =>
          Effect.sync(() => {
            counted.push(input)
            return { tokens: 1_000, estimated: false }
          })
      }
      const { llm } = yield* TestLLM.make(["answer", "answer"], { info: { contextWindow: 300 } })
      const checked = yield* Effect.provideService(ContextWindow.check()(llm), TokenCounter.TokenCounter, spy)
      yield* checked.chat("a".repeat(100))
      expect(counted).toEqual([])
      expect(Either.isLeft(yield* Effect.either(checked.chat("a".repeat(101))))).toBe(true)
      expect(counted).toEqual(["a".repeat(101)])
    })
  )
})

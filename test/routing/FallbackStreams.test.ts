import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Exit, FastCheck as fc, Ref, Stream } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../src/vocabulary/ChatEvent.js"
import * as Events from "../../src/vocabulary/ChatEvent.js"
import * as Fallback from "../../src/routing/Fallback.js"
import type { Service } from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import { TestLLM } from "../../src/testing/index.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { answer, context, scripted, unavailable } from "../support/scripted.js"

const interrupted = (reported?: string): LLMError =>
  new LLMErrors.StreamInterruptedError({
    ...context,
    message: "cut",
    begun: true,
    partial: { id: "", model: "", text: "", reasoning: "", toolCalls: [], usage: Usage.empty },
    ...(reported === undefined ? {} : { reported })
  })

/** A stream that breaks after this text. */
const breaking = (text: string, error: LLMError = interrupted()) =>
  ({
    stream: Stream.concat(
      Stream.fromIterable(Events.fromResponse(answer(text)).slice(0, text === "" ? 1 : 2)),
      Stream.fail(error)
    )
  }) as const

const events = (llm: Service, request: Chat.ChatRequest.Input = "?") =>
  Effect.map(Stream.runCollect(llm.chatStream(request)), Chunk.toReadonlyArray)

const continuing = { continueStreams: true } as const

describe("Fallback option `continueStreams`", () => {
  it.effect("continues a broken stream on the next member with a Continued event, joined text and summed usage", () =>
    Effect.gen(function* () {
      const first = yield* scripted(breaking("The capital of"))
      const second = yield* scripted(" France is Paris.")
      const llm = yield* Fallback.make([second], continuing)(first)
      const emitted = yield* events(llm)
      expect(emitted.map((event) => event._tag)).toEqual(["Start", "TextDelta", "Continued", "TextDelta", "Finish"])
      const whole = yield* Events.collect(Stream.fromIterable(emitted))
      expect(whole.text).toBe("The capital of France is Paris.")
      expect(whole.attempts.map((attempt) => attempt.error)).toEqual(["StreamInterruptedError", undefined])
      const before = emitted.flatMap((event) => (event._tag === "Continued" ? [event.usage] : []))
      expect(whole.usage).toEqual(Usage.combineAll([...before, answer("").usage]))
      expect(before[0]?.outputTokens).toBe(Usage.estimateTokens("The capital of"))
      expect(before[0]?.inputTokens).toBeGreaterThan(0)
    })
  )

  it.effect("sends the next member the partial answer, the continue prompt and a reduced maxTokens", () =>
    Effect.gen(function* () {
      const second = yield* scripted(" end")
      const llm = yield* Fallback.make([second], continuing)(yield* scripted(breaking("To be ")))
      yield* events(llm, { messages: [Chat.user("?")], maxTokens: 100 })
      expect(yield* second.asked).toEqual([
        {
          messages: [Chat.user("?"), Chat.assistant("To be"), Chat.user(Fallback.continuePrompt)],
          maxTokens: 100 - Usage.estimateTokens("To be")
        }
      ])
    })
  )

  it.effect("sends the partial answer as the last message, or the given prompt, by `continueStreams.prompt`", () =>
    Effect.gen(function* () {
      const second = yield* scripted(" end")
      const third = yield* scripted(" end")
      const first = yield* scripted(breaking("To be"))
      yield* events(yield* Fallback.make([second], { continueStreams: { prompt: false } })(first))
      const prompt = ({ model }: { readonly model: string }) => `Go on, ${model}.`
      yield* events(yield* Fallback.make([third], { continueStreams: { prompt } })(first))
      expect(yield* second.asked).toEqual([{ messages: [Chat.user("?"), Chat.assistant("To be")] }])
      expect(yield* third.asked).toEqual([
        { messages: [Chat.user("?"), Chat.assistant("To be"), Chat.user("Go on, model.")] }
      ])
    })
  )

  it.effect("continues a stream on each remaining member in turn, and rejects a member that restarts the answer", () =>
    Effect.gen(function* () {
      const beginning = "It was a bright cold day in April, and"
      const llm = yield* Fallback.make(
        [
          yield* scripted(unavailable),
          yield* scripted("It was a bright cold day in April. The clocks"),
          yield* scripted(breaking("in April, and the clocks")),
          yield* scripted(" were striking.")
        ],
        continuing
      )(yield* scripted(breaking(beginning)))
      const emitted = yield* events(llm)
      const whole = yield* Events.collect(Stream.fromIterable(emitted))
      expect(whole.text).toBe("It was a bright cold day in April, and the clocks were striking.")
      expect(emitted.filter((event) => event._tag === "Continued")).toHaveLength(2)
      expect(whole.attempts.map((attempt) => attempt.error)).toEqual([
        "StreamInterruptedError",
        "ProviderUnavailableError",
        "MalformedResponseError",
        "StreamInterruptedError",
        undefined
      ])
    })
  )

  it.effect("fails with the whole partial answer and all attempts when no member can continue", () =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make(
        [yield* scripted(breaking(" two")), yield* scripted(unavailable)],
        continuing
      )(yield* scripted(breaking("one")))
      const error = yield* Effect.flip(events(llm))
      expect(error._tag === "StreamInterruptedError" && error.partial.text).toBe("one two")
      expect(error.attempts.map((attempt) => attempt.error)).toEqual([
        "StreamInterruptedError",
        "StreamInterruptedError",
        "ProviderUnavailableError"
      ])
    })
  )

  it.effect("keeps the error of the broken stream when no member continues it", () =>
    Effect.gen(function* () {
      const broken = interrupted()
      const llm = yield* Fallback.make(
        [yield* scripted(unavailable)],
        continuing
      )(yield* scripted(breaking("one", broken)))
      const error = yield* Effect.flip(events(llm))
      expect(error).toMatchObject({ _tag: "StreamInterruptedError", message: "cut" })
      expect(error.attempts).toHaveLength(2)
    })
  )

  const call = { type: "tool-call", id: "1", name: "clock", arguments: "{}" }
  const half: ChatEvent = { _tag: "ToolCallDelta", index: 0, id: "1", name: "clock", argumentsDelta: "{" }
  const partial = Events.fromResponse(answer("Hm."))

  it.effect.each<readonly [string, ReadonlyArray<ChatEvent>, Partial<Chat.ChatRequest>, LLMError]>([
    ["half a tool call", [...partial.slice(0, 2), half], {}, interrupted()],
    ["a whole tool call", [...partial.slice(0, 2), half, { _tag: "ToolCallEnd", index: 0, call }], {}, interrupted()],
    ["a refusal", [...partial.slice(0, 1), { _tag: "RefusalDelta", text: "No" }], {}, interrupted()],
    ["a structured answer", partial.slice(0, 2), { responseFormat: "json" }, interrupted()],
    ["a ContentFilterError of the provider", partial.slice(0, 2), {}, interrupted("ContentFilterError")]
  ])("does not continue a broken stream with %s", ([, begun, request, error]) =>
    Effect.gen(function* () {
      const second = yield* scripted("second")
      const first = yield* scripted({ stream: Stream.concat(Stream.fromIterable(begun), Stream.fail(error)) })
      const llm = yield* Fallback.make([second], continuing)(first)
      expect((yield* Effect.flip(events(llm, { messages: [Chat.user("?")], ...request }))).message).toBe("cut")
      expect(yield* second.asked).toEqual([])
    })
  )

  it.effect("keeps the reasoning of both parts apart, and sends no reasoning to another provider", () =>
    Effect.gen(function* () {
      const reasoning = { type: "reasoning", text: "Hm", signature: "sealed", provider: "one" } as const
      const first = Events.fromResponse({ ...answer("One,"), reasoningParts: [reasoning] }).slice(0, 3)
      const second = yield* TestLLM.make([
        TestLLM.answer({ text: " two.", reasoningParts: [{ ...reasoning, text: "Well", provider: "two" }] })
      ])
      const llm = yield* Fallback.make(
        [second.llm],
        continuing
      )(yield* scripted({ stream: Stream.concat(Stream.fromIterable(first), Stream.fail(interrupted())) }))
      const whole = yield* Events.collect(llm.chatStream("?"))
      expect(whole.text).toBe("One, two.")
      expect(whole.reasoningParts.map(({ provider, text }) => [provider, text])).toEqual([
        ["one", "Hm"],
        ["two", "Well"]
      ])
      const [asked] = yield* second.calls
      expect(JSON.stringify(asked?.request)).not.toContain("sealed")
    })
  )

  it.effect("closes a broken stream before it opens the next one, and that one with the whole stream", () =>
    Effect.gen(function* () {
      const log = yield* Ref.make<ReadonlyArray<string>>([])
      const held = (name: string, stream: Stream.Stream<ChatEvent, LLMError>) => ({
        stream: Stream.unwrapScoped(
          Effect.as(
            Effect.acquireRelease(
              Ref.update(log, (before) => [...before, `${name} opened`]),
              () => Ref.update(log, (before) => [...before, `${name} closed`])
            ),
            stream
          )
        )
      })
      const llm = yield* Fallback.make(
        [yield* scripted(held("second", breaking("two").stream))],
        continuing
      )(yield* scripted(held("first", breaking("one ").stream)))
      yield* Effect.exit(events(llm))
      expect(yield* Ref.get(log)).toEqual(["first opened", "first closed", "second opened", "second closed"])
    })
  )
})

describe("Fallback continuation law", () => {
  it.effect.prop(
    "gives the whole text without repetition wherever a stream breaks and whatever the next one repeats",
    [fc.stringMatching(/^[a-z]{1,7}( [a-z]{1,7}){3,12}$/), fc.nat(), fc.constantFrom("exact", "restart", "word")],
    ([whole, at, style]) =>
      Effect.gen(function* () {
        const cut = 1 + (at % (whole.length - 1))
        // All words are different, so that equal text is a repetition.
        const text = whole
          .split(" ")
          .map((word, index) => `${index}${word}`)
          .join(" ")
        const partial = text.slice(0, cut)
        const word = partial.lastIndexOf(" ") + 1
        // The start of the last word, if at least two characters of it were sent.
        const from = style === "restart" ? 0 : style === "word" && partial.trimEnd().length - word >= 2 ? word : cut
        const first = yield* TestLLM.make([
          TestLLM.stream(TestLLM.wordByWord(answer(partial)).slice(0, -1), { failure: interrupted() })
        ])
        const second = yield* TestLLM.make([TestLLM.answer({ text: text.slice(from) })])
        const llm = yield* Fallback.make([second.llm], continuing)(first.llm)
        const exit = yield* Effect.exit(Events.collect(llm.chatStream("?")))
        expect(Exit.map(exit, (response) => response.text)).toEqual(Exit.succeed(text))
      }),
    { fastCheck: { numRuns: 100 } }
  )
})

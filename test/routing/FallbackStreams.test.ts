import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Exit, Ref, Stream } from "effect"
import * as fc from "fast-check"
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
    partial: Chat.withContent({ id: "", model: "", usage: Usage.empty }, []),
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

  const call: Chat.ToolCall = { type: "tool-call", id: "1", name: "clock", arguments: "{}" }
  const half: ChatEvent = { _tag: "ToolCallDelta", index: 1, id: "1", name: "clock", argumentsDelta: "{" }
  const partial = Events.fromResponse(answer("Hm."))
  const search: Chat.ProviderPart = { type: "provider", provider: "test", native: { test: { type: "search" } } }

  it.effect.each<readonly [string, ReadonlyArray<ChatEvent>, Partial<Chat.ChatRequest>, LLMError]>([
    ["half a tool call", [...partial.slice(0, 2), half], {}, interrupted()],
    ["a whole tool call", [...partial.slice(0, 2), half, { _tag: "ToolCallEnd", index: 1, call }], {}, interrupted()],
    ["a provider part", [...partial.slice(0, 2), { _tag: "ProviderPart", index: 1, part: search }], {}, interrupted()],
    ["a refusal", [...partial.slice(0, 1), { _tag: "RefusalDelta", index: 0, text: "No" }], {}, interrupted()],
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

  const reasoning = (text: string, provider: string): Chat.ReasoningPart => ({
    type: "reasoning",
    text,
    signature: `sealed by ${provider}`,
    provider
  })

  /** The events of these parts, and then a failure. */
  const breakingAfter = (...content: ReadonlyArray<Chat.AssistantPart>) => ({
    stream: Stream.concat(
      Stream.fromIterable(Events.fromResponse(Chat.withContent(answer(""), content)).slice(0, -1)),
      Stream.fail(interrupted())
    )
  })

  /** The parts of a stream that breaks after some parts and is continued with others. */
  const joined = (broken: ReadonlyArray<Chat.AssistantPart>, continuation: ReadonlyArray<Chat.AssistantPart>) =>
    Effect.gen(function* () {
      const second = yield* TestLLM.make([TestLLM.answer({ content: continuation })])
      const first = yield* scripted(breakingAfter(...broken))
      const llm = yield* Fallback.make([second.llm], continuing)(first)
      const emitted = yield* events(llm)
      const collected = emitted.reduce(Events.append, Events.nothing)
      return { ...collected, requests: yield* second.calls }
    })

  it.effect("continues the last text part of a broken stream with the first text part of the continuation", () =>
    Effect.gen(function* () {
      const broken = [reasoning("Hm", "one"), Chat.text("It is tw")]
      const { content, indexes } = yield* joined(broken, [Chat.text("elve."), call, search, Chat.text("Noon.")])
      expect(content).toEqual([broken[0], Chat.text("It is twelve."), call, search, Chat.text("Noon.")])
      expect(indexes).toEqual([0, 1, 2, 3, 4])
    })
  )

  it.effect("keeps the order of the continuation's parts when it begins with another part than text", () =>
    Effect.gen(function* () {
      const first = [reasoning("Hm", "one"), Chat.text("One,")]
      const second = [reasoning("Well", "two"), Chat.text(" two.")]
      const { content, indexes } = yield* joined(first, second)
      expect(content).toEqual([...first, ...second])
      expect(indexes).toEqual([0, 1, 2, 3])
      expect(Chat.textOf(content)).toBe("One, two.")
    })
  )

  it.effect("begins a new text part after reasoning, and after a text with native fields", () =>
    Effect.gen(function* () {
      const cited: Chat.TextPart = { ...Chat.text("One."), provider: "one", native: { test: { citations: [1] } } }
      for (const broken of [reasoning("Hm", "one"), cited]) {
        const { content, indexes } = yield* joined([broken], [Chat.text(" Two.")])
        expect(content).toEqual([broken, Chat.text(" Two.")])
        expect(indexes).toEqual([0, 1])
      }
    })
  )

  it.effect(
    "gives the parts of a continuation indexes after every part that began, in each of several continuations",
    () =>
      Effect.gen(function* () {
        const delta = (index: number, text: string): ChatEvent => ({ _tag: "TextDelta", index, text })
        const think = (index: number): ChatEvent => ({ _tag: "ReasoningDelta", index, text: "Hm" })
        const [start, , finish] = partial
        if (start === undefined || finish === undefined) return expect.fail("there are three events")
        const streamOf = (...deltas: ReadonlyArray<ChatEvent>) => Stream.fromIterable([start, ...deltas])
        const broken = (...deltas: ReadonlyArray<ChatEvent>) => ({
          stream: Stream.concat(streamOf(...deltas), Stream.fail(interrupted()))
        })
        // The part with the index 1 of the second stream is reserved: its content comes last.
        const llm = yield* Fallback.make(
          [
            yield* scripted(broken(delta(0, " two"), delta(2, " three"))),
            yield* scripted({ stream: streamOf(think(1), delta(0, " four"), finish) })
          ],
          continuing
        )(yield* scripted(broken(delta(1, "one"), think(0))))
        const indexes = (yield* events(llm)).flatMap((event) => ("index" in event ? [event.index] : []))
        expect(indexes).toEqual([1, 0, 1, 3, 5, 4])
      })
  )

  it.effect("removes text that the continuation repeats from its parts, and keeps their native fields", () =>
    Effect.gen(function* () {
      const cited: Chat.TextPart = { ...Chat.text("half past twelve."), provider: "test", native: { test: { at: 1 } } }
      const continuation = [reasoning("Well", "two"), Chat.text("It is "), cited]
      const { content } = yield* joined([Chat.text("It is half")], continuation)
      expect(content).toEqual([
        Chat.text("It is half"),
        continuation[0],
        Chat.text(""),
        { ...cited, text: " past twelve." }
      ])
    })
  )

  it.effect("sends no reasoning of a broken stream to another provider", () =>
    Effect.gen(function* () {
      const { requests } = yield* joined([reasoning("Hm", "one"), Chat.text("One,")], [Chat.text(" two.")])
      expect(JSON.stringify(requests[0]?.request)).not.toContain("sealed")
    })
  )

  it.effect("estimates the usage of a broken stream from its text and its reasoning", () =>
    Effect.gen(function* () {
      const { finish } = yield* joined([reasoning("Hm, well", "one"), Chat.text("One,")], [Chat.text(" two.")])
      const own = TestLLM.response({ content: [Chat.text(" two.")] }).usage.outputTokens
      expect(finish?.usage.outputTokens).toBe(Usage.estimateTokens("Hm, wellOne,") + own)
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

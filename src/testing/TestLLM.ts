/**
 * An `LLM` that follows a script, for tests of programs that call one: call by call, whole or streamed, with the test clock, and
 * with a record of the requests.
 *
 * @example
 * ```ts
 * import { expect, it } from "@effect/vitest"
 * import { Effect } from "effect"
 * import { Chat, LLM } from "effect-llm"
 * import { TestLLM } from "effect-llm/testing"
 *
 * it.effect("asks twice", () =>
 *   Effect.gen(function* () {
 *     expect((yield* LLM.chat("one")).text).toBe("first")
 *     expect((yield* LLM.chat("two")).toolCalls).toHaveLength(1)
 *     expect(yield* TestLLM.calls).toHaveLength(2)
 *   }).pipe(
 *     Effect.provide(
 *       TestLLM.layer(["first", TestLLM.answer({ toolCalls: [Chat.toolCall("1", "search", "{}")] })])
 *     )
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Chunk, Context, Data, Duration, Effect, Layer, Option, Ref, Stream } from "effect"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import * as Events from "../vocabulary/ChatEvent.js"
import { normalize, normalizeEmbedding } from "../call/request.js"
import type { ModelInfo, Service } from "../call/model.js"
import { LLM } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { InvalidRequestError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import { fromEither } from "../internal/asEffect.js"

/**
 * The result of one call. A bare string is an answer with this text. The same step serves `chat` and `chatStream`: an answer is
 * streamed word by word, and a stream is collected.
 *
 * @since 0.1.0
 * @category model
 */
export type Step = string | Scripted

/**
 * A step of a script, made by `answer`, `failure`, `stream`, `delayed` or `never`.
 *
 * @since 0.1.0
 * @category model
 */
export type Scripted = Data.TaggedEnum<{
  Answer: { readonly response: ChatResponse }
  Failure: { readonly error: LLMError }
  Events: {
    readonly events: ReadonlyArray<ChatEvent>
    /** The delay before each event. */
    readonly every: Duration.Duration
    /** The error of the stream after its events. */
    readonly failure: Option.Option<LLMError>
  }
  Delayed: { readonly delay: Duration.Duration; readonly step: Step }
  Never: {}
}>

const Scripted = Data.taggedEnum<Scripted>()

/**
 * A recorded call.
 *
 * @since 0.1.0
 * @category model
 */
export interface Call {
  readonly request: ChatRequest
  /** True for `chatStream`. */
  readonly stream: boolean
}

/**
 * Options of a scripted `LLM`: the end of its script, its `info`, and its embeddings.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** Starts again at the end of the script. @default false: a further call fails with a message */
  readonly loop?: boolean
  /** The `info` of the `LLM`. @default the model `test` of the provider `test` */
  readonly info?: Partial<ModelInfo>
  /**
   * The vector of a text; tokens are numbers with spaces between them. @default the number of each of the letters `a` to `h`:
   * equal texts have equal vectors
   */
  readonly embedding?: (text: string) => ReadonlyArray<number>
}

const letterCounts = (text: string): ReadonlyArray<number> =>
  Array.from("abcdefgh", (letter) => text.toLowerCase().split(letter).length - 1)

const part = (type: "reasoning" | "text" | "refusal", text = ""): ReadonlyArray<Chat.AssistantPart> =>
  text === "" ? [] : [{ type, text }]

/**
 * A complete response, with defaults for the fields that are not given.
 *
 * Its content is `content`, or is made of `reasoning`, `text`, `refusal` and `toolCalls`, in this order. With `content`, these
 * four are ignored: they are views of it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const response = (fields: Partial<ChatResponse> = {}): ChatResponse => {
  const content = fields.content ?? [
    ...part("reasoning", fields.reasoning),
    ...part("text", fields.text),
    ...part("refusal", fields.refusal),
    ...(fields.toolCalls ?? [])
  ]
  const hasCalls = Chat.toolCallsOf(content).length > 0
  return Chat.withContent(
    {
      id: "test",
      provider: "test",
      model: "test",
      finishReason: hasCalls ? "tool-calls" : "stop",
      rawFinishReason: hasCalls ? "tool_calls" : "stop",
      usage: Usage.make({ inputTokens: 1, outputTokens: Usage.estimateTokens(Chat.textOf(content)) }),
      latency: 0,
      keyId: "test",
      attempts: [{ provider: "test", model: "test", keyId: "test", duration: 0 }],
      providerMetadata: {},
      ...fields
    },
    content
  )
}

/**
 * Answers with more than a text, by the fields of {@link response}: tool calls, reasoning, a refusal, a usage, or the parts of
 * `content` in any order.
 *
 * @since 0.1.0
 * @category steps
 */
export const answer = (fields: Partial<ChatResponse>): Scripted => Scripted.Answer({ response: response(fields) })

/**
 * Fails with an error.
 *
 * @since 0.1.0
 * @category steps
 */
export const failure = (error: LLMError): Scripted => Scripted.Failure({ error })

/**
 * Streams these events, one per `every` (default: at once), and then ends or fails.
 *
 * `wordByWord` makes the events of an answer, with the indexes of its parts. A stream that breaks off after three of them:
 * `TestLLM.stream(TestLLM.wordByWord(TestLLM.response({ text: "one two three" })).slice(0, 3), { failure })`. In events by hand,
 * `index` counts the parts of the answer from 0: all deltas of one text have the same, the tool call after it has the next.
 *
 * @since 0.1.0
 * @category steps
 */
export const stream = (
  events: ReadonlyArray<ChatEvent>,
  options: { readonly every?: Duration.DurationInput; readonly failure?: LLMError } = {}
): Scripted =>
  Scripted.Events({
    events,
    every: Duration.decode(options.every ?? Duration.zero),
    failure: Option.fromNullable(options.failure)
  })

/**
 * Delays a step.
 *
 * @since 0.1.0
 * @category steps
 */
export const delayed = (delay: Duration.DurationInput, step: Step): Scripted =>
  Scripted.Delayed({ delay: Duration.decode(delay), step })

/**
 * Never ends.
 *
 * @since 0.1.0
 * @category steps
 */
export const never: Scripted = Scripted.Never()

const words = (text: string): ReadonlyArray<string> => text.match(/\s*\S+\s*/g) ?? [text]

/** Splits a text into words. What belongs to all of it, such as a signature, comes with the last one. */
const byWord = (text: string, make: (word: string, isLast: boolean) => ChatEvent): ReadonlyArray<ChatEvent> =>
  words(text).map((word, index, { length }) => make(word, index === length - 1))

/**
 * The events of an answer, part after part, with its reasoning, texts, refusal and tool-call arguments split into words.
 *
 * @since 0.1.0
 * @category constructors
 */
export const wordByWord = (whole: ChatResponse): ReadonlyArray<ChatEvent> =>
  Events.fromResponse(whole).flatMap((event): ReadonlyArray<ChatEvent> => {
    switch (event._tag) {
      case "TextDelta":
      case "RefusalDelta": {
        const { native: _, ...piece } = event
        return byWord(event.text, (text, isLast) => ({ ...(isLast ? event : piece), text }))
      }
      case "ReasoningDelta": {
        const { native: _, signature: __, ...piece } = event
        return byWord(event.text, (text, isLast) => ({ ...(isLast ? event : piece), text }))
      }
      case "ToolCallDelta":
        return words(event.argumentsDelta).map((argumentsDelta) => ({ ...event, argumentsDelta }))
      default:
        return [event]
    }
  })

const toStream = (step: Step): Stream.Stream<ChatEvent, LLMError> => {
  if (typeof step === "string") return toStream(answer({ text: step }))
  switch (step._tag) {
    case "Answer":
      return Stream.rechunk(Stream.fromIterable(wordByWord(step.response)), 1)
    case "Failure":
      return Stream.fail(step.error)
    case "Events": {
      const events = Stream.rechunk(Stream.fromIterable(step.events), 1)
      const timed = Duration.equals(step.every, Duration.zero)
        ? events
        : Stream.mapEffect(events, (event) => Effect.delay(Effect.succeed(event), step.every))
      return Option.match(step.failure, {
        onNone: () => timed,
        onSome: (error) => Stream.concat(timed, Stream.fail(error))
      })
    }
    case "Delayed":
      return Stream.unwrap(Effect.delay(Effect.succeed(toStream(step.step)), step.delay))
    case "Never":
      return Stream.never
  }
}

const toAnswer = (step: Step): Effect.Effect<ChatResponse, LLMError> => {
  if (typeof step === "string") return Effect.succeed(response({ text: step }))
  switch (step._tag) {
    case "Answer":
      return Effect.succeed(step.response)
    case "Delayed":
      return Effect.delay(toAnswer(step.step), step.delay)
    default:
      return Events.collect(toStream(step))
  }
}

/**
 * The recorded calls of a scripted `LLM`.
 *
 * @since 0.1.0
 * @category tags
 */
export class TestLLM extends Context.Tag("effect-llm/testing/TestLLM")<
  TestLLM,
  { readonly calls: Effect.Effect<ReadonlyArray<Call>> }
>() {}

/**
 * Every call made so far, in order. Invalid requests are rejected before they are recorded.
 *
 * @since 0.1.0
 * @category accessors
 */
export const calls: Effect.Effect<ReadonlyArray<Call>, never, TestLLM> = Effect.flatMap(TestLLM, ({ calls }) => calls)

const defaultInfo: ModelInfo = { provider: "test", model: "test", wire: "test", contextWindow: 200_000 }

/**
 * Makes the service and its record from a function that returns the step of each call.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeHandler = (
  handler: (call: Call, index: number) => Step,
  { embedding = letterCounts, info }: Pick<Options, "info" | "embedding"> = {}
): Effect.Effect<{ readonly llm: Service; readonly calls: Effect.Effect<ReadonlyArray<Call>> }> =>
  Effect.map(Ref.make(Chunk.empty<Call>()), (record) => {
    const next = (input: ChatRequest.Input, stream: boolean): Effect.Effect<Step, LLMError> =>
      Effect.flatMap(fromEither(normalize(input)), (request) => {
        const call: Call = { request, stream }
        return Ref.modify(record, (before) => [handler(call, before.length), Chunk.append(before, call)])
      })
    const llm: Service = {
      chat: (input) => Effect.flatMap(next(input, false), toAnswer),
      chatStream: (input) => Stream.unwrap(Effect.map(next(input, true), toStream)),
      embed: (input) =>
        Effect.map(fromEither(normalizeEmbedding(input)), (request) => ({
          provider: "test",
          model: "test",
          embeddings: request.input.map((one) => embedding(typeof one === "string" ? one : one.join(" "))),
          usage: Usage.make({ inputTokens: Usage.estimateAll(request.input) }),
          latency: 0,
          attempts: [{ provider: "test", model: "test", keyId: "test", duration: 0 }]
        })),
      listModels: Effect.succeed([{ id: "test", details: {} }]),
      info: { ...defaultInfo, ...info },
      status: Effect.succeed({
        keys: { provider: "test", keys: [], waiting: 0 },
        limiter: { available: Infinity, capacity: Infinity, refillRate: Infinity, waiting: 0 }
      }),
      resetRateLimit: Effect.void
    }
    return { llm, calls: Effect.map(Ref.get(record), Chunk.toReadonlyArray) }
  })

const scriptEnded = (length: number): Scripted =>
  failure(
    new InvalidRequestError({
      provider: "test",
      model: "test",
      attempts: [],
      message: `The script of this TestLLM has ${length} step(s), and this call needs one more. Add a step, or set { loop: true }.`
    })
  )

/**
 * Makes the service and its record from a script.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (script: ReadonlyArray<Step>, options: Options = {}) =>
  makeHandler(
    (_, index) => script[options.loop === true ? index % script.length : index] ?? scriptEnded(script.length),
    options
  )

const provide = (made: ReturnType<typeof makeHandler>): Layer.Layer<LLM | TestLLM> =>
  Layer.effectContext(
    Effect.map(made, ({ calls, llm }) => Context.make(LLM, llm).pipe(Context.add(TestLLM, { calls })))
  )

/**
 * An `LLM` that follows a script.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM } from "effect-llm"
 * import { TestLLM } from "effect-llm/testing"
 *
 * const program = LLM.chat("What is the capital of France?").pipe(Effect.provide(TestLLM.layer(["Paris."])))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (script: ReadonlyArray<Step>, options: Options = {}): Layer.Layer<LLM | TestLLM> =>
  provide(make(script, options))

/**
 * An `LLM` whose calls follow the steps that a function returns; `index` counts from 0.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerHandler = (
  handler: (call: Call, index: number) => Step,
  options: Pick<Options, "info" | "embedding"> = {}
): Layer.Layer<LLM | TestLLM> => provide(makeHandler(handler, options))

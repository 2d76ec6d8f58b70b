/** Runs the scenarios with one provider: the requests as the server decoded them, and the answers, whole and streamed. */
import type { HttpClient } from "@effect/platform"
import type { Scope } from "effect"
import { Chunk, Effect, Either, Stream } from "effect"
import type { ChatRequest, ChatResponse, Message, ToolCall } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../src/vocabulary/ChatEvent.js"
import * as Events from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import type { LLMError, StreamInterruptedError } from "../../src/vocabulary/LLMError.js"
import type { Service } from "../../src/call/ProviderClient.js"
import { ProviderClient } from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Programs from "../support/programs.js"
import { SimulatedProvider, TestLLM } from "../../src/testing/index.js"
import type * as Usage from "../../src/vocabulary/Usage.js"
import type { Provider } from "./providers.js"
import { anonymousCalls, dialectOf, missing, uncounted } from "./providers.js"
import type { Scenario } from "./scenarios.js"
import { answerTo, Person, personQuestion, scenarios } from "./scenarios.js"
import { fromEither } from "../../src/internal/asEffect.js"

/** The result of a scenario. */
export interface Exchange {
  readonly whole: Either.Either<ChatResponse, LLMError>
  readonly streamed: Either.Either<ChatResponse, LLMError | StreamInterruptedError>
  readonly events: ReadonlyArray<ChatEvent>
  /** Both requests as the server decoded them. */
  readonly understood: ReadonlyArray<ChatRequest>
}

/** The results of all scenarios with one provider, and of `LLM.generateObject`. */
export interface Exchanges {
  readonly client: Service
  readonly ofScenario: ReadonlyMap<string, Exchange>
  readonly value: Either.Either<unknown, LLMError>
  /** The mode in which the value was requested. */
  readonly way: "schema" | "tool" | "prompt" | undefined
}

const wayOf = (request: ChatRequest | undefined): Exchanges["way"] => {
  if (request === undefined) return undefined
  if (typeof request.responseFormat === "object") return "schema"
  return typeof request.toolChoice === "object" ? "tool" : "prompt"
}

/** All exchanges with a simulated provider, which listens on its own port until the scope closes. */
export const withProvider = (
  provider: Provider
): Effect.Effect<Exchanges, KeyPool.InvalidPoolError | LLM.InvalidLLMError, HttpClient.HttpClient | Scope.Scope> =>
  Effect.gen(function* () {
    const arrived: Array<ChatRequest> = []
    const server = yield* SimulatedProvider.make({
      keys: [{ key: "secret" }],
      chatCompletions: dialectOf(provider),
      answer: (request) => {
        arrived.push(request)
        return answerTo(request)
      }
    })
    const client = yield* provider.at(server.baseUrl)
    const llm = yield* LLM.make({ model: provider.model, retry: false, telemetry: false, timeouts: false }).pipe(
      Effect.provideService(ProviderClient, client),
      Effect.provideServiceEffect(
        KeyPool.KeyPool,
        KeyPool.make({ provider: provider.provider, keys: [{ key: "secret", id: "the-key" }] })
      ),
      Effect.provide(RateLimiter.layerUnlimited)
    )
    const ask = ({ name, request }: Scenario) =>
      Effect.gen(function* () {
        const before = arrived.length
        const whole = yield* Effect.either(llm.chat(request))
        const events = yield* Effect.either(Stream.runCollect(llm.chatStream(request)))
        const exchange: Exchange = {
          whole,
          streamed: yield* Effect.either(
            Effect.flatMap(fromEither(events), (all) => Events.collect(Stream.fromChunk(all)))
          ),
          events: Either.match(events, { onLeft: () => [], onRight: Chunk.toReadonlyArray }),
          understood: arrived.slice(before)
        }
        return [name, exchange] as const
      })
    const ofScenario = new Map(yield* Effect.forEach(scenarios, ask))
    const value = yield* Effect.either(Programs.generateObject(llm, personQuestion, { schema: Person }))
    return { client, ofScenario, value: Either.map(value, (result) => result.value), way: wayOf(arrived.at(-1)) }
  })

// -------------------------------------------------------------------------------------
// what must be equal
// -------------------------------------------------------------------------------------

/** The fields of a call that every protocol has. */
const callFields = ({ custom, id, name, arguments: args }: ToolCall) => ({ id, name, arguments: args, custom })

/** An answer without its id, latency and provider-specific fields. */
const answerFields = (response: ChatResponse) => ({
  provider: response.provider,
  model: response.model,
  keyId: response.keyId,
  attempts: response.attempts.map(({ error, keyId }) => ({ error, keyId })),
  order: response.content.map(({ type }) => type),
  text: response.text,
  reasoning: response.reasoning,
  refusal: response.refusal,
  toolCalls: response.toolCalls.map(callFields),
  finishReason: response.finishReason,
  usage: response.usage
})

const without = (usage: Usage.Usage, counts: ReadonlyArray<keyof Usage.Usage>): Usage.Usage => ({
  ...usage,
  ...Object.fromEntries(counts.map((count) => [count, 0]))
})

/** The expected answer of a scenario. */
const expected = (provider: Provider, { answer }: Scenario): ReturnType<typeof answerFields> => ({
  ...answerFields(TestLLM.response(answer)),
  provider: provider.provider,
  model: provider.model,
  keyId: "the-key",
  attempts: [{ error: undefined, keyId: "the-key" }],
  usage: without(answer.usage, uncounted(provider))
})

/** The fields that a whole and a streamed answer must share: everything except durations. */
const timeless = (response: ChatResponse) => ({
  ...response,
  latency: 0,
  attempts: response.attempts.map((attempt) => ({ ...attempt, duration: 0 }))
})

/** A summary of the events of a stream. */
const streamSummary = (events: ReadonlyArray<ChatEvent>) => {
  const joined = new Map<number, string>()
  for (const event of events) {
    if (event._tag === "ToolCallDelta") {
      joined.set(event.index, (joined.get(event.index) ?? "") + event.argumentsDelta)
    }
  }
  return {
    first: events[0]?._tag,
    last: events.at(-1)?._tag,
    ends: events.filter(({ _tag }) => _tag === "Start" || _tag === "Finish").length,
    calls: events.flatMap((event) =>
      event._tag === "ToolCallEnd" ? [[event.index, callFields(event.call)] as const] : []
    ),
    arguments: [...joined]
  }
}

/** The parts that are not words. Responses writes the detail that images have by default. */
const mediaOf = (content: Message["content"]): ReadonlyArray<unknown> =>
  typeof content === "string"
    ? []
    : content
        .filter(({ type }) => type !== "text" && type !== "reasoning" && type !== "tool-call")
        .map((part) => (part.type === "image" ? { ...part, detail: part.detail ?? "auto" } : part))

const messageOf =
  (idOf: (id: string) => string) =>
  (message: Message): object => ({
    role: message.role === "developer" ? "system" : message.role,
    text: Chat.textOf(message.content),
    media: mediaOf(message.content),
    ...(message.role === "assistant"
      ? { toolCalls: Chat.toolCallsOf(message.content).map((call) => ({ ...callFields(call), id: idOf(call.id) })) }
      : {}),
    ...(message.role === "tool" ? { toolCallId: idOf(message.toolCallId) } : {})
  })

/** The fields of a request that every protocol has. A `maxTokens` that the scenario does not set is a provider's default. */
const comparableRequest = (request: ChatRequest, provider: Provider, asked: Scenario["request"]): object => {
  const calls = request.messages.flatMap((message) =>
    message.role === "assistant" ? Chat.toolCallsOf(message.content) : []
  )
  const idOf = (id: string): string =>
    anonymousCalls(provider) ? `call ${calls.findIndex((call) => call.id === id)}` : id
  return {
    model: request.model,
    messages: request.messages.map(messageOf(idOf)),
    tools: (request.tools ?? []).map(({ description, name, parameters }) => ({ name, description, parameters })),
    schema: typeof request.responseFormat === "object" ? request.responseFormat.schema : request.responseFormat,
    thinks: request.reasoning !== undefined && request.reasoning.effort !== "none",
    temperature: request.temperature,
    maxTokens: asked.maxTokens === undefined ? undefined : request.maxTokens
  }
}

const errorSummary = (error: LLMError | StreamInterruptedError): object =>
  error._tag === "UnsupportedError" ? { unsupported: error.feature } : { error: error._tag, message: error.message }

/** The expected summary of a stream that succeeds. */
const wantedSummary = ({ answer }: Scenario): ReturnType<typeof streamSummary> => {
  const calls = TestLLM.response(answer).content.flatMap((part, index) =>
    part.type === "tool-call" ? [[index, callFields(part)] as const] : []
  )
  return {
    first: "Start",
    last: "Finish",
    ends: 2,
    calls,
    arguments: calls.map(([index, call]) => [index, call.arguments])
  }
}

/** The actual and the expected result of a scenario with a provider. */
export const compare = (
  provider: Provider,
  scenario: Scenario,
  { events, streamed, understood, whole }: Exchange
): { readonly found: object; readonly wanted: object } => {
  const feature = missing(provider, scenario.name)
  const found = {
    whole: Either.match(whole, { onLeft: errorSummary, onRight: answerFields }),
    streamed: Either.match(streamed, { onLeft: errorSummary, onRight: answerFields }),
    // All fields, including provider-specific ones.
    stream: Either.match(streamed, { onLeft: errorSummary, onRight: timeless }),
    summary: streamSummary(events),
    understood: understood.map((request) => comparableRequest(request, provider, scenario.request))
  }
  if (feature !== undefined) {
    const unsupported = { unsupported: feature }
    return {
      found,
      wanted: {
        whole: unsupported,
        streamed: unsupported,
        stream: unsupported,
        summary: streamSummary([]),
        understood: []
      }
    }
  }
  const answer = expected(provider, scenario)
  const asked = comparableRequest({ ...scenario.request, model: provider.model }, provider, scenario.request)
  return {
    found,
    wanted: {
      whole: answer,
      streamed: answer,
      stream: Either.match(whole, { onLeft: errorSummary, onRight: timeless }),
      summary: wantedSummary(scenario),
      understood: [asked, asked]
    }
  }
}

/** The callers of a chaos run: one `LLM` over all deployments with all middlewares, and the calls to it. */
import type { HttpClient } from "@effect/platform"
import type { Layer, Scope } from "effect"
import { Array as Arr, Cause, Chunk, Clock, Effect, Exit, Option, Stream } from "effect"
import { inspect } from "node:util"
import * as Balance from "../../src/routing/Balance.js"
import * as Budget from "../../src/accounting/Budget.js"
import type { ChatResponse } from "../../src/vocabulary/Chat.js"
import { textOf } from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as Errors from "../../src/vocabulary/LLMError.js"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as GeminiClient from "../../src/provider/GeminiClient.js"
import * as OllamaClient from "../../src/provider/OllamaClient.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import type * as ProviderClient from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { asObject } from "../../src/call/request.js"
import * as Retry from "../../src/call/Retry.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import type { Providers } from "./provider.js"
import type { Records } from "./records.js"
import type { CallerBehavior, Deployment, Plan } from "./scenario.js"
import {
  answerTo,
  behaviorOf,
  callOf,
  deadlineOf,
  deadlines,
  deployments,
  keysOf,
  question,
  secretMark,
  usageFor
} from "./scenario.js"

/** How much longer than its deadline a call can take on a busy machine, in milliseconds. */
export const margin = 10_000

/** The number of members of the `Fallback` that continues streams. */
export const memberCount = 3

type ClientLayer = (endpoint: {
  readonly provider: string
  readonly baseUrl: string
}) => Layer.Layer<ProviderClient.ProviderClient, never, HttpClient.HttpClient>

const clients: Readonly<Record<Deployment, ClientLayer>> = {
  "chat-completions": ChatCompletionsClient.layer,
  responses: ResponsesClient.layer,
  anthropic: AnthropicClient.layer,
  gemini: GeminiClient.layer,
  ollama: OllamaClient.layer
}

/** Different limits, so that some calls wait for a rate, for a permit or for a key. */
const limits: Readonly<Record<Deployment, RateLimiter.Options>> = {
  "chat-completions": { capacity: 500, refillRate: 5000, maxConcurrency: 48 },
  responses: { capacity: 100, refillRate: 3000 },
  anthropic: { capacity: 500, refillRate: 5000, adaptive: { minimum: 0.5, every: "50 millis" } },
  gemini: { capacity: 500, refillRate: 5000, tokensPerMinute: 1e9 },
  ollama: { capacity: 500, refillRate: 5000 }
}

const deploymentAt = (deployment: Deployment, baseUrl: string) =>
  LLM.make({
    model: "chaos",
    retry: { maxAttempts: 2, backoff: { base: "20 millis" } },
    timeouts: { response: "5 seconds", firstEvent: "5 seconds", idle: "5 seconds", total: "12 seconds" }
  }).pipe(
    Effect.provide(clients[deployment]({ provider: `chaos-${deployment}`, baseUrl })),
    Effect.provide(
      KeyPool.layer({
        provider: `chaos-${deployment}`,
        keys: keysOf(deployment).map(({ key }, index) => (index === 1 ? { key, maxConcurrency: 8 } : key)),
        cooldown: { base: "50 millis", max: "200 millis", quota: "500 millis", refused: "400 millis" }
      })
    ),
    Effect.provide(RateLimiter.layer(limits[deployment]))
  )

/** A ledger that also records attempts, by the call numbers in their labels. It drops the labels, with which it would grow. */
const withRecords = (ledger: UsageLedger.Service, records: Records): UsageLedger.Service => ({
  ...ledger,
  record: (attempt) =>
    Effect.zipRight(
      Effect.sync(() => records.attempt(attempt)),
      ledger.record({ ...attempt, label: "" })
    )
})

/** A member that records its stream requests. */
const recordingMember = (llm: LLM.Service, position: number, records: Records): LLM.Service => ({
  ...llm,
  chatStream: (request) => {
    const { messages } = asObject(request)
    const [first] = messages
    records.recordMember(first === undefined ? -1 : callOf(textOf(first.content)), position)
    return llm.chatStream(request)
  }
})

export interface Callers {
  /** Makes a call, and records how it ended. */
  readonly call: (call: number) => Effect.Effect<void>
  readonly balance: Balance.Service
  readonly llms: ReadonlyArray<LLM.Service>
  readonly budget: Budget.Service
  readonly ledger: UsageLedger.Service
}

/** The text, stack and JSON of an error. */
const publicText = (error: LLMError): string => `${String(error)} ${error.stack ?? ""} ${JSON.stringify(error)}`

/** The error with its hidden properties; slow. */
const inspectedText = (error: LLMError): string => inspect(error, { depth: 8, showHidden: true })

export const make = (
  plan: Plan,
  providers: Providers,
  records: Records
): Effect.Effect<Callers, never, HttpClient.HttpClient | Scope.Scope> =>
  Effect.gen(function* () {
    const llms = yield* Effect.forEach(deployments, (deployment) =>
      deploymentAt(deployment, providers.baseUrl(deployment))
    )
    const balance = yield* Balance.make(
      llms.map((llm, index) => ({ llm, weight: 1 + (index % 2) })),
      {
        breaker: { failures: 5, window: "1 second", cooldown: { base: "60 millis", max: "300 millis" } },
        cooldown: { base: "40 millis", max: "200 millis" },
        // Longer than a probe that gets no response.
        maxWait: "14 seconds",
        failoverAfter: "300 millis"
      }
    )
    const ledger = yield* UsageLedger.make()
    const budget = yield* Budget.make([
      { name: "tokens", limit: { tokens: 1e9 } },
      { name: "of the hour", limit: { tokens: 1e9 }, period: { rolling: "1 hour" } }
    ])
    const [first, ...others] = Arr.makeBy(memberCount, (position) => recordingMember(balance, position, records))
    const continuedBalance = yield* Fallback.make(others, { continueStreams: true })(first)
    const withMiddleware = (llm: LLM.Service, total: number): Effect.Effect<LLM.Service> =>
      Retry.middleware({ maxAttempts: 5, backoff: { base: "60 millis" } })(llm).pipe(
        Effect.flatMap(Timeouts.middleware({ total })),
        Effect.flatMap(UsageLedger.middleware()),
        Effect.flatMap(budget.middleware),
        Effect.provideService(UsageLedger.UsageLedger, withRecords(ledger, records))
      )
    const withDeadline = (total: number) =>
      Effect.all({
        whole: withMiddleware(balance, total),
        stream: withMiddleware(balance, total),
        continued: withMiddleware(continuedBalance, total)
      })
    const longDeadline = yield* withDeadline(deadlines.long)
    const shortDeadline = yield* withDeadline(deadlines.short)

    let failures = 0
    const checkError = (call: number, error: LLMError): void => {
      failures++
      if (
        publicText(error).includes(secretMark) ||
        (failures % 50 === 1 && inspectedText(error).includes(secretMark))
      ) {
        records.reportFault(`call ${call}: its ${error._tag} contains a secret`)
      }
      if (error.provider === "" || error.model === "" || error.message === "") {
        records.reportFault(`call ${call}: its ${error._tag} lacks a provider, model or message`)
      }
    }

    const check = (call: number, { attempts, provider, text, usage }: ChatResponse, isContinued: boolean): void => {
      const reportFault = (what: string) => records.reportFault(`call ${call}: ${what}`)
      if (text !== answerTo(call)) reportFault(`"${text}" is not "${answerTo(call)}"`)
      if (!provider.startsWith("chaos-")) reportFault(`an answer of "${provider}"`)
      if (attempts.length === 0 || attempts.at(-1)?.error !== undefined)
        reportFault("its attempts do not end with a success")
      const { inputTokens, outputTokens } = usageFor(call)
      if (!isContinued && (usage.inputTokens !== inputTokens || usage.outputTokens !== outputTokens)) {
        reportFault(`${usage.inputTokens} and ${usage.outputTokens} tokens`)
      }
    }

    const checkStream = (call: number, events: Chunk.Chunk<ChatEvent.ChatEvent>): Effect.Effect<void, LLMError> => {
      const all = Chunk.toReadonlyArray(events)
      const finishes = all.filter((event) => event._tag === "Finish").length
      if (all[0]?._tag !== "Start" || all.at(-1)?._tag !== "Finish" || finishes !== 1) {
        records.reportFault(`call ${call}: its stream is ${all.map((event) => event._tag).join(" ")}`)
      }
      const isContinued = all.some((event) => event._tag === "Continued")
      return Effect.map(ChatEvent.collect(Stream.fromChunk(events)), (response) => check(call, response, isContinued))
    }

    const makeCall = (
      call: number,
      { mode, pattern, millis }: CallerBehavior
    ): Effect.Effect<"answered" | "left", LLMError> => {
      const llm = (deadlineOf(plan, call) === deadlines.short ? shortDeadline : longDeadline)[mode]
      if (mode === "whole") {
        return Effect.as(
          Effect.map(llm.chat(question(call)), (response) => check(call, response, false)),
          "answered" as const
        )
      }
      const stream = llm.chatStream(question(call))
      if (pattern === "first") return Effect.as(Stream.runDrain(Stream.take(stream, 1)), "left" as const)
      const consumed = pattern === "slow" ? Stream.tap(stream, () => Effect.sleep(millis)) : stream
      return Effect.as(
        Effect.flatMap(Stream.runCollect(consumed), (events) => checkStream(call, events)),
        "answered" as const
      )
    }

    const reasonOf = ({ attempts, message }: LLMError): string =>
      `${message} [${attempts.map(({ duration, error, provider }) => `${provider} ${error} ${duration} ms`).join(", ")}]`

    const begun = (error: LLMError): boolean =>
      error._tag === "StreamInterruptedError" ? error.begun : "partial" in error && error.partial !== undefined

    const call = (call: number): Effect.Effect<void> => {
      const behavior = behaviorOf(plan, call)
      const labelledCall = UsageLedger.label(makeCall(call, behavior), `${call}`)
      const interruptedCall = Effect.map(
        Effect.timeoutOption(labelledCall, behavior.millis),
        Option.getOrElse(() => "left" as const)
      )
      return Effect.gen(function* () {
        const startedAt = yield* Clock.currentTimeMillis
        const exit = yield* Effect.exit(behavior.pattern === "leaves" ? interruptedCall : labelledCall)
        const duration = (yield* Clock.currentTimeMillis) - startedAt
        if (Exit.isSuccess(exit)) return records.end(call, { outcome: exit.value, duration, begun: false })
        const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
        if (error === undefined || !Errors.isLLMError(error)) {
          records.reportFault(`call ${call}: ${Cause.pretty(exit.cause).slice(0, 500)}`)
          return records.end(call, { outcome: "defect", duration, begun: false })
        }
        checkError(call, error)
        const record = { outcome: error._tag, duration, begun: begun(error) }
        // No reason is needed for a failure in an outage, or for a broken stream without a fallback.
        const needsReason =
          (!record.begun || behavior.mode === "continued") && deadlineOf(plan, call) === deadlines.long
        return records.end(call, needsReason ? { ...record, reason: reasonOf(error) } : record)
      })
    }
    return { call, balance, llms, budget, ledger }
  }).pipe(Effect.orDie)

/** The usage of all attempts, added up like in the ledger. */
export const consumed = (attempts: ReadonlyArray<{ readonly inputTokens: number; readonly outputTokens: number }>) =>
  Usage.make({
    inputTokens: attempts.reduce((sum, attempt) => sum + attempt.inputTokens, 0),
    outputTokens: attempts.reduce((sum, attempt) => sum + attempt.outputTokens, 0)
  })

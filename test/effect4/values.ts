/** Values of every kind that the formats store: from fast-check alone with a fixed seed, and so the same in both builds. */
import { Cause, Duration, Exit } from "effect"
import * as FastCheck from "fast-check"
import * as Chat from "../../src/vocabulary/Chat.js"
import type { ChatRequest, ChatResponse, Message, PartialResponse } from "../../src/vocabulary/Chat.js"
import * as LLMError from "../../src/vocabulary/LLMError.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { requestsTo } from "../wire/expressible.js"

/** Requests of all kinds, and one with texts that encodings can break. */
export const requests: ReadonlyArray<ChatRequest> = [
  ...FastCheck.sample(requestsTo(["large", "model with spaces/ä"]), { numRuns: 120, seed: 4 }).map(
    // Without the symbols that fast-check puts on what it can clone.
    (generated): ChatRequest => JSON.parse(JSON.stringify(generated))
  ),
  {
    messages: [Chat.system("Ünïcödé 😀 \u2028\u2029\u0000\u007f\ufeff"), Chat.user('\\ " \' \n\r\t {"a":1} \ud800')],
    temperature: 1e-7,
    maxTokens: Number.MAX_SAFE_INTEGER,
    extra: { large: 1e300, small: 5e-324, negative: -1, list: [null, [], {}], "": { "a.b": true } }
  }
]

const assistantParts = requests.flatMap(({ messages }) =>
  messages.flatMap((message: Message) =>
    message.role === "assistant"
      ? [typeof message.content === "string" ? [Chat.text(message.content)] : message.content]
      : []
  )
)

const usages: ReadonlyArray<Usage.Usage> = [
  Usage.empty,
  Usage.make({ inputTokens: 3, outputTokens: 4, estimated: true }),
  Usage.make({
    inputTokens: Number.MAX_SAFE_INTEGER,
    outputTokens: 2,
    cachedInputTokens: 1,
    cacheWriteTokens: 2,
    cacheWrite1hTokens: 1,
    reasoningTokens: 1,
    inputAudioTokens: 5,
    outputAudioTokens: 0
  })
]

export const attempts: ChatResponse["attempts"] = [
  { provider: "test", model: "large", keyId: "key-1", error: "RateLimitError", status: 429, duration: 0.1 },
  { provider: "test", model: "large", keyId: "", duration: 1e9 }
]

const finishReasons: ReadonlyArray<ChatResponse["finishReason"]> = [
  "stop",
  "length",
  "tool-calls",
  "content-filter",
  "pause",
  "other"
]

const metadata: ReadonlyArray<ChatResponse["providerMetadata"]> = [
  {},
  {
    openai: { system_fingerprint: null, logprobs: [{ token: "é", logprob: -1e-9 }] },
    anthropic: { nested: { a: [1, "2", false] } }
  }
]

const at = <A>(list: ReadonlyArray<A>, index: number): A => {
  const value = list[index % list.length]
  if (value === undefined) throw new Error("The list is empty.")
  return value
}

export const responses: ReadonlyArray<ChatResponse> = assistantParts.map((parts, index) =>
  Chat.withContent(
    {
      id: `answer-${index}`,
      provider: "test",
      model: "large",
      finishReason: at(finishReasons, index),
      rawFinishReason: index % 2 === 0 ? "" : "end_turn",
      usage: at(usages, index),
      latency: index + 0.25,
      keyId: "key-1",
      attempts: index % 3 === 0 ? [] : attempts,
      providerMetadata: at(metadata, index),
      ...(index % 4 === 0
        ? {
            cost: {
              input: 1e-12,
              cachedInput: 0,
              cacheWrite: 0,
              output: 0.1 + 0.2,
              reasoning: 0,
              request: 0,
              total: 123_456_789.123_456
            }
          }
        : {})
    },
    parts
  )
)

const partials: ReadonlyArray<PartialResponse> = assistantParts
  .slice(0, 8)
  .map((parts, index) =>
    Chat.withContent(
      { id: `cut-${index}`, model: "large", usage: at(usages, index), providerMetadata: at(metadata, index) },
      parts
    )
  )

const least = { provider: "", model: "", message: "", attempts: [] }

const most = {
  provider: "test",
  model: "large",
  keyId: "key-1",
  status: 529,
  requestId: "req_1",
  code: "insufficient_quota",
  message: 'Größe: 5 € "quoted"\n😀',
  attempts
}

const partial = at(partials, 0)
const otherPartial = at(partials, 1)

/** Every class, with the fewest fields and with all of them. */
export const errors: ReadonlyArray<LLMError.LLMError> = [
  new LLMError.RateLimitError({ ...least, source: "limiter" }),
  new LLMError.RateLimitError({ ...most, source: "provider", retryAfter: Duration.millis(1.5), shouldRetry: false }),
  new LLMError.QuotaExceededError(least),
  new LLMError.QuotaExceededError({ ...most, retryAfter: Duration.days(365), modelOnly: true }),
  new LLMError.AuthenticationError(least),
  new LLMError.AuthenticationError(most),
  new LLMError.PermissionError(least),
  new LLMError.PermissionError(most),
  new LLMError.ModelNotFoundError(least),
  new LLMError.ModelNotFoundError(most),
  new LLMError.ContextLengthError(least),
  new LLMError.ContextLengthError(most),
  new LLMError.ContentFilterError(least),
  new LLMError.ContentFilterError(most),
  new LLMError.InvalidRequestError(least),
  new LLMError.InvalidRequestError({ ...most, field: "messages[0].role", isFieldOmitted: true }),
  new LLMError.ProviderUnavailableError(least),
  new LLMError.ProviderUnavailableError({ ...most, retryAfter: Duration.zero, shouldRetry: true }),
  new LLMError.NetworkError(least),
  new LLMError.NetworkError(most),
  new LLMError.TimeoutError({ ...least, phase: "connect" }),
  new LLMError.TimeoutError({ ...most, phase: "idle", partial }),
  new LLMError.MalformedResponseError({ ...least, path: "", excerpt: "" }),
  new LLMError.MalformedResponseError({ ...most, path: "a[0].b", excerpt: "<html>", maxBytes: 2 ** 40, partial }),
  new LLMError.StreamInterruptedError({ ...least, begun: false, partial }),
  new LLMError.StreamInterruptedError({ ...most, begun: true, partial: otherPartial, reported: "RateLimitError" }),
  new LLMError.UnsupportedError({ ...least, feature: "" }),
  new LLMError.UnsupportedError({ ...most, feature: "audio" }),
  new LLMError.KeyPoolExhaustedError(least),
  new LLMError.KeyPoolExhaustedError({ ...most, retryAfter: Duration.seconds(20) }),
  new LLMError.BalanceExhaustedError({ ...least, answers: [], retryable: false }),
  new LLMError.BalanceExhaustedError({
    ...most,
    answers: [
      { deployment: "a", error: "NetworkError", message: "reset" },
      { deployment: "b/{x}", message: "open" }
    ],
    retryAfter: Duration.nanos(1_500_000n),
    retryable: true
  }),
  new LLMError.BudgetExceededError(least),
  new LLMError.BudgetExceededError({
    ...most,
    reason: "spent",
    budget: "all",
    unit: "dollars",
    limit: 0.1,
    spent: 1e-12,
    reserved: 2 ** 60,
    retryAfter: Duration.hours(1)
  }),
  new LLMError.SharedStateError({ ...least, reason: "timeout" }),
  new LLMError.SharedStateError({ ...most, reason: "script", retryAfter: Duration.millis(Number.MAX_SAFE_INTEGER) })
]

/** Exits that are no plain success or failure. */
export const causes: ReadonlyArray<Exit.Exit<ChatResponse, LLMError.LLMError>> = [
  Exit.failCause(Cause.empty),
  Exit.die(new Error("Größe")),
  Exit.die(new TypeError("x is not a function")),
  Exit.die("a text"),
  Exit.failCause(Cause.parallel(Cause.fail(at(errors, 1)), Cause.fail(at(errors, 3)))),
  Exit.failCause(Cause.sequential(Cause.fail(at(errors, 1)), Cause.die(new Error("a finalizer")))),
  Exit.failCause(
    Cause.sequential(
      Cause.parallel(Cause.die("one"), Cause.fail(at(errors, 5))),
      Cause.parallel(Cause.die("two"), Cause.die("3"))
    )
  )
]

const named = (name: string, message: string): Error => Object.assign(new Error(message), { name })

/** Defects, and what is found of them in a journal: an error without its cause and fields, or a text. */
export const defects: ReadonlyArray<readonly [defect: unknown, found: unknown]> = [
  [{ code: 5, list: [1, 2] }, '{"code":5,"list":[1,2]}'],
  [undefined, undefined],
  [null, "null"],
  [17, "17"],
  [[1, "two"], '[1,"two"]'],
  [new Date(0), String(new Date(0))],
  [new Error("outer", { cause: new RangeError("inner", { cause: { code: 5 } }) }), new Error("outer")],
  [at(errors, 1), named("RateLimitError", at(errors, 1).message)],
  [Object.assign(named("Custom", ""), { code: "E1" }), named("Custom", "")],
  [{ message: "no Error", name: "Thing" }, '{"message":"no Error","name":"Thing"}']
]

export const vectors: ReadonlyArray<readonly [text: string, vector: ReadonlyArray<number>]> = [
  ["half", [0.5, -0.25, 0]],
  ["tenth", [0.1, 1e-300, -1e300, Number.MIN_VALUE, -0]],
  ["é 😀", [1 / 3]],
  ["", []],
  ["long", Array.from({ length: 1536 }, (_, index) => Math.fround(Math.sin(index)))]
]

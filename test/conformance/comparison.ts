/** Compares decoded answers and errors with their expectations. Returns a list of differences. */
import { Duration } from "effect"
import type { AssistantPart, ChatResponse, FinishReason, PartialResponse, ToolCall } from "../../src/vocabulary/Chat.js"
import type { EmbeddingResponse } from "../../src/vocabulary/Embedding.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import { Option } from "effect"
import type { Exchange, Expectation } from "./exchanges.js"
import { recordedSignatures, signaturesOf } from "./signatures.js"

const classes: Readonly<Record<string, LLMErrors.ErrorTag>> = {
  authentication: "AuthenticationError",
  permission: "PermissionError",
  model_not_found: "ModelNotFoundError",
  not_found: "InvalidRequestError",
  invalid_request: "InvalidRequestError",
  rate_limit: "RateLimitError",
  quota_exhausted: "QuotaExceededError",
  context_length: "ContextLengthError",
  content_filter: "ContentFilterError",
  overloaded: "ProviderUnavailableError",
  server_error: "ProviderUnavailableError"
}

const differs = (what: string, found: unknown, wanted: unknown): ReadonlyArray<string> =>
  JSON.stringify(found) === JSON.stringify(wanted)
    ? []
    : [`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`]

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const compareCalls = (
  found: ReadonlyArray<ToolCall>,
  wanted: NonNullable<Expectation["tool_calls"]>
): ReadonlyArray<string> => [
  ...differs("number of tool calls", found.length, wanted.length),
  ...wanted.flatMap((call, index) => {
    const ours = found[index]
    if (ours === undefined) return []
    const args =
      call.type === "custom"
        ? differs(`input of call ${index}`, ours.arguments, call.input)
        : call.arguments_invalid_json === true
          ? differs(`arguments of call ${index}`, ours.arguments, call.arguments_raw)
          : differs(`arguments of call ${index}`, parsed(ours.arguments), call.arguments)
    return [
      ...differs(`name of call ${index}`, ours.name, call.name),
      ...(call.id ? differs(`id of call ${index}`, ours.id, call.id) : []),
      ...args
    ]
  })
]

/** Compares the fields that whole and partial answers share. */
const compareContent = (found: PartialResponse, wanted: Expectation): ReadonlyArray<string> => [
  ...differs("text", found.text, wanted.text ?? ""),
  ...differs("reasoning", found.reasoning, wanted.reasoning ?? ""),
  ...compareCalls(found.toolCalls, wanted.tool_calls ?? [])
]

const finishReasons: Readonly<Record<FinishReason, ReadonlyArray<string>>> = {
  stop: ["stop", "end_turn", "stop_sequence", "STOP", "completed", "eos"],
  length: ["length", "max_tokens", "MAX_TOKENS", "max_output_tokens"],
  "content-filter": ["content_filter", "refusal", "SAFETY"],
  "tool-calls": ["tool_use", "tool_calls", "function_call"],
  pause: ["pause_turn"],
  other: []
}

/** The finish reason of the vocabulary. An answer with tool calls has that of tool calls, unless it was cut off. */
const compareFinishReason = (found: ChatResponse, wanted: Expectation): ReadonlyArray<string> => {
  const raw = wanted.incomplete_reason ?? wanted.finish_reason ?? ""
  const [reason = "other"] = Object.entries(finishReasons).find(([, names]) => names.includes(raw)) ?? []
  const hasCalls = (wanted.tool_calls ?? []).length > 0
  return [
    ...differs("raw finish reason", found.rawFinishReason, raw),
    ...differs(
      "finish reason",
      found.finishReason,
      hasCalls && (reason === "stop" || raw === "") ? "tool-calls" : reason
    )
  ]
}

/** The type of a part that only one protocol has: `type` of a block or an item, or the field of Gemini that has the data. */
const providerPartType = (part: AssistantPart): ReadonlyArray<string> => {
  if (part.type !== "provider")
    return part.type === "reasoning" && part.format === "redacted_thinking" ? [part.format] : []
  const [fields = {}] = Object.values(part.native)
  const { item = fields } = fields
  if (typeof item !== "object" || item === null) return []
  return "type" in item && typeof item.type === "string"
    ? [item.type]
    : Object.keys(item).filter((name) => /^(?:executableCode|codeExecutionResult|toolCall|toolResponse)$/.test(name))
}

const compareProviderParts = (found: ChatResponse, wanted: Expectation): ReadonlyArray<string> =>
  differs(
    "parts of the provider",
    found.content.flatMap(providerPartType),
    wanted.other_blocks ?? wanted.other_items ?? wanted.other_parts ?? []
  )

/** The content has every signature of the recording, and no other. */
const compareSignatures = (found: ChatResponse, exchange: Exchange): ReadonlyArray<string> =>
  differs("signatures", signaturesOf(found.content), recordedSignatures(exchange))

export const compareAnswer = (found: ChatResponse, exchange: Exchange): ReadonlyArray<string> => {
  const wanted = exchange.expected
  const usage = wanted.usage
  return [
    ...compareContent(found, wanted),
    ...differs("refusal", found.refusal, wanted.refusal ?? ""),
    ...compareFinishReason(found, wanted),
    ...compareProviderParts(found, wanted),
    ...compareSignatures(found, exchange),
    ...(wanted.id_unstable === true ? [] : differs("id", found.id, wanted.id ?? "")),
    ...(wanted.model ? differs("model", found.model, wanted.model) : []),
    ...(usage === null || usage === undefined
      ? differs("estimated", found.usage.estimated, true)
      : [
          ...differs("estimated", found.usage.estimated, false),
          ...differs("input", found.usage.inputTokens, usage.input_total ?? usage.input ?? 0),
          ...differs("output", found.usage.outputTokens, usage.output_total ?? usage.output ?? 0),
          ...differs("cached", found.usage.cachedInputTokens, usage.cached_input ?? 0),
          ...differs("cache write", found.usage.cacheWriteTokens, usage.cache_write ?? 0),
          ...differs("thinking", found.usage.reasoningTokens, usage.reasoning ?? 0),
          ...(usage.total === null || usage.total === undefined
            ? []
            : differs("total", found.usage.totalTokens, usage.total))
        ])
  ]
}

const rounded = (values: ReadonlyArray<number> | undefined) => values?.map((value) => Number(value.toFixed(7)))

export const compareEmbeddings = (found: EmbeddingResponse, wanted: Expectation): ReadonlyArray<string> => [
  ...differs("count", found.embeddings.length, wanted.count),
  ...found.embeddings.flatMap((vector, index) => differs(`dimensions of ${index}`, vector.length, wanted.dimensions)),
  ...differs("first", rounded(found.embeddings[0]?.slice(0, 4)), wanted.first),
  ...differs("last", rounded(found.embeddings[found.embeddings.length - 1]?.slice(-4)), wanted.last),
  ...(wanted.model ? differs("model", found.model, wanted.model) : []),
  // Not compared without an expectation: Gemini's `usageMetadata` is read, but not in the expectations.
  ...(wanted.usage === null || wanted.usage === undefined
    ? []
    : differs("input", found.usage.inputTokens, wanted.usage.input))
]

/** Compares the partial answer. An error before the first event fails the call and has none. */
const comparePartial = (found: LLMError, wanted: Expectation): ReadonlyArray<string> =>
  found._tag === "StreamInterruptedError"
    ? compareContent(found.partial, wanted)
    : differs("what had arrived", "", `${wanted.text ?? ""}${wanted.reasoning ?? ""}`)

/** A code that only repeats the HTTP status. */
const isStatus = (code: string | number): boolean => /^[45]\d\d$/.test(String(code))

/** The code of an error is the provider's code; without an informative one, its type. */
const compareCode = (
  found: LLMError,
  { provider_code: code, provider_type: type }: Expectation
): ReadonlyArray<string> => {
  const informative = [code, type].find((name) => name !== null && name !== undefined && !isStatus(name)) ?? code
  return differs(
    "code",
    found.code ?? null,
    informative === null || informative === undefined ? null : String(informative)
  )
}

/** Whether a recording tells when a limit is reset, by a time that has passed since: the wait is then zero. */
const tellsReset = ({ body, headers }: Exchange): boolean =>
  Object.keys(headers).some((name) => /reset/i.test(name)) || /reset|重置/i.test(new TextDecoder().decode(body))

export const compareError = (
  found: LLMError,
  exchange: Exchange,
  wanted = exchange.expected
): ReadonlyArray<string> => {
  const allowed = [wanted.error_class ?? "", ...(wanted.error_class_acceptable ?? [])].map((name) => classes[name])
  const tag = found._tag === "StreamInterruptedError" ? found.reported : found._tag
  const wait = Option.map(LLMErrors.retryAfter(found), Duration.toSeconds)
  const waits = [
    wanted.retry_after,
    ...(wanted.retry_after_alternatives ?? []),
    ...(tellsReset(exchange) ? [0] : []),
    // Told only in words: reading it is optional.
    ...(wanted.retry_after_in_message === undefined ? [] : [wanted.retry_after_in_message, null])
  ]
  return [
    ...(allowed.some((name) => name === tag) ? [] : [`class: ${tag} instead of ${allowed.join(" or ")}`]),
    ...(wanted.message === null || wanted.message === undefined || found.message.includes(wanted.message.slice(0, 80))
      ? []
      : [`message: ${found.message} instead of ${wanted.message}`]),
    ...(waits.some((seconds) => Option.getOrNull(wait) === (seconds ?? null))
      ? []
      : [`retry after: ${Option.getOrNull(wait)} instead of ${waits.join(" or ")}`]),
    ...(wanted.status === undefined ? [] : differs("status", found.status, wanted.status)),
    ...(wanted.provider_code === undefined ? [] : compareCode(found, wanted)),
    ...(wanted.partial === undefined ? [] : comparePartial(found, wanted.partial))
  ]
}

/** Compares decoded answers and errors with their expectations. Returns a list of differences. */
import { Duration } from "effect"
import type { ChatResponse, PartialResponse, ToolCall } from "../../src/vocabulary/Chat.js"
import type { EmbeddingResponse } from "../../src/vocabulary/Embedding.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import { Option } from "effect"
import type { Expectation } from "./exchanges.js"

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
  ...differs("reasoning", found.reasoning, wanted.reasoning ?? "")
]

export const compareAnswer = (found: ChatResponse, wanted: Expectation): ReadonlyArray<string> => {
  const usage = wanted.usage
  return [
    ...compareContent(found, wanted),
    ...differs("refusal", found.refusal, wanted.refusal ?? ""),
    ...compareCalls(found.toolCalls, wanted.tool_calls ?? []),
    ...differs("finish reason", found.rawFinishReason, wanted.incomplete_reason ?? wanted.finish_reason ?? ""),
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

export const compareError = (found: LLMError, wanted: Expectation): ReadonlyArray<string> => {
  const allowed = [wanted.error_class ?? "", ...(wanted.error_class_acceptable ?? [])].map((name) => classes[name])
  const tag = found._tag === "StreamInterruptedError" ? found.reported : found._tag
  const wait = Option.map(LLMErrors.retryAfter(found), Duration.toSeconds)
  const waits =
    wanted.retry_after === null || wanted.retry_after === undefined
      ? []
      : [wanted.retry_after, ...(wanted.retry_after_alternatives ?? [])]
  return [
    ...(allowed.some((name) => name === tag) ? [] : [`class: ${tag} instead of ${allowed.join(" or ")}`]),
    ...(wanted.message === null || wanted.message === undefined || found.message.includes(wanted.message.slice(0, 80))
      ? []
      : [`message: ${found.message} instead of ${wanted.message}`]),
    ...(waits.length === 0 || waits.some((seconds) => Option.contains(wait, seconds))
      ? []
      : [`retry after: ${Option.getOrNull(wait)} instead of ${waits.join(" or ")}`]),
    ...(wanted.partial === undefined ? [] : comparePartial(found, wanted.partial))
  ]
}

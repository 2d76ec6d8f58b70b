/** Decodes a request. */
import { Either } from "effect"
import type { ChatRequest } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { ifUnknownFields, isRecord, pick, nonEmpty, withoutNulls, record } from "../../json.js"
import { knownFields } from "../../native.js"
import type { FieldNames } from "../../decodedRequest.js"
import { pathBelow, protocolPath, validatedRequest, valueAt } from "../../decodedRequest.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { native } from "../native.js"
import { decodeLogprobs } from "../../sampling.js"
import { logprobsInclude } from "../logprobs.js"
import type { Draft } from "./input.js"
import { messagesOf } from "./input.js"

const isFunction = (tool: unknown): tool is Json => isRecord(tool) && tool["type"] === "function"

const toolFields = knownFields(["type", "name", "description", "parameters", "strict"])

/** The native field, even if empty, keeps this protocol's defaults for absent fields such as `strict`. */
const toolDefinition = (tool: Json): Json => ({
  ...pick(tool, ["name", "description", "parameters", "strict"]),
  ...native.wrap({}),
  ...native.decode(tool, toolFields)
})

const modes: ReadonlySet<unknown> = new Set(["auto", "none", "required"])

const decodeChoice = (choice: unknown): unknown =>
  modes.has(choice) ? choice : isRecord(choice) && choice["type"] === "function" ? { name: choice["name"] } : undefined

const decodeFormat = (text: Json): unknown => {
  const format = record(text, "format") ?? {}
  switch (format["type"]) {
    case "text":
      return "text"
    case "json_object":
      return "json"
    case "json_schema":
      return pick(format, ["name", "schema", "description", "strict"])
    default:
      return undefined
  }
}

const formatFields = ["type", "name", "schema", "description", "strict"]

/** `text` when its format or its other fields go beyond the vocabulary. */
const unknownText = (text: unknown): unknown => {
  const format = isRecord(text) ? text["format"] : undefined
  const hasUnknown =
    isRecord(text) &&
    isRecord(format) &&
    (decodeFormat(text) === undefined || isRecord(ifUnknownFields(format, formatFields)))
  return hasUnknown ? text : ifUnknownFields(text, ["format"])
}

const efforts: ReadonlySet<unknown> = new Set(["none", "minimal", "low", "medium", "high", "xhigh", "max"])

/** Removes the fields that the client's half adds by default: a request without them leaves them to the provider. */
const withoutClientDefaults: Json = { store: undefined, include: undefined }

const fieldNames: FieldNames = {
  frequencyPenalty: "frequency_penalty",
  logitBias: "logit_bias",
  logprobs: "top_logprobs",
  maxTokens: "max_output_tokens",
  parallelToolCalls: "parallel_tool_calls",
  presencePenalty: "presence_penalty",
  responseFormat: "text.format",
  toolCallId: "call_id",
  toolChoice: "tool_choice",
  topK: "top_k",
  topP: "top_p",
  url: ""
}

const messagePath = protocolPath(fieldNames, "input")

/** A path of the vocabulary as one of the protocol: a part of an assistant message is an item, or a part of one. */
const wirePath = (path: ReadonlyArray<PropertyKey>, drafts: ReadonlyArray<Draft>): string => {
  const [field, message, content, part, ...steps] = path
  const partPath =
    field === "messages" && content === "content" ? drafts[Number(message)]?.partPaths?.[Number(part)] : undefined
  return partPath === undefined
    ? messagePath(
        path,
        drafts.map((draft) => draft.path)
      )
    : `${partPath}${pathBelow(steps, fieldNames)}`
}

export const decodeRequest = (
  body: unknown
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const {
    frequency_penalty: frequencyPenalty,
    include,
    input,
    instructions,
    logit_bias: logitBias,
    max_output_tokens: maxTokens,
    metadata,
    model,
    parallel_tool_calls: parallelToolCalls,
    presence_penalty: presencePenalty,
    reasoning,
    stream,
    temperature,
    text,
    tool_choice: toolChoice,
    tools,
    top_k: topK,
    top_logprobs: topLogprobs,
    top_p: topP,
    user,
    ...unknown
  } = body
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    return Either.left(malformed("stream", stream))
  }
  if (tools !== undefined && tools !== null && !Array.isArray(tools)) return Either.left(malformed("tools", tools))
  return Either.flatMap(messagesOf(instructions, input), (drafts) => {
    const listed: ReadonlyArray<unknown> = Array.isArray(tools) ? tools : []
    const hosted = listed.filter((tool) => !isFunction(tool))
    const knownReasoning = isRecord(reasoning) ? pick(reasoning, ["effort", "summary"]) : {}
    const isKnownEffort = knownReasoning["effort"] === undefined || efforts.has(knownReasoning["effort"])
    const choice = decodeChoice(toolChoice)
    const includesLogprobs = Array.isArray(include) && include.includes(logprobsInclude)
    const candidate = withoutNulls({
      model,
      messages: drafts.map(({ message }) => message),
      tools: listed.length > hosted.length ? listed.filter(isFunction).map(toolDefinition) : undefined,
      toolChoice: choice,
      parallelToolCalls,
      responseFormat: isRecord(text) ? decodeFormat(text) : undefined,
      temperature,
      topP,
      topK,
      frequencyPenalty,
      presencePenalty,
      logitBias,
      logprobs: includesLogprobs ? decodeLogprobs(true, topLogprobs) : undefined,
      maxTokens,
      reasoning: isKnownEffort ? nonEmpty(knownReasoning) : undefined,
      user,
      metadata: isRecord(metadata) ? nonEmpty(metadata) : metadata,
      extra: {
        ...withoutClientDefaults,
        ...withoutNulls({
          ...unknown,
          include: includesLogprobs && include.length === 1 ? undefined : include,
          top_logprobs: includesLogprobs ? undefined : topLogprobs,
          tools: hosted.length === 0 ? undefined : hosted,
          tool_choice: choice === undefined ? toolChoice : undefined,
          text: unknownText(text),
          reasoning: isKnownEffort ? ifUnknownFields(reasoning, ["effort", "summary"]) : reasoning
        })
      }
    })
    return validatedRequest(candidate, stream === true, (path) =>
      malformed(wirePath(path, drafts), valueAt(candidate, path) ?? null)
    )
  })
}

/** A server reads a request. */
import { Either } from "effect"
import type { ChatRequest } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { ifUnknownFields, isRecord, pick, nonEmpty, withoutNulls, record } from "../../json.js"
import { knownFields } from "../../native.js"
import type { FieldNames } from "../../decodedRequest.js"
import { validatedRequest, protocolPath, valueAt } from "../../decodedRequest.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { native } from "../native.js"
import { messagesOf } from "./input.js"

const isFunction = (tool: unknown): tool is Json => isRecord(tool) && tool["type"] === "function"

const toolFields = knownFields(["type", "name", "description", "parameters", "strict"])

/** That it was defined in this protocol counts: what is not said of it has its meaning here. */
const definition = (tool: Json): Json => ({
  ...pick(tool, ["name", "description", "parameters", "strict"]),
  ...native.wrap({}),
  ...native.decode(tool, toolFields)
})

const modes: ReadonlySet<unknown> = new Set(["auto", "none", "required"])

const choice = (wanted: unknown): unknown =>
  modes.has(wanted) ? wanted : isRecord(wanted) && wanted["type"] === "function" ? { name: wanted["name"] } : undefined

const format = (text: Json): unknown => {
  const wanted = record(text, "format") ?? {}
  switch (wanted["type"]) {
    case "text":
      return "text"
    case "json_object":
      return "json"
    case "json_schema":
      return pick(wanted, ["name", "schema", "description", "strict"])
    default:
      return undefined
  }
}

const formatFields = ["type", "name", "schema", "description", "strict"]

/** All of it, where there is more in it than we have words for. */
const furtherText = (text: unknown): unknown => {
  const wanted = isRecord(text) ? text["format"] : undefined
  const isMore =
    isRecord(text) &&
    isRecord(wanted) &&
    (format(text) === undefined || isRecord(ifUnknownFields(wanted, formatFields)))
  return isMore ? text : ifUnknownFields(text, ["format"])
}

const efforts: ReadonlySet<unknown> = new Set(["none", "minimal", "low", "medium", "high", "xhigh"])

/** What our side of the protocol says unless it is told otherwise, and what a client leaves to the provider. */
const unsaid: Json = { store: undefined, include: undefined }

const words: FieldNames = {
  maxTokens: "max_output_tokens",
  parallelToolCalls: "parallel_tool_calls",
  responseFormat: "text.format",
  toolCallId: "call_id",
  toolCalls: "",
  toolChoice: "tool_choice",
  topP: "top_p",
  url: ""
}

const wirePath = protocolPath(words, "input")

export const decodeRequest = (
  body: unknown
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const {
    input,
    instructions,
    max_output_tokens: maxTokens,
    metadata,
    model,
    parallel_tool_calls: parallelToolCalls,
    reasoning,
    stream,
    temperature,
    text,
    tool_choice: toolChoice,
    tools,
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
    const wanted = isRecord(reasoning) ? pick(reasoning, ["effort", "summary"]) : {}
    const knownEffort = wanted["effort"] === undefined || efforts.has(wanted["effort"])
    const chosen = choice(toolChoice)
    const candidate = withoutNulls({
      model,
      messages: drafts.map(({ message }) => message),
      tools: listed.length > hosted.length ? listed.filter(isFunction).map(definition) : undefined,
      toolChoice: chosen,
      parallelToolCalls,
      responseFormat: isRecord(text) ? format(text) : undefined,
      temperature,
      topP,
      maxTokens,
      reasoning: knownEffort ? nonEmpty(wanted) : undefined,
      user,
      metadata: isRecord(metadata) ? nonEmpty(metadata) : metadata,
      extra: {
        ...unsaid,
        ...withoutNulls({
          ...unknown,
          tools: hosted.length === 0 ? undefined : hosted,
          tool_choice: chosen === undefined ? toolChoice : undefined,
          text: furtherText(text),
          reasoning: knownEffort ? ifUnknownFields(reasoning, ["effort", "summary"]) : reasoning
        })
      }
    })
    const sources = drafts.map((draft) => draft.path)
    return validatedRequest(candidate, stream === true, (path) =>
      malformed(wirePath(path, sources), valueAt(candidate, path) ?? null)
    )
  })
}

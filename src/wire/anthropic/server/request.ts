/** Decodes requests. */
import { Either } from "effect"
import type { ChatRequest } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { ifUnknownFields, isRecord, pick, nonEmpty, withoutNulls, record, string } from "../../json.js"
import { knownFields } from "../../native.js"
import type { FieldNames } from "../../decodedRequest.js"
import { validatedRequest, protocolPath, valueAt } from "../../decodedRequest.js"
import type { Address, WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { native } from "../native.js"
import { decodeCacheControl, unknownCacheControl } from "../../cacheControl.js"
import { decodeMessages } from "./content.js"

// -------------------------------------------------------------------------------------
// settings
// -------------------------------------------------------------------------------------

/** Whether a tool is defined by the client; all others are run by the provider. */
const isCustom = (tool: unknown): tool is Json =>
  isRecord(tool) && (tool["type"] === undefined || tool["type"] === null || tool["type"] === "custom")

const toolFields = knownFields(["type", "name", "description", "input_schema", "strict", "cache_control"])

const decodeTool = (tool: Json): Json => ({
  ...pick(tool, ["name", "description", "strict"]),
  ...withoutNulls({ parameters: tool["input_schema"] }),
  ...decodeCacheControl(tool),
  ...native.decode(tool, toolFields, unknownCacheControl(tool))
})

const choices: ReadonlyMap<unknown, string> = new Map([
  ["auto", "auto"],
  ["any", "required"],
  ["none", "none"]
])

const decodeChoice = (choice: Json): unknown =>
  choice["type"] === "tool" ? { name: choice["name"] } : choices.get(choice["type"])

const efforts: ReadonlySet<unknown> = new Set(["low", "medium", "high", "xhigh", "max"])

/** The `reasoning` of the vocabulary; undefined for a `type` that it does not cover. */
const decodeThinking = (thinking: Json | undefined): Json | undefined => {
  switch (thinking?.["type"]) {
    case "disabled":
    case "between_tools":
      return { effort: "none" }
    case "enabled":
    case "adaptive":
      return withoutNulls({
        budgetTokens: thinking["budget_tokens"],
        summary: thinking["display"] === "summarized" ? "auto" : undefined
      })
    default:
      return undefined
  }
}

const thinkingFields: ReadonlySet<string> = new Set(["type", "budget_tokens"])

/** Whether the vocabulary does not cover all fields. */
const isNativeThinking = (thinking: Json): boolean =>
  decodeThinking(thinking) === undefined ||
  thinking["type"] === "between_tools" ||
  Object.entries(withoutNulls(thinking)).some(
    ([field, value]) => !thinkingFields.has(field) && !(field === "display" && value === "summarized")
  )

const decodeReasoning = (thinking: Json | undefined, effort: unknown): Json | undefined => {
  const decoded = decodeThinking(thinking)
  const withEffort = efforts.has(effort) && decoded?.["effort"] !== "none" ? { effort } : {}
  return decoded === undefined ? nonEmpty(withEffort) : { ...decoded, ...withEffort }
}

/** The protocol has no name of a format; the title of the schema replaces it. */
const decodeFormat = (format: Json | undefined): Json | undefined => {
  const schema = format?.["type"] === "json_schema" ? record(format, "schema") : undefined
  return schema === undefined ? undefined : { name: string(schema, "title") || "response", schema }
}

// -------------------------------------------------------------------------------------
// paths of malformed fields
// -------------------------------------------------------------------------------------

const fieldNames: FieldNames = {
  maxTokens: "max_tokens",
  parallelToolCalls: "tool_choice.disable_parallel_tool_use",
  parameters: "input_schema",
  responseFormat: "output_config.format",
  stop: "stop_sequences",
  toolCallId: "tool_use_id",
  toolChoice: "tool_choice",
  topK: "top_k",
  topP: "top_p",
  url: "source",
  user: "metadata.user_id"
}

const wirePath = protocolPath(fieldNames, "messages")

/** Vertex AI has the model in the path: `…/models/{model}:rawPredict`, or `:streamRawPredict`. */
const modelAt = (address: Address | undefined): string | undefined => {
  const [, name] = /([^/:]+):(?:streamR|r)awPredict$/.exec(address?.path ?? "") ?? []
  return name === undefined ? undefined : decodedName(name)
}

const decodedName = (name: string): string => {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** The betas of the body and of the header `anthropic-beta`, which Anthropic's own libraries use. */
const betasOf = (address: Address | undefined, betas: unknown): unknown => {
  const header = address?.headers["anthropic-beta"]
  if (header === undefined) return betas
  const listed = (typeof header === "string" ? [header] : header).flatMap((each) => each.split(","))
  return [...(Array.isArray(betas) ? betas : []), ...listed.map((beta) => beta.trim()).filter((beta) => beta !== "")]
}

export const decodeRequest = (
  body: unknown,
  address?: Address
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const {
    anthropic_version: _version,
    max_tokens: maxTokens,
    messages,
    metadata,
    model,
    output_config: output,
    output_format: earlierFormat,
    stop_sequences: stop,
    stream,
    system,
    temperature,
    thinking,
    tool_choice: choice,
    tools,
    top_k: topK,
    top_p: topP,
    ...unknown
  } = body
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    return Either.left(malformed("stream", stream))
  }
  if (tools !== undefined && tools !== null && !Array.isArray(tools)) return Either.left(malformed("tools", tools))
  return Either.flatMap(decodeMessages(system, messages), (drafts) => {
    const listed: ReadonlyArray<unknown> = Array.isArray(tools) ? tools : []
    const hosted = listed.filter((tool) => !isCustom(tool))
    const chosen = isRecord(choice) ? decodeChoice(choice) : undefined
    const sequential = isRecord(choice) ? choice["disable_parallel_tool_use"] : undefined
    const config = isRecord(output) ? output : {}
    const thinkingConfig = isRecord(thinking) ? thinking : undefined
    const effort = config["effort"]
    const reasoning = decodeReasoning(thinkingConfig, effort)
    const isNativeEffort = effort !== undefined && effort !== null && effort !== reasoning?.["effort"]
    const format = record(config, "format") ?? (isRecord(earlierFormat) ? earlierFormat : undefined)
    const candidate = withoutNulls({
      model: model ?? modelAt(address),
      messages: drafts.map(({ message }) => message),
      tools: listed.length > hosted.length ? listed.filter(isCustom).map(decodeTool) : undefined,
      toolChoice: chosen,
      parallelToolCalls: typeof sequential === "boolean" ? !sequential : undefined,
      responseFormat: decodeFormat(format),
      temperature,
      topP,
      topK,
      maxTokens,
      stop: Array.isArray(stop) && stop.length === 0 ? undefined : stop,
      reasoning,
      user: isRecord(metadata) ? metadata["user_id"] : undefined,
      extra: nonEmpty(
        withoutNulls({
          ...unknown,
          betas: betasOf(address, unknown["betas"]),
          tools: hosted.length === 0 ? undefined : hosted,
          tool_choice: chosen === undefined ? choice : undefined,
          thinking: thinkingConfig !== undefined && isNativeThinking(thinkingConfig) ? thinkingConfig : undefined,
          output_config: isNativeEffort ? output : ifUnknownFields(output, ["effort", "format"]),
          metadata: ifUnknownFields(metadata, ["user_id"])
        })
      )
    })
    const sources = drafts.map((draft) => draft.path)
    return validatedRequest(candidate, stream === true, (path) =>
      malformed(wirePath(path, sources), valueAt(candidate, path) ?? null)
    )
  })
}

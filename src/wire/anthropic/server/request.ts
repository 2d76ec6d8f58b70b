/** A server reads a request. */
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
import { furtherMark, readMark, readMessages } from "./content.js"

// -------------------------------------------------------------------------------------
// settings
// -------------------------------------------------------------------------------------

/** A tool of the client's own; all others are the provider's. */
const isCustom = (tool: unknown): tool is Json =>
  isRecord(tool) && (tool["type"] === undefined || tool["type"] === null || tool["type"] === "custom")

const toolFields = knownFields(["type", "name", "description", "input_schema", "strict", "cache_control"])

const readTool = (tool: Json): Json => ({
  ...pick(tool, ["name", "description", "strict"]),
  ...withoutNulls({ parameters: tool["input_schema"] }),
  ...readMark(tool),
  ...native.decode(tool, toolFields, furtherMark(tool))
})

const choices: ReadonlyMap<unknown, string> = new Map([
  ["auto", "auto"],
  ["any", "required"],
  ["none", "none"]
])

const readChoice = (choice: Json): unknown =>
  choice["type"] === "tool" ? { name: choice["name"] } : choices.get(choice["type"])

const efforts: ReadonlySet<unknown> = new Set(["low", "medium", "high", "xhigh"])

/** What is said of thinking in our words; nothing where we have none for it. */
const readThinking = (thinking: Json | undefined): Json | undefined => {
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

/** Whether there is more in it than we have words for. */
const isBeyond = (thinking: Json): boolean =>
  readThinking(thinking) === undefined ||
  thinking["type"] === "between_tools" ||
  Object.entries(withoutNulls(thinking)).some(
    ([field, value]) => !thinkingFields.has(field) && !(field === "display" && value === "summarized")
  )

const readReasoning = (thinking: Json | undefined, effort: unknown): Json | undefined => {
  const told = readThinking(thinking)
  const grade = efforts.has(effort) && told?.["effort"] !== "none" ? { effort } : {}
  return told === undefined ? nonEmpty(grade) : { ...told, ...grade }
}

/** The schema's title is the best name there is. */
const readFormat = (format: Json | undefined): Json | undefined => {
  const schema = format?.["type"] === "json_schema" ? record(format, "schema") : undefined
  return schema === undefined ? undefined : { name: string(schema, "title") || "response", schema }
}

// -------------------------------------------------------------------------------------
// faults
// -------------------------------------------------------------------------------------

const words: FieldNames = {
  maxTokens: "max_tokens",
  parallelToolCalls: "tool_choice.disable_parallel_tool_use",
  parameters: "input_schema",
  responseFormat: "output_config.format",
  stop: "stop_sequences",
  toolCallId: "tool_use_id",
  toolCalls: "",
  toolChoice: "tool_choice",
  topP: "top_p",
  url: "source",
  user: "metadata.user_id"
}

const wirePath = protocolPath(words, "messages")

/** Google Vertex names the model in the path: `…/models/{model}:rawPredict`, or `:streamRawPredict`. */
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

/** Betas are asked for in a header; Anthropic's own libraries put them there. */
const betasOf = (address: Address | undefined, asked: unknown): unknown => {
  const header = address?.headers["anthropic-beta"]
  if (header === undefined) return asked
  const named = (typeof header === "string" ? [header] : header).flatMap((each) => each.split(","))
  return [...(Array.isArray(asked) ? asked : []), ...named.map((beta) => beta.trim()).filter((beta) => beta !== "")]
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
    top_p: topP,
    ...unknown
  } = body
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    return Either.left(malformed("stream", stream))
  }
  if (tools !== undefined && tools !== null && !Array.isArray(tools)) return Either.left(malformed("tools", tools))
  return Either.flatMap(readMessages(system, messages), (drafts) => {
    const listed: ReadonlyArray<unknown> = Array.isArray(tools) ? tools : []
    const hosted = listed.filter((tool) => !isCustom(tool))
    const chosen = isRecord(choice) ? readChoice(choice) : undefined
    const serial = isRecord(choice) ? choice["disable_parallel_tool_use"] : undefined
    const config = isRecord(output) ? output : {}
    const thought = isRecord(thinking) ? thinking : undefined
    const effort = config["effort"]
    const reasoning = readReasoning(thought, effort)
    const unsaidEffort = effort !== undefined && effort !== null && effort !== reasoning?.["effort"]
    const format = record(config, "format") ?? (isRecord(earlierFormat) ? earlierFormat : undefined)
    const candidate = withoutNulls({
      model: model ?? modelAt(address),
      messages: drafts.map(({ message }) => message),
      tools: listed.length > hosted.length ? listed.filter(isCustom).map(readTool) : undefined,
      toolChoice: chosen,
      parallelToolCalls: typeof serial === "boolean" ? !serial : undefined,
      responseFormat: readFormat(format),
      temperature,
      topP,
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
          thinking: thought !== undefined && isBeyond(thought) ? thought : undefined,
          output_config: unsaidEffort ? output : ifUnknownFields(output, ["effort", "format"]),
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

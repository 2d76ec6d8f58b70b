/** Decodes requests. docs.ollama.com/api/chat */
import { Either } from "effect"
import type { ChatRequest } from "../../../vocabulary/Chat.js"
import * as Chat from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { array, isRecord, pick, nonEmpty, withoutNulls, record, string } from "../../json.js"
import type { FieldNames } from "../../decodedRequest.js"
import { fieldPath, pathBelow, validatedRequest } from "../../decodedRequest.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { decodeLogprobs, unpairedTop } from "../../sampling.js"

// -------------------------------------------------------------------------------------
// messages
// -------------------------------------------------------------------------------------

/** Media types by the first bytes, in base64. */
const imageSignatures: ReadonlyArray<readonly [string, string]> = [
  ["/9j/", "image/jpeg"],
  ["R0lGOD", "image/gif"],
  ["UklGR", "image/webp"]
]

const readImage = (base64: unknown): unknown => {
  if (typeof base64 !== "string") return { type: "image", url: base64 }
  const mediaType = imageSignatures.find(([signature]) => base64.startsWith(signature))?.[1] ?? "image/png"
  return { type: "image", url: `data:${mediaType};base64,${base64}` }
}

const readContent = (message: Json): unknown => {
  const content = message["content"] ?? ""
  const images = array(message, "images") ?? []
  if (images.length === 0 || typeof content !== "string") return content
  return [...(content === "" ? [] : [Chat.text(content)]), ...images.map(readImage)]
}

interface Call {
  readonly type: "tool-call"
  readonly id: string
  readonly name: unknown
  readonly arguments: unknown
}

const readCall = (call: unknown, index: number): Call => {
  const fields = isRecord(call) ? call : {}
  const { arguments: value = {}, name } = record(fields, "function") ?? {}
  return {
    type: "tool-call",
    id: string(fields, "id") || `call_${index}`,
    name,
    arguments: isRecord(value) ? JSON.stringify(value) : value
  }
}

/** Reads the fields of a message in the order in which the model generates them: reasoning, text, calls. */
const readAssistant = (message: Json, calls: ReadonlyArray<Call>): unknown => {
  const thinking = string(message, "thinking") ?? ""
  const content = message["content"] ?? ""
  const texts = content === "" ? [] : typeof content === "string" ? [Chat.text(content)] : content
  return {
    role: "assistant",
    content:
      (thinking === "" && calls.length === 0) || !Array.isArray(texts)
        ? content
        : [...(thinking === "" ? [] : [{ type: "reasoning", text: thinking }]), ...texts, ...calls]
  }
}

/** Reads messages. A result without an id belongs to the first open call of its name; without a name, to the first open call. */
const messagesReader = () => {
  let open: ReadonlyArray<Call> = []

  const callIdOf = (message: Json): string => {
    const id = string(message, "tool_call_id")
    const name = string(message, "tool_name")
    const call =
      open.find((each) => (id ? each.id === id : each.name === name)) ??
      (id || name !== undefined ? undefined : open[0])
    open = open.filter((each) => each !== call)
    return id || call?.id || name || "call_0"
  }

  return (message: unknown): unknown => {
    if (!isRecord(message)) return message
    switch (message["role"]) {
      case "assistant": {
        const calls = (array(message, "tool_calls") ?? []).map(readCall)
        open = calls
        return readAssistant(message, calls)
      }
      case "tool":
        return { role: "tool", toolCallId: callIdOf(message), content: readContent(message) }
      case "user":
        return { role: "user", content: readContent(message) }
      default:
        return { role: message["role"], content: message["content"] }
    }
  }
}

// -------------------------------------------------------------------------------------
// settings
// -------------------------------------------------------------------------------------

const isFunction = (tool: unknown): tool is Json => isRecord(tool) && record(tool, "function") !== undefined

const readTool = (tool: Json): Json => pick(record(tool, "function") ?? {}, ["name", "description", "parameters"])

const readThink = (think: unknown): unknown => {
  if (think === true) return {}
  if (think === false) return { effort: "none" }
  return typeof think === "string" ? { effort: think } : think
}

/** The schema gets a name, which the vocabulary requires and this protocol does not have. */
const readFormat = (format: unknown): unknown => {
  if (format === "") return undefined
  return isRecord(format) ? { name: "answer", schema: format } : format
}

const coveredOptions: ReadonlySet<string> = new Set([
  "temperature",
  "top_p",
  "top_k",
  "frequency_penalty",
  "presence_penalty",
  "num_predict",
  "stop",
  "seed"
])

/** Whether the vocabulary does not cover an option, such as a `num_predict` of 0 or less (-1: no limit). */
const isUncovered = (name: string, value: unknown): boolean =>
  !coveredOptions.has(name) || (name === "num_predict" && typeof value === "number" && value <= 0)

const readOptions = (options: Json): { readonly settings: Json; readonly extra: Json } => {
  const entries = Object.entries(withoutNulls(options))
  const covered = new Map(entries.filter(([name, value]) => !isUncovered(name, value)))
  const stop = covered.get("stop")
  return {
    settings: withoutNulls({
      temperature: covered.get("temperature"),
      topP: covered.get("top_p"),
      topK: covered.get("top_k"),
      frequencyPenalty: covered.get("frequency_penalty"),
      presencePenalty: covered.get("presence_penalty"),
      maxTokens: covered.get("num_predict"),
      stop: typeof stop === "string" ? [stop] : stop,
      seed: covered.get("seed")
    }),
    extra: Object.fromEntries(entries.filter(([name, value]) => isUncovered(name, value)))
  }
}

// -------------------------------------------------------------------------------------
// paths of failures
// -------------------------------------------------------------------------------------

const fieldNames: FieldNames = {
  frequencyPenalty: "options.frequency_penalty",
  maxTokens: "options.num_predict",
  presencePenalty: "options.presence_penalty",
  reasoning: "think",
  responseFormat: "format",
  seed: "options.seed",
  stop: "options.stop",
  temperature: "options.temperature",
  toolCallId: "tool_call_id",
  toolCalls: "tool_calls",
  topK: "options.top_k",
  topP: "options.top_p",
  url: "images"
}

const wirePath = (path: ReadonlyArray<PropertyKey>): string => pathBelow(path, fieldNames).slice(1)

export const decodeRequest = (
  body: unknown
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const { format, logprobs, messages, model, options, stream, think, tools, top_logprobs: top, ...otherFields } = body
  if (tools !== undefined && tools !== null && !Array.isArray(tools)) return Either.left(malformed("tools", tools))
  const listed: ReadonlyArray<unknown> = Array.isArray(tools) ? tools : []
  const others = listed.filter((tool) => !isFunction(tool))
  const { extra, settings } = readOptions(isRecord(options) ? options : {})
  const candidate = withoutNulls({
    model,
    messages: Array.isArray(messages) ? messages.map(messagesReader()) : (messages ?? []),
    tools: others.length < listed.length ? listed.filter(isFunction).map(readTool) : undefined,
    responseFormat: readFormat(format),
    logprobs: decodeLogprobs(logprobs, top),
    reasoning: readThink(think),
    ...settings,
    extra: nonEmpty(
      withoutNulls({
        ...otherFields,
        top_logprobs: unpairedTop(logprobs, top),
        options: nonEmpty(extra),
        tools: others.length === 0 ? undefined : others
      })
    )
  })
  return validatedRequest(candidate, stream !== false, (path, message) =>
    malformed(wirePath(fieldPath(candidate, path)), message)
  )
}

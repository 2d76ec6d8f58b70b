/**
 * Fields and parts of a request that the vocabulary cannot express, at the top level and inside messages and tools. They are sent
 * unchanged to a provider of the same protocol. For any other provider, fields that change what is requested are refused unless the client or
 * the configuration of the model asks for an answer without them. The others are hints. What is dropped is listed in a response header.
 */
import { Either, Struct } from "effect"
import type { ModelInfo } from "../../call/model.js"
import type { ChatRequest, Native } from "../../vocabulary/Chat.js"
import { isWithoutReasoning } from "../../wire/effort.js"
import type { Json } from "../../wire/json.js"
import { isRecord, record, string } from "../../wire/json.js"
import { fieldsOf, samplingFields } from "../../wire/sampling.js"
import type { SamplingField } from "../../wire/Wire.js"
import * as CustomTools from "./customTools.js"
import * as HttpErrors from "../http/error.js"
import type { RequestHeaders } from "../http/exchange.js"
import { header as headerOf } from "../http/exchange.js"
import type { Protocol } from "./model.js"
import * as TextDocuments from "./textDocuments.js"

/** What happens to the meaning of a request that the provider cannot express. Hints are dropped in any case. */
export type OnUnsupported = "error" | "drop"

/** Fields that change what is requested, so that an answer without them is another one. */
const essentialFields: ReadonlySet<string> = new Set([
  "tools",
  "tool_choice",
  "previous_response_id",
  "conversation",
  "prompt",
  "background",
  "modalities",
  "audio",
  "container",
  "mcp_servers",
  "prefix",
  "web_search_options"
])

/** Without what these refer to, an answer would be to another question. */
const references: ReadonlySet<string> = new Set([
  "previous_response_id",
  "conversation",
  "prompt",
  "background",
  "item_reference"
])

/** Fields of all protocols that the wires of some providers do not have. Hints, but for those of `meanings`. */
type SharedField = "seed" | "metadata" | "user" | "parallelToolCalls" | "toolChoice" | "stop"

const lacking: Readonly<Record<string, ReadonlyArray<SharedField>>> = {
  "anthropic-messages": ["seed", "metadata"],
  dashscope: ["metadata", "user", "toolChoice"],
  gemini: ["metadata", "user", "parallelToolCalls"],
  ollama: ["metadata", "user", "parallelToolCalls", "toolChoice"],
  responses: ["seed", "stop"]
}

const namesOfClients: Readonly<Record<SharedField, string>> = {
  seed: "seed",
  metadata: "metadata",
  user: "user",
  parallelToolCalls: "parallel_tool_calls",
  toolChoice: "tool_choice",
  stop: "stop"
}

/** Whether a field asks for something that the provider does not do by itself. */
const asks = (request: ChatRequest, field: SharedField): boolean => {
  if (field === "parallelToolCalls") return request.parallelToolCalls === false
  if (field === "toolChoice") return request.toolChoice === "required" || typeof request.toolChoice === "object"
  return request[field] !== undefined
}

/** Whether the request leaves the model one tool to call. */
const choosesOneTool = ({ toolChoice, tools = [] }: ChatRequest): boolean =>
  typeof toolChoice === "object" || (toolChoice === "required" && tools.length === 1)

/** A choice of one tool leaves nothing to call in parallel. */
const isMeaning = (request: ChatRequest, field: SharedField): boolean =>
  field === "parallelToolCalls"
    ? request.tools !== undefined && !choosesOneTool(request)
    : field === "toolChoice" || field === "stop"

/** The wires whose providers do not have marks for their prompt cache. */
const withoutCacheMarks: ReadonlySet<string> = new Set(["dashscope", "gemini", "ollama", "responses"])

/** OpenAI has none in either protocol; other servers of Chat Completions can have them. */
const takesCacheMarks = ({ faithful, wire }: ModelInfo): boolean =>
  !withoutCacheMarks.has(wire) && !(faithful === true && wire === "chat-completions")

const hasCacheMarks = ({ messages, tools = [] }: ChatRequest): boolean =>
  tools.some(({ cacheControl }) => cacheControl !== undefined) ||
  messages.some(
    ({ content }) =>
      typeof content !== "string" && content.some((part) => "cacheControl" in part && part.cacheControl !== undefined)
  )

/** The wires that tell a provider that a tool has failed. */
const tellsFailures: ReadonlySet<string> = new Set(["anthropic-messages", "gemini"])

const hasFailures = ({ messages }: ChatRequest): boolean =>
  messages.some((message) => message.role === "tool" && message.isError === true)

/** Fields that OpenAI's two protocols share. OpenAI, API reference: chat/create and responses/create. */
const openaiFields: ReadonlySet<string> = new Set([
  "store",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
  "verbosity"
])

const openaiWires: ReadonlySet<string> = new Set(["chat-completions", "responses"])

/** The fields beside the vocabulary, by the names of Chat Completions: Responses has `verbosity` within `text`. */
const ownFields = ({ text, ...extra }: Json): Json => {
  const verbosity = isRecord(text) ? text["verbosity"] : undefined
  return verbosity === undefined ? extra : { ...extra, verbosity }
}

/** Whether a client of one of OpenAI's protocols has a model of OpenAI's other one. */
const sharesFields = (client: string, { faithful, wire }: ModelInfo): boolean =>
  faithful === true && openaiWires.has(wire) && openaiWires.has(client)

const isCustom = (tool: unknown): boolean => isRecord(tool) && tool["type"] === "custom"

/** Those that a provider of OpenAI's other protocol has, too. */
const carried = (own: Json, client: string, target: ModelInfo): Json => {
  if (!sharesFields(client, target)) return {}
  const { tools } = own
  const hasTools = Array.isArray(tools) && tools.every(isCustom)
  return Object.fromEntries(
    Object.entries(own).filter(([field]) => openaiFields.has(field) || (field === "tools" && hasTools))
  )
}

/** As the client of a wire sends them. */
const sentFields = (kept: Json, wire: string): Json => {
  const { tools, verbosity, ...others } = kept
  return {
    ...others,
    ...(Array.isArray(tools) ? { tools: tools.map((tool) => CustomTools.toolFor(tool, wire)) } : {}),
    ...(verbosity === undefined ? {} : wire === "responses" ? { text: { verbosity } } : { verbosity })
  }
}

/** What a provider does without the field. */
const defaults: Json = { truncation: "disabled" }

interface NestedFields {
  /** The fields by their paths, such as `messages.content.vendor_part`. */
  readonly fields: ReadonlySet<string>
  /** The fields and parts that change the request, by their names. */
  readonly essential: ReadonlyArray<string>
}

const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0

/** The type of a part in its protocol; some parts are items of their own. */
const partType = (part: Json): string => string(record(part, "item") ?? part, "type") ?? "part of a message"

/** The fields and parts inside messages and tools that only the client's protocol has. */
const nestedFields = (
  { messages, tools = [] }: ChatRequest,
  { ignorableNested, wire: { name } }: Protocol
): NestedFields => {
  const fields = new Set<string>()
  const essential: Array<string> = []
  const collectFields = (place: string, own: Json): void => {
    for (const [field, value] of Object.entries(own)) {
      if (ignorableNested.has(field) || isEmpty(value)) continue
      // A text of Responses has the fields of its item here.
      if (field === "message" && isRecord(value)) {
        collectFields(place, value)
        continue
      }
      if (essentialFields.has(field)) essential.push(field)
      fields.add(`${place}.${field}`)
    }
  }
  const collect = (place: string, source: { readonly native?: Native }): void =>
    collectFields(place, source.native?.[name] ?? {})
  for (const message of messages) {
    collect("messages", message)
    if (typeof message.content === "string") continue
    for (const part of message.content) {
      if (part.type === "provider") essential.push(partType(part.native[name] ?? {}))
      else collect(part.type === "tool-call" ? "messages.tool_calls" : "messages.content", part)
    }
  }
  for (const tool of tools) collect("tools", tool)
  return { fields, essential }
}

const isProviderPart = ({ type }: { readonly type: string }): boolean => type === "provider"

const withoutProviderParts = <A extends { readonly type: string }>(
  content: string | ReadonlyArray<A>
): string | ReadonlyArray<A> =>
  typeof content === "string" ? content : content.filter((part) => !isProviderPart(part))

/** The messages without the parts that only another protocol has, and without those that had nothing else, except for results of calls. */
const sharedMessages = (messages: ChatRequest["messages"]): ChatRequest["messages"] =>
  messages.flatMap((message): ChatRequest["messages"] => {
    const { content, role } = message
    if (typeof content === "string" || !content.some(isProviderPart)) return [message]
    if (role !== "tool" && content.every(isProviderPart)) return []
    switch (message.role) {
      case "assistant":
        return [{ ...message, content: withoutProviderParts(message.content) }]
      case "user":
        return [{ ...message, content: withoutProviderParts(message.content) }]
      case "tool":
        return [{ ...message, content: withoutProviderParts(message.content) }]
      default:
        return [message]
    }
  })

/** The settings of the choice of tokens that the provider's protocol does not have, by the names of the client's protocols. */
const unsupportedSettings = (request: ChatRequest, providerWire: string): ReadonlyMap<SamplingField, string> => {
  const supported = fieldsOf(providerWire)
  const unsupported = samplingFields.filter((field) => request[field] !== undefined && !supported.includes(field))
  return new Map(unsupported.map((field) => [field, field.replace(/[A-Z]/, (letter) => `_${letter.toLowerCase()}`)]))
}

/** A budget for reasoning at a model of OpenAI that does not reason. */
const losesBudget = ({ reasoning }: ChatRequest, { model, wire }: ModelInfo): boolean =>
  openaiWires.has(wire) &&
  reasoning?.effort === undefined &&
  (reasoning?.budgetTokens ?? 0) > 0 &&
  isWithoutReasoning(model)

export interface SupportedRequest {
  readonly request: ChatRequest
  readonly translatedTools: CustomTools.Translated
  /** The paths of the fields that were dropped. */
  readonly dropped: ReadonlyArray<string>
}

const refusal = (field: string, { model, provider }: ModelInfo): HttpErrors.HttpError => ({
  status: 400,
  code: "unsupported",
  message:
    `The provider of ${provider}/${model} uses another protocol, which has no equivalent of '${field}'. Remove it, use another model` +
    (references.has(field) ? "." : `, or send the header '${header}: drop' for an answer without it.`),
  param: field
})

/** The parts of `tools` that only the client's protocol has, by their types. */
const toolNames = (tools: unknown): ReadonlyArray<string> =>
  (Array.isArray(tools) ? tools : []).map((tool) => `tools.${(isRecord(tool) && string(tool, "type")) || "tool"}`)

const withTextDocuments = (request: ChatRequest, { wire: { name } }: Protocol, wire: string): ChatRequest =>
  name === "anthropic-messages" ? { ...request, messages: TextDocuments.forWire(request.messages, wire) } : request

/** The request as the provider of another protocol gets it. `asked` is what the client asked for. */
export const drop = (
  received: ChatRequest,
  protocol: Protocol,
  target: ModelInfo,
  asked?: OnUnsupported
): Either.Either<SupportedRequest, HttpErrors.HttpError> => {
  const { wire } = target
  if (wire === protocol.wire.name)
    return Either.right({ request: received, translatedTools: CustomTools.noneTranslated, dropped: [] })
  const policy = asked ?? target.onUnsupported ?? "error"
  const { request, translated } = CustomTools.asFunctions(
    withTextDocuments(received, protocol, wire),
    sharesFields(protocol.wire.name, target)
  )
  const settings = unsupportedSettings(request, wire)
  const shared = (lacking[wire] ?? []).filter((field) => asks(request, field))
  const { extra = {}, ...fitting } = request
  const own = ownFields(extra)
  const kept = carried(own, protocol.wire.name, target)
  const fields = Object.keys(own).filter(
    (field) => own[field] != null && !(field in kept) && own[field] !== defaults[field]
  )
  const nested = nestedFields(fitting, protocol)
  const essential = [
    ...fields.filter((field) => essentialFields.has(field)),
    ...nested.essential,
    ...shared.filter((field) => isMeaning(request, field)).map((field) => namesOfClients[field])
  ]
  const refused = essential.find((field) => policy === "error" || references.has(field))
  if (refused !== undefined) return Either.left(refusal(refused, target))
  const supported = Struct.omit(fitting, ...settings.keys(), ...shared)
  return Either.right({
    translatedTools: translated,
    request: {
      ...supported,
      ...(nested.essential.length === 0 ? {} : { messages: sharedMessages(supported.messages) }),
      ...(Object.keys(kept).length === 0 ? {} : { extra: sentFields(kept, wire) })
    },
    dropped: [
      ...settings.values(),
      ...shared.map((field) => namesOfClients[field]),
      ...(losesBudget(request, target) ? ["thinking"] : []),
      ...(!tellsFailures.has(wire) && hasFailures(request) ? ["messages.content.is_error"] : []),
      ...(!takesCacheMarks(target) && hasCacheMarks(request) ? ["cache_control"] : []),
      ...fields.flatMap((field) =>
        field === "tools" ? toolNames(extra["tools"]) : protocol.ignorable.has(field) ? [] : [field]
      ),
      ...nested.fields,
      ...nested.essential.filter((name) => !essentialFields.has(name)).map((name) => `messages.content.${name}`)
    ]
  })
}

/** The header of a request that says what happens to what its provider cannot express. */
const header = "x-effect-llm-on-unsupported"

/** What a request asks for; fails for another value. */
export const askedBy = (headers: RequestHeaders): Either.Either<OnUnsupported | undefined, HttpErrors.HttpError> => {
  const value = headerOf(headers, header)
  return value === undefined || value === "error" || value === "drop"
    ? Either.right(value)
    : Either.left(HttpErrors.invalid(`Invalid value for the header '${header}': expected 'error' or 'drop'.`, header))
}

/** Fields that belong to an answer whether its provider got them or not. */
const labels: ReadonlySet<string> = new Set(["metadata", "prompt_cache_key", "safety_identifier", "user"])

/** The request as its answer repeats it: without the settings and tools that were dropped, since they were not used. */
export const repeated = (body: Json, dropped: ReadonlyArray<string>): Record<string, unknown> => {
  const isDropped = (field: string): boolean => dropped.includes(field) && !labels.has(field)
  const { text, tools, ...others } = body
  const fields = Object.entries(others).filter(([field]) => !isDropped(field))
  return {
    ...Object.fromEntries(fields),
    ...(Array.isArray(tools)
      ? { tools: tools.filter((tool) => !isRecord(tool) || !isDropped(`tools.${String(tool["type"])}`)) }
      : {}),
    ...(isRecord(text) ? { text: isDropped("verbosity") ? Struct.omit(text, "verbosity") : text } : {})
  }
}

/** The response header that lists the dropped fields. */
export const droppedHeader = (dropped: ReadonlyArray<string>): Readonly<Record<string, string>> =>
  dropped.length === 0
    ? {}
    : {
        "x-effect-llm-dropped": dropped
          // A lone surrogate, which a name can contain in JSON, has no encoding.
          .map((field) => encodeURIComponent(field.replace(/\p{Surrogate}/gu, "\ufffd")))
          .join(", ")
          .slice(0, 1000)
      }

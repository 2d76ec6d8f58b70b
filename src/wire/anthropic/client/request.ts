/** The client writes a request. Anthropic, API reference: "Create a Message". */
import { Either } from "effect"
import type { ChatRequest, ResponseFormat, ToolDefinition } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord, records } from "../../json.js"
import type { Peer, WireFailure, WireRequest } from "../../Wire.js"
import type { Encoded } from "./content.js"
import { cacheMark, unsupported } from "./content.js"
import { conversation } from "./conversation.js"
import type { Dialect } from "../dialect.js"
import { traitsOf } from "../dialect.js"
import { outputSchema } from "../../schema/anthropic.js"
import { native } from "../native.js"
import { thinkingOf } from "./thinking.js"
import { isThought } from "../reasoning.js"

const optional = (name: string, value: unknown): Json => (value === undefined ? {} : { [name]: value })

/** What a request asks for that the protocol has no word for. */
const beyond = (request: ChatRequest): string | undefined =>
  request.seed !== undefined ? "seed" : request.metadata !== undefined ? "metadata" : native.unsupported(request)

/** A strict tool whose schema cannot be closed is sent as it is, and not strict. */
const tool = (definition: ToolDefinition): Json => {
  const { cacheControl, description, name, parameters = { properties: {} }, strict } = definition
  const schema = { type: "object", ...parameters }
  const closed = strict === true ? outputSchema(schema) : undefined
  const written = {
    name,
    ...optional("description", description),
    input_schema: closed ?? schema,
    ...optional("strict", strict === undefined ? undefined : closed !== undefined),
    ...cacheMark(cacheControl)
  }
  return native.encode(written, definition)
}

const choices = { auto: "auto", none: "none", required: "any" } as const

/** Said of tools, so only where there are any; `none` is not parallel to anything. */
const toolChoice = ({ parallelToolCalls, toolChoice: choice }: ChatRequest): Json => {
  const parallel = optional(
    "disable_parallel_tool_use",
    parallelToolCalls === undefined ? undefined : !parallelToolCalls
  )
  if (choice === undefined) return parallelToolCalls === undefined ? {} : { tool_choice: { type: "auto", ...parallel } }
  if (typeof choice === "object") return { tool_choice: { type: "tool", name: choice.name, ...parallel } }
  return { tool_choice: { type: choices[choice], ...(choice === "none" ? {} : parallel) } }
}

const formatOf = (format: ResponseFormat | undefined, dialect: Dialect): Encoded<Json> => {
  if (format === undefined || format === "text") return Either.right({})
  if (format === "json") return unsupported("JSON output without a schema")
  if (!dialect.jsonSchema) return unsupported("JSON Schema output")
  const schema = outputSchema({ ...optional("description", format.description), ...format.schema })
  return schema === undefined
    ? unsupported("JSON Schema output with open objects")
    : Either.right({ format: { type: "json_schema", schema } })
}

/** Whether the model is in the middle of a turn of tool calls that it did not begin with a thought. */
const isMidway = (messages: ReadonlyArray<Json>): boolean => {
  const [before, last] = messages.filter(({ role }) => role !== "system").slice(-2)
  const awaited = last !== undefined && records(last, "content").some(({ type }) => type === "tool_result")
  return awaited && !(before !== undefined && isThought(records(before, "content")[0]))
}

const filesBeta = "files-api-2025-04-14"

/** Whether a file is named by the id of its upload, for which the API wants a header. */
const namesFile = (value: unknown): boolean =>
  Array.isArray(value)
    ? value.some(namesFile)
    : isRecord(value) &&
      (value["type"] === "file" ||
        namesFile(value["content"]) ||
        (isRecord(value["source"]) && namesFile(value["source"])))

const headersOf = (dialect: Dialect, messages: unknown, betas: unknown): WireRequest["headers"] => {
  const wished = Array.isArray(betas) ? betas.filter((beta) => typeof beta === "string") : []
  const all = new Set([...wished, ...(namesFile(messages) ? [filesBeta] : [])])
  return {
    ...(dialect.version.in === "header" ? { "anthropic-version": dialect.version.value } : {}),
    ...(all.size === 0 ? {} : { "anthropic-beta": [...all].join(",") })
  }
}

export const encodeRequest =
  (dialect: Dialect) =>
  (
    request: ChatRequest,
    { model: fallback, provider, stream }: Peer & { readonly stream: boolean }
  ): Either.Either<WireRequest, WireFailure> =>
    Either.gen(function* () {
      const feature = beyond(request)
      if (feature !== undefined) return yield* unsupported(feature)
      const model = request.model ?? fallback
      const traits = traitsOf(dialect, model)
      const { betas, stream: _, tools: hosted, ...extra } = request.extra ?? {}
      const said = yield* conversation(request.messages, {
        provider,
        unsignedThoughts: dialect.unsignedThoughts,
        systemInTurns: traits.systemInTurns
      })
      const maxTokens = request.maxTokens ?? traits.maxTokens
      const midway = isMidway(records(said, "messages"))
      const { effort = {}, thinking } = yield* thinkingOf(request, { dialect, traits, maxTokens, midway })
      const output = { ...effort, ...(yield* formatOf(request.responseFormat, dialect)) }
      const tools = [...(request.tools ?? []).map(tool), ...(Array.isArray(hosted) ? hosted : [])]
      const path = (stream ? dialect.streamPath : undefined) ?? dialect.path
      const sampling = traits.sampling || !dialect.modelLimits
      return {
        path: path.replace("{model}", encodeURIComponent(model)),
        headers: headersOf(dialect, said["messages"], betas) ?? {},
        body: {
          ...(path.includes("{model}") ? {} : { model }),
          ...(dialect.version.in === "body" ? { anthropic_version: dialect.version.value } : {}),
          max_tokens: maxTokens,
          ...said,
          ...(tools.length > 0 ? { tools, ...toolChoice(request) } : {}),
          ...optional("thinking", thinking),
          ...(Object.keys(output).length === 0 ? {} : { output_config: output }),
          ...optional("temperature", sampling ? request.temperature : undefined),
          ...optional("top_p", sampling ? request.topP : undefined),
          ...(request.stop !== undefined && request.stop.length > 0 ? { stop_sequences: request.stop } : {}),
          ...(request.user === undefined ? {} : { metadata: { user_id: request.user } }),
          ...extra,
          ...(stream ? { stream: true } : {})
        }
      }
    })

// -------------------------------------------------------------------------------------
// what a server refuses
// -------------------------------------------------------------------------------------

const systemBlocks = (content: unknown): ReadonlyArray<unknown> =>
  typeof content === "string" ? [{ type: "text", text: content }] : Array.isArray(content) ? content : []

/** Instructions further on move to the beginning. */
const withoutSystemTurns = (request: WireRequest): WireRequest | undefined => {
  const messages = records(request.body, "messages")
  const further = messages.filter(({ role }) => role === "system")
  if (further.length === 0) return undefined
  const system = [request.body["system"], ...further.map(({ content }) => content)].flatMap(systemBlocks)
  return { ...request, body: { ...request.body, system, messages: messages.filter(({ role }) => role !== "system") } }
}

/** In the middle of a turn a budget for thinking wants the thoughts back, so there it goes with them. */
const withoutThoughts = (request: WireRequest): WireRequest | undefined => {
  const messages = records(request.body, "messages")
  const holds = (content: unknown): content is ReadonlyArray<unknown> =>
    Array.isArray(content) && content.some(isThought)
  if (!messages.some(({ content }) => holds(content))) return undefined
  const forgetful = messages.map((message): Json => {
    const { content } = message
    return holds(content) ? { ...message, content: content.filter((block) => !isThought(block)) } : message
  })
  const { thinking, ...body } = request.body
  const wanted = isRecord(thinking) && thinking["type"] === "enabled" && isMidway(forgetful)
  return { ...request, body: { ...body, ...(wanted ? {} : optional("thinking", thinking)), messages: forgetful } }
}

/** System messages where the model only takes them at the beginning; thoughts that another model or account has signed. */
export const withoutRefused = (request: WireRequest, message: string): WireRequest | undefined => {
  if (/\brole\b[^.]*\bsystem\b|\bsystem\b[^.]*\brole\b/i.test(message)) return withoutSystemTurns(request)
  return /thinking`? blocks?\b/i.test(message) && /signature|invalid|bound|cannot be modified|decrypt/i.test(message)
    ? withoutThoughts(request)
    : undefined
}

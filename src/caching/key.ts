/**
 * What makes two requests the same: everything that they say, but for what provably does not change the answer.
 *
 * Left out are the marks for providers' prompt caches (Anthropic, "Prompt caching": "has no effect on output generation") and
 * how vectors travel. The order of the vocabulary's own fields does not count, since wires write them in an order of their
 * own. JSON Schemas and `extra` are sent as they are, and models follow the order of a schema's properties: there it counts.
 */
import type { ChatRequest } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"
import type { Embeddable, EmbeddingRequest } from "../vocabulary/Embedding.js"
import type { ModelInfo } from "../call/model.js"

/** Fields of a request that a cache may be told to overlook. */
export type Ignorable = "user" | "metadata"

/** JSON whose fields are in alphabetical order. What is undefined is absent, as in JSON. */
const canonical = (value: unknown, without?: string): string => {
  if (Array.isArray(value)) return `[${value.map((item: unknown) => canonical(item, without)).join(",")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null"
  const fields = Object.entries(value)
    .filter(([name, field]: readonly [string, unknown]) => field !== undefined && name !== without)
    .sort(([one], [other]) => (one < other ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field, without)}`).join(",")}}`
}

/** The same with every field in its place, as the text that it is on the wire. */
const verbatim = (value: unknown): string | undefined => (value === undefined ? undefined : JSON.stringify(value))

const unmarked = (value: unknown): string => canonical(value, "cacheControl")

const place = (kind: string, scope: string, info: ModelInfo, model: string | undefined) => ({
  kind,
  scope,
  provider: info.provider,
  baseUrl: (info.baseUrl ?? "").replace(/\/+$/, ""),
  wire: info.wire,
  model: model ?? info.model
})

/** What a chat asks of whom, as one text. */
export const ofChat = (
  scope: string,
  info: ModelInfo,
  input: ChatRequest.Input,
  ignore: ReadonlySet<Ignorable>
): string => {
  const { extra, messages, metadata, model, responseFormat, tools, user, ...rest } =
    typeof input === "string" ? { ...info.defaults, messages: [Chat.user(input)] } : { ...info.defaults, ...input }
  const asked = {
    ...rest,
    messages: unmarked(messages),
    tools:
      tools === undefined
        ? undefined
        : unmarked(tools.map((tool) => ({ ...tool, parameters: verbatim(tool.parameters) }))),
    responseFormat:
      typeof responseFormat === "object"
        ? { ...responseFormat, schema: verbatim(responseFormat.schema) }
        : responseFormat,
    extra: verbatim(extra),
    user: ignore.has("user") ? undefined : user,
    metadata: ignore.has("metadata") ? undefined : metadata
  }
  return canonical({ place: place("chat", scope, info, model), asked })
}

/** What is asked for one text of an embedding, as one text. */
export const ofEmbedding = (
  scope: string,
  info: ModelInfo,
  request: EmbeddingRequest
): ((text: Embeddable) => string) => {
  const { encoding: _, extra, input: __, model, user: ___, ...rest } = request
  const asked = { ...rest, extra: verbatim(extra) }
  const common = canonical({ place: place("embedding", scope, info, model), asked })
  return (text) => `${common}${JSON.stringify(text)}`
}

/**
 * The content of a cache key: every field of a request except those that provably do not change the answer.
 *
 * Left out are `cacheControl` (Anthropic, "Prompt caching": "has no effect on output generation") and, for embeddings, `encoding`
 * and `user`. The order of the vocabulary's own fields does not count, since each wire has a fixed order. Inside JSON Schemas and
 * `extra` the order counts: they are sent unchanged, and models follow the order of a schema's properties.
 *
 * Stored keys are hashes of this content, so every change of it is a new `version` of `entry.ts`.
 */
import type { ChatRequest } from "../vocabulary/Chat.js"
import { asObject } from "../call/request.js"
import type { Embeddable, EmbeddingRequest } from "../vocabulary/Embedding.js"
import type { ModelInfo } from "../call/model.js"
import { version } from "./entry.js"

/** Fields of a request that the `ignore` option can leave out of the key. */
export type Ignorable = "user" | "metadata"

/** JSON with sorted fields. Undefined fields and those named `without` are left out. */
const canonical = (value: unknown, without?: string): string => {
  if (Array.isArray(value)) return `[${value.map((item: unknown) => canonical(item, without)).join(",")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null"
  const fields = Object.entries(value)
    .filter(([name, field]: readonly [string, unknown]) => field !== undefined && name !== without)
    .sort(([one], [other]) => (one < other ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field, without)}`).join(",")}}`
}

/** JSON with the fields in their order, as on the wire. */
const verbatim = (value: unknown): string | undefined => (value === undefined ? undefined : JSON.stringify(value))

const withoutCacheControl = (value: unknown): string => canonical(value, "cacheControl")

const target = (kind: string, scope: string, info: ModelInfo, model: string | undefined) => ({
  kind,
  scope,
  provider: info.provider,
  baseUrl: (info.baseUrl ?? "").replace(/\/+$/, ""),
  wire: info.wire,
  model: model ?? info.model
})

/** The key content of a chat request: the request with the provider and model that it goes to. */
export const ofChat = (
  scope: string,
  info: ModelInfo,
  input: ChatRequest.Input,
  ignore: ReadonlySet<Ignorable>
): string => {
  const { extra, messages, metadata, model, responseFormat, tools, user, ...rest } = {
    ...info.defaults,
    ...asObject(input)
  }
  const fields = {
    ...rest,
    messages: withoutCacheControl(messages),
    tools:
      tools === undefined
        ? undefined
        : withoutCacheControl(tools.map((tool) => ({ ...tool, parameters: verbatim(tool.parameters) }))),
    responseFormat:
      typeof responseFormat === "object"
        ? { ...responseFormat, schema: verbatim(responseFormat.schema) }
        : responseFormat,
    extra: verbatim(extra),
    user: ignore.has("user") ? undefined : user,
    metadata: ignore.has("metadata") ? undefined : metadata
  }
  return canonical({ version, target: target("chat", scope, info, model), request: fields })
}

/** The key content of each text of an embedding request. */
export const ofEmbedding = (
  scope: string,
  info: ModelInfo,
  request: EmbeddingRequest
): ((text: Embeddable) => string) => {
  const { encoding: _, extra, input: __, model, user: ___, ...rest } = request
  const fields = { ...rest, extra: verbatim(extra) }
  const common = canonical({ version, target: target("embedding", scope, info, model), request: fields })
  return (text) => `${common}${JSON.stringify(text)}`
}

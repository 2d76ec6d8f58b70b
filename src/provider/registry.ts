/** Protocols and providers by name, as files and options name them. */
import { presets as anthropic } from "./presets/anthropic.js"
import { presets as chatCompletions } from "./presets/chatCompletions.js"
import { presets as dashscope } from "./presets/dashscope.js"
import { presets as gemini } from "./presets/gemini.js"
import { presets as ollama } from "./presets/ollama.js"
import { presets as responses } from "./presets/responses.js"

export const protocols = [
  "chat-completions",
  "responses",
  "anthropic-messages",
  "gemini",
  "ollama",
  "dashscope"
] as const

export type Protocol = (typeof protocols)[number]

export const isProtocol = (name: string): name is Protocol => protocols.some((protocol) => protocol === name)

const aliases: ReadonlyMap<string, string> = new Map([
  ["aliyun", "dashscope"],
  ["google", "gemini"],
  ["z.ai", "zai"],
  ["bigmodel", "zhipu"]
])

/** The provider of a name, in lower case and without aliases. */
export const providerOf = (name: string): string => {
  const lower = name.toLowerCase()
  return aliases.get(lower) ?? lower
}

/** Providers whose default protocol is their own; that of all others is Chat Completions. */
const ownProtocols: ReadonlyMap<string, Protocol> = new Map([
  ["anthropic", "anthropic-messages"],
  ["gemini", "gemini"],
  ["vertex", "gemini"],
  ["ollama", "ollama"],
  ["ollama-cloud", "ollama"]
])

/** Base URLs at which these providers offer Chat Completions instead: Ollama below `/v1`, Google below `/openai`. */
const compatibleUrls: ReadonlyMap<Protocol, RegExp> = new Map([
  ["ollama", /\/v1\/*$/],
  ["gemini", /\/openai\/*$/]
])

/** The provider's own protocol, when that is its default at this base URL. */
export const ownProtocol = (provider: string, baseUrl?: string): Protocol | undefined => {
  const protocol = ownProtocols.get(provider)
  return protocol !== undefined && compatibleUrls.get(protocol)?.test(baseUrl ?? "") === true ? undefined : protocol
}

interface Location {
  readonly provider: string
  readonly baseUrl: string
}

const presets: Readonly<Record<Protocol, Readonly<Record<string, Location>>>> = {
  "chat-completions": chatCompletions,
  responses,
  "anthropic-messages": anthropic,
  gemini,
  ollama,
  dashscope
}

const locations: ReadonlyArray<Location> = Object.values(presets).flatMap((ofProtocol) => Object.values(ofProtocol))

/** All providers with a preset, each once. */
export const names: ReadonlyArray<string> = [...new Set(locations.map(({ provider }) => provider))]

/** Whether a provider has a preset in any protocol. */
export const isKnown = (provider: string): boolean => names.includes(provider)

/**
 * Whether a pool has keys of a provider other than the client's. Only the name of a provider with a preset says whose keys they
 * are; other names, such as that of a team, are ids.
 */
export const hasKeysOfAnother = (client: string, pool: string): boolean =>
  isKnown(providerOf(pool)) && providerOf(pool) !== providerOf(client)

/** Whether a preset has the base URL of a provider. Without a protocol, a preset of its default protocols. */
export const hasBaseUrl = (provider: string, protocol: Protocol | undefined): boolean => {
  const own = protocol ?? ownProtocol(provider)
  const candidates: ReadonlyArray<Protocol> = own === undefined ? ["chat-completions", "responses"] : [own]
  return candidates.some((candidate) =>
    Boolean(Object.values(presets[candidate]).find((preset) => preset.provider === provider)?.baseUrl)
  )
}

/** Whether the preset of a provider is a server on this machine, which ignores the key. */
export const isLocal = (provider: string): boolean =>
  locations.some((preset) => preset.provider === provider && preset.baseUrl.startsWith("http://localhost"))

/** Models of embeddings of providers whose other models have none. The name of each of their models of embeddings contains "embed". */
const embeddingModels: ReadonlyMap<string, string> = new Map([
  // https://platform.openai.com/docs/guides/embeddings
  ["openai", "text-embedding-3-small"],
  // https://ai.google.dev/gemini-api/docs/embeddings, https://cloud.google.com/vertex-ai/generative-ai/docs/embeddings/get-text-embeddings
  ["gemini", "gemini-embedding-001"],
  ["vertex", "gemini-embedding-001"],
  ["vertex-express", "gemini-embedding-001"],
  // https://docs.bigmodel.cn/cn/guide/models/embedding/embedding-3
  ["zhipu", "embedding-3"],
  // https://help.aliyun.com/zh/model-studio/embedding
  ["dashscope", "text-embedding-v4"],
  ["dashscope-intl", "text-embedding-v4"],
  // https://docs.mistral.ai/capabilities/embeddings/text_embeddings
  ["mistral", "mistral-embed"]
])

/** The model of embeddings beside a model that has none; undefined where the model can have them itself. */
export const embeddingModelBeside = (provider: string, model: string): string | undefined =>
  /embed/i.test(model) ? undefined : embeddingModels.get(provider)

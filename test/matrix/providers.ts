/** Every preset of every client: a provider in one of the protocols that it speaks, reached by configuration alone. */
import type { HttpClient } from "@effect/platform"
import type { Effect } from "effect"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as DashScopeClient from "../../src/provider/DashScopeClient.js"
import * as EmbeddingsClient from "../../src/provider/EmbeddingsClient.js"
import * as GeminiClient from "../../src/provider/GeminiClient.js"
import * as OllamaClient from "../../src/provider/OllamaClient.js"
import type { Protocol } from "../../src/provider/protocols.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import type { Service } from "../../src/call/ProviderClient.js"
import type { Usage } from "../../src/vocabulary/Usage.js"
import type { Dialect } from "../../src/wire/ChatCompletions.js"

/** What this needs of a preset; the client reads all of it. */
interface PresetEndpoint {
  readonly provider: string
  readonly baseUrl: string
}

export interface Provider extends PresetEndpoint {
  /** As people call it. */
  readonly title: string
  readonly protocol: Protocol
  /** The module of its client. */
  readonly client: string
  /** The name of its preset there. */
  readonly preset: string
  /** One of its models: some of what is sent depends on the name. */
  readonly model: string
  /** Its client, the preset at another address. */
  readonly at: (baseUrl: string) => Effect.Effect<Service, never, HttpClient.HttpClient>
}

export const nameOf = ({ client, preset }: Pick<Provider, "client" | "preset">): string => `${client}.presets.${preset}`

/** Providers by the names in their presets. One that is not here is called by that name. */
const titles: Readonly<Record<string, string>> = {
  anthropic: "Anthropic",
  azure: "Azure OpenAI",
  cohere: "Cohere",
  dashscope: "DashScope",
  "dashscope-intl": "DashScope",
  "dashscope-us": "DashScope",
  deepseek: "DeepSeek",
  gemini: "Google Gemini",
  groq: "Groq",
  lmstudio: "LM Studio",
  mistral: "Mistral",
  moonshot: "Moonshot",
  ollama: "Ollama",
  "ollama-cloud": "Ollama",
  openai: "OpenAI",
  openrouter: "OpenRouter",
  together: "Together",
  vertex: "Google Vertex",
  "vertex-express": "Google Vertex",
  vllm: "vLLM",
  voyage: "Voyage",
  xai: "xAI",
  perplexity: "Perplexity",
  zai: "Z.ai",
  "zai-coding": "Z.ai",
  zhipu: "Zhipu",
  "zhipu-coding": "Zhipu"
}

/** By the names of providers, or of presets where these hold other models. */
const models: Readonly<Record<string, string>> = {
  "AnthropicClient.presets.vertex": "claude-sonnet-4-5@20250929",
  anthropic: "claude-sonnet-4-5",
  azure: "gpt-5",
  dashscope: "qwen-plus",
  "dashscope-intl": "qwen-plus",
  "dashscope-us": "qwen-plus",
  deepseek: "deepseek-flash",
  gemini: "gemini-2.5-flash",
  groq: "openai/gpt-oss-120b",
  mistral: "magistral-medium-latest",
  moonshot: "kimi-k2.5",
  ollama: "qwen3",
  openai: "gpt-5",
  openrouter: "anthropic/claude-sonnet-4.5",
  vertex: "gemini-3-pro-preview",
  xai: "grok-4",
  perplexity: "sonar-pro",
  zai: "glm-4.6",
  "zai-coding": "glm-4.6",
  zhipu: "glm-4.6",
  "zhipu-coding": "glm-4.6"
}

/** The presets of a client. */
const presetsOf = (
  protocol: Protocol,
  client: string,
  presets: Readonly<Record<string, PresetEndpoint>>,
  make: (preset: PresetEndpoint) => ReturnType<Provider["at"]>
): ReadonlyArray<Provider> =>
  Object.entries(presets).map(([name, preset]) => ({
    title: titles[preset.provider] ?? preset.provider,
    provider: preset.provider,
    baseUrl: preset.baseUrl,
    protocol,
    client,
    preset: name,
    model: models[nameOf({ client, preset: name })] ?? models[preset.provider] ?? "some-model",
    at: (baseUrl) => make({ ...preset, baseUrl })
  }))

export const providers: ReadonlyArray<Provider> = [
  ...presetsOf("responses", "ResponsesClient", ResponsesClient.presets, ResponsesClient.make),
  ...presetsOf("anthropic-messages", "AnthropicClient", AnthropicClient.presets, AnthropicClient.make),
  ...presetsOf("gemini", "GeminiClient", GeminiClient.presets, GeminiClient.make),
  ...presetsOf("dashscope", "DashScopeClient", DashScopeClient.presets, DashScopeClient.make),
  ...presetsOf("ollama", "OllamaClient", OllamaClient.presets, OllamaClient.make),
  ...presetsOf("chat-completions", "ChatCompletionsClient", ChatCompletionsClient.presets, ChatCompletionsClient.make)
]

const dialects: Readonly<Record<string, ChatCompletionsClient.Options>> = ChatCompletionsClient.presets

/** How the server of a provider deviates where it follows OpenAI. */
export const dialectOf = ({ preset, protocol }: Provider): Partial<Dialect> =>
  (protocol === "chat-completions" ? dialects[preset]?.dialect : undefined) ?? {}

/** Those that only embed. */
export const embedders = Object.entries(EmbeddingsClient.presets).map(([preset, options]) => ({
  ...options,
  preset,
  title: titles[options.provider] ?? options.provider
}))

// -------------------------------------------------------------------------------------
// what a provider truly cannot carry
// -------------------------------------------------------------------------------------

/** Counts that a provider does not give: they are zero. */
export const uncounted = ({ protocol }: Provider): ReadonlyArray<keyof Usage> =>
  // docs.ollama.com/api/usage: what was read and what was written, and no more.
  protocol === "ollama" ? ["cachedInputTokens", "reasoningTokens"] : []

/** Whether calls go back without their ids, and results by the names of the functions and in order. */
export const anonymousCalls = ({ model, protocol }: Provider): boolean =>
  // ai.google.dev/gemini-api/docs/function-calling: models before Gemini 3 refuse ids.
  protocol === "gemini" && model.startsWith("gemini-2")

const noSchema = { schema: "JSON Schema output" }

const noTools = { tool: "tools", tools: "tools", results: "tools", thinking: "tools" }

const missingFeatures: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // api-docs.deepseek.com/guides/json_mode: any JSON object at most.
  "ChatCompletionsClient.presets.deepseek": noSchema,
  // Messages as others than Anthropic speak it: none of their documents knows `output_config.format`.
  "AnthropicClient.presets.deepseek": noSchema,
  "AnthropicClient.presets.moonshot": noSchema,
  "AnthropicClient.presets.zai": noSchema,
  // docs.z.ai/guides/capabilities/struct-output: any JSON object at most.
  "ChatCompletionsClient.presets.zai": noSchema,
  "ChatCompletionsClient.presets.zaiCoding": noSchema,
  "ChatCompletionsClient.presets.zhipu": noSchema,
  "ChatCompletionsClient.presets.zhipuCoding": noSchema,
  // docs.perplexity.ai/api-reference/chat-completions-post has no word for them.
  "ChatCompletionsClient.presets.perplexity": noTools
}

/** The best way to a value that a provider has. */
export const bestWay = (provider: Provider): "schema" | "tool" | "prompt" => {
  if (missing(provider, "schema") === undefined) return "schema"
  return dialectOf(provider).toolChoices === "auto" ? "prompt" : "tool"
}

/**
 * What a provider has no word for, by the name of the scenario: there the cell is an `UnsupportedError` that names this
 * feature, and nothing is sent.
 */
export const missing = (provider: Provider, scenario: string): string | undefined => missingFeatures[nameOf(provider)]?.[scenario]

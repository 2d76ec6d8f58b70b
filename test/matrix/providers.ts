/** Every preset of every client: a provider with one of its protocols, reached by configuration alone. */
import type { HttpClient } from "@effect/platform"
import type { Effect } from "effect"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as DashScopeClient from "../../src/provider/DashScopeClient.js"
import * as EmbeddingsClient from "../../src/provider/EmbeddingsClient.js"
import * as GeminiClient from "../../src/provider/GeminiClient.js"
import * as OllamaClient from "../../src/provider/OllamaClient.js"
import type { Protocol } from "../../src/provider/registry.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import type { Service } from "../../src/call/ProviderClient.js"
import type { Usage } from "../../src/vocabulary/Usage.js"
import type { Dialect } from "../../src/wire/ChatCompletions.js"

/** The fields of a preset that are used here. */
interface PresetEndpoint {
  readonly provider: string
  readonly baseUrl: string
}

export interface Provider extends PresetEndpoint {
  /** The display name. */
  readonly title: string
  readonly protocol: Protocol
  /** The module of its client. */
  readonly client: string
  /** The name of its preset in that module. */
  readonly preset: string
  /** One of its models: some fields depend on the name. */
  readonly model: string
  /** Makes its client with another base URL. */
  readonly at: (baseUrl: string) => Effect.Effect<Service, never, HttpClient.HttpClient>
}

export const nameOf = ({ client, preset }: Pick<Provider, "client" | "preset">): string => `${client}.presets.${preset}`

/** Display names by the provider names of presets. The default is that name. */
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
  minimax: "MiniMax",
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

/** Models by provider name, or by preset name when the preset has other models. */
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
  minimax: "MiniMax-M3",
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

/** The dialect of a provider's Chat Completions protocol. */
export const dialectOf = ({ preset, protocol }: Provider): Partial<Dialect> =>
  (protocol === "chat-completions" ? dialects[preset]?.dialect : undefined) ?? {}

/** Providers with embeddings only. */
export const embedders = Object.entries(EmbeddingsClient.presets).map(([preset, options]) => ({
  ...options,
  preset,
  title: titles[options.provider] ?? options.provider
}))

// -------------------------------------------------------------------------------------
// features that providers lack
// -------------------------------------------------------------------------------------

/** Token counts that a provider does not report, which are zero. */
export const uncounted = ({ protocol }: Provider): ReadonlyArray<keyof Usage> =>
  // docs.ollama.com/api/usage: only input and output.
  protocol === "ollama" ? ["cachedInputTokens", "reasoningTokens"] : []

/** Whether tool calls are sent back without ids, and results are matched by function name and order. */
export const anonymousCalls = ({ model, protocol }: Provider): boolean =>
  // ai.google.dev/gemini-api/docs/function-calling: models before Gemini 3 reject ids.
  protocol === "gemini" && model.startsWith("gemini-2")

const noSchema = { schema: "JSON Schema output" }

const noTools = { tool: "tools", tools: "tools", results: "tools", reasoning: "tools" }

const missingFeatures: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // api-docs.deepseek.com/guides/json_mode: any JSON object at most.
  "ChatCompletionsClient.presets.deepseek": noSchema,
  // Messages at other providers than Anthropic: none of their documents has `output_config.format`.
  "AnthropicClient.presets.deepseek": noSchema,
  "AnthropicClient.presets.minimax": noSchema,
  "AnthropicClient.presets.moonshot": noSchema,
  "AnthropicClient.presets.zai": noSchema,
  // MiniMax-AI/MiniMax-M2.5, issue 4: `response_format` is ignored.
  "ChatCompletionsClient.presets.minimax": noSchema,
  // docs.z.ai/guides/capabilities/struct-output: any JSON object at most.
  "ChatCompletionsClient.presets.zai": noSchema,
  "ChatCompletionsClient.presets.zaiCoding": noSchema,
  "ChatCompletionsClient.presets.zhipu": noSchema,
  "ChatCompletionsClient.presets.zhipuCoding": noSchema,
  // docs.perplexity.ai/api-reference/chat-completions-post has no fields for them.
  "ChatCompletionsClient.presets.perplexity": noTools
}

/** The best mode of `LLM.generateObject` that a provider supports. */
export const bestWay = (provider: Provider): "schema" | "tool" | "prompt" => {
  if (missing(provider, "schema") === undefined) return "schema"
  return dialectOf(provider).toolChoices === "auto" ? "prompt" : "tool"
}

/**
 * The feature of a scenario that a provider lacks: the call fails with an `UnsupportedError` that names it, and nothing is
 * sent.
 */
export const missing = (provider: Provider, scenario: string): string | undefined =>
  missingFeatures[nameOf(provider)]?.[scenario]

/** The protocols whose recordings are replayed, with their clients. */
import type { HttpClient } from "@effect/platform"
import type { Layer } from "effect"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as DashScopeClient from "../../src/provider/DashScopeClient.js"
import * as EmbeddingsClient from "../../src/provider/EmbeddingsClient.js"
import * as GeminiClient from "../../src/provider/GeminiClient.js"
import * as OllamaClient from "../../src/provider/OllamaClient.js"
import type { Preset } from "../../src/provider/client.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import type { Endpoint, ProviderClient } from "../../src/call/ProviderClient.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as DashScope from "../support/dashscope.js"
import { gemini } from "../../src/wire/embeddings/client/gemini.js"
import { ollama } from "../../src/wire/embeddings/client/ollama.js"
import * as Gemini from "../../src/wire/Gemini.js"
import * as Ollama from "../../src/wire/Ollama.js"
import * as Responses from "../../src/wire/Responses.js"
import type { EmbeddingsWire, Wire } from "../../src/wire/Wire.js"

export interface Protocol {
  /** Decodes the recorded request. */
  readonly wire: Wire
  readonly client: (endpoint: Endpoint) => Layer.Layer<ProviderClient, never, HttpClient.HttpClient>
}

/** The embeddings of each provider's preset; those of OpenAI for a provider without one. */
const openaiEmbeddings = (provider: string): EmbeddingsWire => {
  const preset = Object.values<Preset<Partial<ChatCompletions.Dialect>>>(ChatCompletionsClient.presets).find(
    (each) => each.provider === provider
  )
  return ChatCompletions.client(preset?.dialect).embeddings ?? EmbeddingsClient.openai()
}

/** Embedding wires by folder name and provider. */
export const embedders: Readonly<Record<string, (provider: string) => EmbeddingsWire>> = {
  "embeddings-openai": openaiEmbeddings,
  "embeddings-gemini": (provider) => gemini(provider === "vertex" ? "predict" : "batchEmbedContents"),
  "embeddings-other": (provider) =>
    provider === "cohere"
      ? EmbeddingsClient.presets.cohere.embeddings
      : provider === "ollama"
        ? ollama
        : EmbeddingsClient.presets.voyage.embeddings
}

/** Protocols by the folder name of their recordings. */
export const protocols: Readonly<Record<string, Protocol>> = {
  anthropic: { wire: Anthropic.make(), client: AnthropicClient.layer },
  "chat-completions": { wire: ChatCompletions.make(), client: ChatCompletionsClient.layer },
  "dashscope-native": { wire: DashScope.make(), client: DashScopeClient.layer },
  gemini: { wire: Gemini.make(), client: GeminiClient.layer },
  ollama: { wire: Ollama.make(), client: OllamaClient.layer },
  responses: { wire: Responses.make(), client: ResponsesClient.layer }
}

/** Clients by the name of their provider, for names in files and environment variables. */
import type { HttpClient } from "@effect/platform"
import type { Effect } from "effect"
import type { Endpoint, Service } from "../wire/providerClient.js"
import * as AnthropicClient from "./AnthropicClient.js"
import * as ChatCompletionsClient from "./ChatCompletionsClient.js"
import * as DashScopeClient from "./DashScopeClient.js"
import * as GeminiClient from "./GeminiClient.js"
import * as OllamaClient from "./OllamaClient.js"
import type { Preset } from "./client.js"
import type { Protocol } from "./registry.js"
import { ownProtocol, providerOf } from "./registry.js"
import * as ResponsesClient from "./ResponsesClient.js"

export interface Named extends Partial<Endpoint> {
  readonly provider: string
  /** The provider whose preset completes the options. @default that of `provider` */
  readonly preset?: string
  /** @default the provider's own protocol when that is its default, else "chat-completions" */
  readonly wire?: Protocol
}

type Make = (options: Named) => Effect.Effect<Service, never, HttpClient.HttpClient>

const fromPreset =
  <Dialect>(
    presets: Readonly<Record<string, Preset<Dialect>>>,
    make: (options: Preset<Dialect>) => ReturnType<Make>
  ): Make =>
  ({ preset, wire: _, ...endpoint }) => {
    const name = providerOf(preset ?? endpoint.provider)
    return make({ ...Object.values(presets).find(({ provider }) => provider === name), ...endpoint })
  }

const clients: Readonly<Record<Protocol, Make>> = {
  "chat-completions": fromPreset(ChatCompletionsClient.presets, ChatCompletionsClient.make),
  responses: fromPreset(ResponsesClient.presets, ResponsesClient.make),
  "anthropic-messages": fromPreset(AnthropicClient.presets, AnthropicClient.make),
  gemini: fromPreset(GeminiClient.presets, GeminiClient.make),
  ollama: fromPreset(OllamaClient.presets, OllamaClient.make),
  dashscope: fromPreset(DashScopeClient.presets, DashScopeClient.make)
}

export const make: Make = (options) =>
  clients[
    options.wire ?? ownProtocol(providerOf(options.preset ?? options.provider), options.baseUrl) ?? "chat-completions"
  ](options)

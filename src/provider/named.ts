/** A client by the name of its provider, for those who read names from files and environments. */
import type { HttpClient } from "@effect/platform"
import type { Effect } from "effect"
import type { Endpoint, Service } from "../wire/providerClient.js"
import * as AnthropicClient from "./AnthropicClient.js"
import * as ChatCompletionsClient from "./ChatCompletionsClient.js"
import * as DashScopeClient from "./DashScopeClient.js"
import * as GeminiClient from "./GeminiClient.js"
import * as OllamaClient from "./OllamaClient.js"
import type { Preset } from "./presets/preset.js"
import type { Protocol } from "./protocols.js"
import { ownProtocol, providerOf } from "./protocols.js"
import * as ResponsesClient from "./ResponsesClient.js"

export interface Named extends Partial<Endpoint> {
  readonly provider: string
  /** The provider of the preset to build on, where it is not the one with this provider's name. */
  readonly preset?: string
  /** @default the provider's own protocol where it is the usual one with it, else "chat-completions" */
  readonly wire?: Protocol
}

type Make = (options: Named) => Effect.Effect<Service, never, HttpClient.HttpClient>

const builtOn =
  <Dialect>(
    presets: Readonly<Record<string, Preset<Dialect>>>,
    make: (options: Preset<Dialect>) => ReturnType<Make>
  ): Make =>
  ({ preset, wire: _, ...endpoint }) => {
    const name = providerOf(preset ?? endpoint.provider)
    return make({ ...Object.values(presets).find(({ provider }) => provider === name), ...endpoint })
  }

const clients: Readonly<Record<Protocol, Make>> = {
  "chat-completions": builtOn(ChatCompletionsClient.presets, ChatCompletionsClient.make),
  responses: builtOn(ResponsesClient.presets, ResponsesClient.make),
  "anthropic-messages": builtOn(AnthropicClient.presets, AnthropicClient.make),
  gemini: builtOn(GeminiClient.presets, GeminiClient.make),
  ollama: builtOn(OllamaClient.presets, OllamaClient.make),
  dashscope: builtOn(DashScopeClient.presets, DashScopeClient.make)
}

export const make: Make = (options) =>
  clients[
    options.wire ?? ownProtocol(providerOf(options.preset ?? options.provider), options.baseUrl) ?? "chat-completions"
  ](options)

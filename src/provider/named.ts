/** A client by the name of its provider, for those who read names from files and environments. */
import type { HttpClient } from "@effect/platform"
import type { Effect } from "effect"
import type { Endpoint, Service } from "../ProviderClient.js"
import * as ChatCompletionsClient from "./ChatCompletionsClient.js"
import * as GeminiClient from "./GeminiClient.js"
import { presetOf } from "./preset.js"
import * as ResponsesClient from "./ResponsesClient.js"

/** The protocols that a name can be joined to. */
export type NamedWire = "chat-completions" | "responses" | "gemini"

export interface Named extends Partial<Endpoint> {
  readonly provider: string
  /** The provider of the preset to build on, where it is not the one with this provider's name. */
  readonly preset?: string
  /** @default what the provider speaks, where it has a preset; else "chat-completions" */
  readonly wire?: NamedWire
}

/** What a provider is spoken to in. Google has Chat Completions too, below `/openai`. */
const wireOf = (preset: string, baseUrl: string | undefined): NamedWire =>
  Object.values(GeminiClient.presets).some(({ provider }) => provider === preset) && !/\/openai\/*$/.test(baseUrl ?? "")
    ? "gemini"
    : "chat-completions"

export const make = ({ preset, wire, ...endpoint }: Named): Effect.Effect<Service, never, HttpClient.HttpClient> => {
  const wanted = presetOf(preset ?? endpoint.provider)
  const named = <Options extends { readonly provider?: string }>(presets: Readonly<Record<string, Options>>) =>
    Object.values(presets).find(({ provider }) => provider === wanted)
  switch (wire ?? wireOf(wanted, endpoint.baseUrl)) {
    case "responses":
      return ResponsesClient.make({ ...named<ResponsesClient.Options>(ResponsesClient.presets), ...endpoint })
    case "gemini":
      return GeminiClient.make({ ...named<GeminiClient.Options>(GeminiClient.presets), ...endpoint })
    case "chat-completions":
      return ChatCompletionsClient.make({
        ...named<ChatCompletionsClient.Options>(ChatCompletionsClient.presets),
        ...endpoint
      })
  }
}

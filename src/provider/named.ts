/** A client by the name of its provider, for those who read names from files and environments. */
import type { HttpClient } from "@effect/platform"
import type { Effect } from "effect"
import type { Endpoint, Service } from "../ProviderClient.js"
import * as AnthropicClient from "./AnthropicClient.js"
import * as ChatCompletionsClient from "./ChatCompletionsClient.js"
import * as ResponsesClient from "./ResponsesClient.js"

export interface Named extends Partial<Endpoint> {
  readonly provider: string
  /** The provider of the preset to build on, where it is not the one with this provider's name. */
  readonly preset?: string
  /** That of the provider where it has one of its own, else Chat Completions. */
  readonly wire?: Wire
}

type Wire = "chat-completions" | "responses" | "anthropic-messages"

/** The protocol of a provider that speaks one of its own. */
export const ownWire = (provider: string): Wire | undefined =>
  provider.toLowerCase() === AnthropicClient.presets.anthropic.provider ? "anthropic-messages" : undefined

export const make = ({ preset, wire, ...endpoint }: Named): Effect.Effect<Service, never, HttpClient.HttpClient> => {
  const named = <Options extends { readonly provider?: string }>(presets: Readonly<Record<string, Options>>) =>
    Object.values(presets).find(({ provider }) => provider === (preset ?? endpoint.provider))
  switch (wire ?? ownWire(preset ?? endpoint.provider)) {
    case "anthropic-messages":
      return AnthropicClient.make({ ...named<AnthropicClient.Options>(AnthropicClient.presets), ...endpoint })
    case "responses":
      return ResponsesClient.make({ ...named<ResponsesClient.Options>(ResponsesClient.presets), ...endpoint })
    default:
      return ChatCompletionsClient.make({
        ...named<ChatCompletionsClient.Options>(ChatCompletionsClient.presets),
        ...endpoint
      })
  }
}

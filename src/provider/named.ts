/** A client by the name of its provider, for those who read names from files and environments. */
import type { HttpClient } from "@effect/platform"
import type { Effect } from "effect"
import type { Endpoint, Service } from "../ProviderClient.js"
import * as ChatCompletionsClient from "./ChatCompletionsClient.js"
import * as ResponsesClient from "./ResponsesClient.js"

export interface Named extends Partial<Endpoint> {
  readonly provider: string
  /** The provider of the preset to build on, where it is not the one with this provider's name. */
  readonly preset?: string
  readonly wire?: "chat-completions" | "responses"
}

export const make = ({ preset, wire, ...endpoint }: Named): Effect.Effect<Service, never, HttpClient.HttpClient> => {
  const named = <Options extends { readonly provider?: string }>(presets: Readonly<Record<string, Options>>) =>
    Object.values(presets).find(({ provider }) => provider === (preset ?? endpoint.provider))
  return wire === "responses"
    ? ResponsesClient.make({ ...named<ResponsesClient.Options>(ResponsesClient.presets), ...endpoint })
    : ChatCompletionsClient.make({
        ...named<ChatCompletionsClient.Options>(ChatCompletionsClient.presets),
        ...endpoint
      })
}

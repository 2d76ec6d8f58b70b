/** The protocols whose recordings are replayed, and who speaks them. */
import type { HttpClient } from "@effect/platform"
import type { Layer } from "effect"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import type { Endpoint, ProviderClient } from "../../src/ProviderClient.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as Responses from "../../src/wire/Responses.js"
import type { Wire } from "../../src/wire/Wire.js"

export interface Protocol {
  /** Reads the question that was recorded. */
  readonly wire: Wire
  readonly client: (endpoint: Endpoint) => Layer.Layer<ProviderClient, never, HttpClient.HttpClient>
}

/** By the name of the folder with the recordings. */
export const protocols: Readonly<Record<string, Protocol>> = {
  "chat-completions": { wire: ChatCompletions.make(), client: ChatCompletionsClient.layer },
  responses: { wire: Responses.make(), client: ResponsesClient.layer },
  anthropic: { wire: Anthropic.make(), client: AnthropicClient.layer }
}

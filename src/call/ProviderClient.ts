/**
 * Sends one request to one provider with one key, without rate limits, retries or key selection. `make` combines a wire protocol
 * with an endpoint; most programs use a ready client such as `ChatCompletionsClient` or `ResponsesClient`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { LLM, ProviderClient } from "effect-llm"
 * import { ChatCompletions } from "effect-llm/wire"
 *
 * const Client = Layer.effect(
 *   ProviderClient.ProviderClient,
 *   ProviderClient.make(ChatCompletions.make(), { provider: "acme", baseUrl: "https://llm.acme.example/v1" })
 * )
 *
 * const Acme = LLM.layer({ model: "acme-large" }).pipe(Layer.provide(Client))
 * ```
 *
 * @since 0.1.0
 */
export {
  /**
   * @since 0.1.0
   * @category constructors
   */
  make,
  /**
   * @since 0.1.0
   * @category constructors
   */
  makeEmbeddings
} from "./client.js"
export type { Auth, Call, Embeddings, Endpoint, Service } from "../wire/providerClient.js"
export { ProviderClient } from "../wire/providerClient.js"

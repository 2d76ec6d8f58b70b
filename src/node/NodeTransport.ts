/**
 * HTTP over undici for Node, with connections of its own. Provides an `HttpClient` for every use, over which the clients of this library
 * send their calls without an Effect for each step of a request.
 *
 * An `HttpClient` that is made from it, such as by `HttpClient.mapRequest`, works as well, as any other `HttpClient` does: what it adds is
 * never bypassed.
 *
 * Responses may take any time: the time limits of calls end them. Proxies of the environment are used only with the option `proxy`. Closing
 * the layer closes its connections at once, and fails the requests that are running.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const OpenAI = LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici))
 *
 * const BehindProxy = LLM.layerConfig().pipe(
 *   Layer.provide(NodeTransport.layerUndiciOptions({ proxy: "http://proxy.internal:3128", connectTimeout: "3 seconds" }))
 * )
 * ```
 *
 * @since 0.2.0
 */
import { HttpClient } from "@effect/platform"
import type { Dispatcher } from "@effect/platform-node/Undici"
import type { Scope } from "effect"
import { Effect, Layer } from "effect"
import * as Direct from "../call/direct.js"
import * as Agent from "./agent.js"
import { makeClient } from "./client.js"
import type { InvalidTransportError, UndiciOptions } from "./model.js"
import * as Transport from "./transport.js"

export type { UndiciOptions } from "./model.js"
export { InvalidTransportError } from "./model.js"

const clientOver = (dispatcher: Dispatcher): Effect.Effect<HttpClient.HttpClient> =>
  Effect.map(makeClient(dispatcher), (client) => {
    Direct.register(client, Transport.make(dispatcher))
    return client
  })

/**
 * Makes an `HttpClient` with connections of its own, which close with the scope.
 *
 * @since 0.2.0
 * @category constructors
 */
export const makeUndici = (
  options: UndiciOptions = {}
): Effect.Effect<HttpClient.HttpClient, InvalidTransportError, Scope.Scope> =>
  Effect.flatMap(Agent.fromOptions(options), clientOver)

/**
 * Provides an `HttpClient` with the default options.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const OpenAI = LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici))
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layerUndici: Layer.Layer<HttpClient.HttpClient> = Layer.scoped(
  HttpClient.HttpClient,
  Effect.flatMap(Agent.make(Agent.defaults), clientOver)
)

/**
 * Provides an `HttpClient` with options: times, the number of connections, a proxy, or a dispatcher of undici.
 *
 * @example
 * ```ts
 * import { Undici } from "@effect/platform-node"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const Bounded = NodeTransport.layerUndiciOptions({ connections: 64, keepAliveTimeout: "30 seconds" })
 *
 * // HTTP_PROXY, HTTPS_PROXY and NO_PROXY
 * const Proxied = NodeTransport.layerUndiciOptions({ proxy: "environment" })
 *
 * // A dispatcher of your own, which looks up each host once in ten seconds.
 * const Resolved = NodeTransport.layerUndiciOptions({
 *   dispatcher: new Undici.Agent().compose(Undici.interceptors.dns())
 * })
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layerUndiciOptions = (options: UndiciOptions): Layer.Layer<HttpClient.HttpClient, InvalidTransportError> =>
  Layer.scoped(HttpClient.HttpClient, makeUndici(options))

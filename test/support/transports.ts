/** The two ways of a request to the network: over the direct transport of Node, and over any other `HttpClient`. */
import type { HttpClient } from "@effect/platform"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type { Layer } from "effect"
import * as NodeTransport from "../../src/node/NodeTransport.js"

export type Transport = Layer.Layer<HttpClient.HttpClient>

/** The transport of the command line and of the gateway. */
export const direct: Transport = NodeTransport.layerUndici

export const portable: Transport = NodeHttpClient.layerUndici

/** Both transports, for laws that hold on each. */
export const transports: ReadonlyArray<readonly [string, Transport]> = [
  ["the direct transport", direct],
  ["the portable transport", portable]
]

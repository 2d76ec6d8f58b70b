/** The client of the platform over a dispatcher of undici. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type { Dispatcher } from "@effect/platform-node/Undici"
import { Effect } from "effect"
import type { HttpClient } from "effect/http"

export const makeClient = (dispatcher: Dispatcher): Effect.Effect<HttpClient.HttpClient> =>
  Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher)

/** The client of the platform over a dispatcher of undici: one module, since that of Effect 4 is made in another way. */
import type { HttpClient } from "@effect/platform"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type { Dispatcher } from "@effect/platform-node/Undici"
import { Effect } from "effect"

export const makeClient = (dispatcher: Dispatcher): Effect.Effect<HttpClient.HttpClient> =>
  Effect.sync(() => NodeHttpClient.makeUndici(dispatcher))

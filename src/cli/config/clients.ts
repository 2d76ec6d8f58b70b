/** Provider clients of a configuration, for requests about a provider instead of a model: model lists and key checks. */
import type { HttpClient } from "@effect/platform"
import { Effect } from "effect"
import { endpointOf } from "../../models/liveModel.js"
import * as KeyPool from "../../keyPool/KeyPool.js"
import * as NamedClient from "../../provider/named.js"
import type { ModelEntry } from "../../models/fileModel.js"
import type { Service as Client } from "../../wire/providerClient.js"
import type { CliFailure } from "../failure.js"
import { configurationFailure } from "../failure.js"
import type { Source } from "./loadModels.js"

export interface ConfiguredClient {
  readonly entry: ModelEntry
  readonly client: Client
  readonly pool: KeyPool.Service
}

/** Makes the client and the key pool of each entry. */
export const makeClients = ({
  file
}: Source): Effect.Effect<ReadonlyArray<ConfiguredClient>, CliFailure, HttpClient.HttpClient> =>
  Effect.forEach(file.models, (entry) =>
    Effect.gen(function* () {
      const client = yield* NamedClient.make(endpointOf(entry, {}))
      const pool = yield* Effect.mapError(
        KeyPool.make({ provider: entry.provider, keys: entry.keys }),
        configurationFailure
      )
      return { entry, client, pool }
    })
  )

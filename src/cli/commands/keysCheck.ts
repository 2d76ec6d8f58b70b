/** `effect-llm keys check`: checks which keys work. */
import { Effect, Option } from "effect"
import * as KeyPool from "../../keyPool/KeyPool.js"
import { ProviderClient } from "../../wire/providerClient.js"
import * as Clients from "../config/clients.js"
import { CliFailure, exitCodes, callFailure } from "../failure.js"
import { printJson, printTable } from "../output.js"
import { loadSource } from "../config/loadModels.js"
import { formatDuration } from "../terminal/renderAnswer.js"
import type { Attribute } from "../terminal/style.js"
import type { Arguments } from "../definitions/keysCheck.js"

const conditionColours: Readonly<Record<KeyPool.Condition, Attribute>> = {
  works: "green",
  "rate-limited": "yellow",
  unknown: "yellow",
  revoked: "red",
  forbidden: "red",
  "over-quota": "red",
  "lacks-model": "red"
}

/** A rate limit is temporary, so the key counts as working. */
const isUsable = (condition: KeyPool.Condition): boolean => condition === "works" || condition === "rate-limited"

export const run = ({ ask, config, json }: Arguments) =>
  Effect.gen(function* () {
    const source = yield* loadSource({ config, model: Option.none() })
    const clients = yield* Clients.makeClients(source)
    const checked = yield* Effect.forEach(
      clients,
      ({ client, entry, pool }) => {
        const name = entry.model === "" ? entry.provider : `${entry.provider}/${entry.model}`
        // Without a list of models, a chat request is the only check.
        const sendsRequest = (ask || client.listModels === undefined) && entry.model !== ""
        return KeyPool.check({ ask: sendsRequest, ...(entry.model === "" ? {} : { model: entry.model }) }).pipe(
          Effect.provideService(KeyPool.KeyPool, pool),
          Effect.provideService(ProviderClient, client),
          // The provider supports no check.
          Effect.catchTag("UnsupportedError", (error) =>
            Effect.map(pool.keys, (keys) =>
              keys.map(({ id }): KeyPool.CheckedKey => ({ id, condition: "unknown", error, duration: 0 }))
            )
          ),
          Effect.mapError(callFailure),
          Effect.map((keys) => keys.map((key) => ({ name, key })))
        )
      },
      { concurrency: 4 }
    )
    const rows = checked.flat()
    yield* json
      ? printJson(
          rows.map(({ key: { condition, duration, error, id }, name }) => ({
            model: name,
            key: id,
            condition,
            duration: Math.round(duration),
            ...(error === undefined ? {} : { error: error.message })
          }))
        )
      : printTable(
          ["model", "key", "state", "took", "why"],
          rows.map(({ key: { condition, duration, error, id }, name }) => [
            { text: name },
            { text: id },
            { text: condition, attributes: [conditionColours[condition]] },
            { text: formatDuration(duration), right: true },
            { text: error?.message ?? "" }
          ])
        )
    if (rows.some(({ key }) => !isUsable(key.condition))) {
      return yield* new CliFailure({ exitCode: exitCodes.failed, message: "" })
    }
  })

/** Simulations of a `provider.json`, and of the same file with changes. */
import type { HttpClient } from "@effect/platform"
import type { ConfigError, Scope } from "effect"
import { Effect, Redacted } from "effect"
import type { InvalidPoolError } from "../keyPool/model.js"
import { idOf } from "../models/catalogue.js"
import type { ModelEntry, ProviderFile } from "../models/fileModel.js"
import * as Models from "../models/Models.js"
import type { InvalidLimitError } from "../rateLimiter/model.js"
import * as ApiKey from "../vocabulary/ApiKey.js"
import type { ModelNotFoundError } from "../vocabulary/LLMError.js"
import type { Subject } from "./engine.js"
import type { Arrival, FileOptions } from "./model.js"

/** The errors of a file that cannot be used. */
export type FileError = InvalidPoolError | InvalidLimitError | ConfigError.ConfigError | ModelNotFoundError

export const subjectOfFile = <E, R>(
  file: ProviderFile,
  { makeMiddleware, model, workload }: FileOptions<E, R>
): Effect.Effect<Subject, FileError | E, R | HttpClient.HttpClient | Scope.Scope> =>
  Effect.gen(function* () {
    const models = yield* Models.make(file, { telemetry: false })
    const middleware = makeMiddleware && (yield* makeMiddleware)
    const find = (name: string | undefined) =>
      Effect.flatMap(name === undefined ? models.default : models.get(name), (llm) =>
        middleware === undefined ? Effect.succeed(llm) : middleware(llm)
      )
    const names = new Set("trace" in workload ? workload.trace.map((arrival) => arrival.model ?? model) : [model])
    const llms = new Map(yield* Effect.forEach(names, (name) => Effect.map(find(name), (llm) => [name, llm] as const)))
    const llm = llms.get(model) ?? (yield* find(model))
    const groups = new Map(
      file.models.flatMap((entry) =>
        entry.keys.flatMap((key) =>
          key.quotaGroup === undefined ? [] : [[JSON.stringify([entry.provider, key.id]), key.quotaGroup] as const]
        )
      )
    )
    return {
      route: (arrival: Arrival) => ({ llm: llms.get(arrival.model ?? model) ?? llm }),
      models: Effect.forEach(file.models, (entry) =>
        Effect.flatMap(Effect.orDie(models.get(idOf(entry))), ({ status }) =>
          Effect.map(status, (status) => ({ model: idOf(entry), status }))
        )
      ),
      accountOf: (provider: string, keyId: string) => groups.get(JSON.stringify([provider, keyId])) ?? keyId
    }
  })

/** A changed file. */
export interface FileChange {
  readonly change: string
  readonly file: ProviderFile
}

const withModels = (file: ProviderFile, change: (entry: ModelEntry) => ModelEntry): ProviderFile => ({
  ...file,
  models: file.models.map(change)
})

const addedKey = "one-more-key"

const unlimited = 1e9

const withoutBucket = { capacity: unlimited, refillRate: unlimited }

/** Every model with one more key, like its first one, of an account of its own. */
export const oneMoreKey = (file: ProviderFile): FileChange => ({
  change: "one more key",
  file: withModels(file, (entry) => {
    const [first] = entry.keys
    if (first === undefined) return entry
    const { maxConcurrency, requestsPerSecond, weight } = first
    const limits = {
      ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
      ...(requestsPerSecond === undefined ? {} : { requestsPerSecond })
    }
    const added = ApiKey.make(Redacted.make(`${Redacted.value(first.value)}-${addedKey}`), {
      id: addedKey,
      weight,
      ...limits
    })
    return { ...entry, keys: [...entry.keys, added] }
  })
})

/** Whether the bucket is only the default of a limit per minute or day. */
const isDerived = ({ capacity, requestsPerDay, requestsPerMinute }: ModelEntry): boolean =>
  capacity === requestsPerMinute || capacity === requestsPerDay

/** The file without each of its limits in turn. */
export const withoutEachLimit = (file: ProviderFile): ReadonlyArray<FileChange> => {
  const without = (
    name: string,
    isSet: (entry: ModelEntry) => boolean,
    lifted: (entry: ModelEntry) => Partial<ModelEntry>
  ): ReadonlyArray<FileChange> =>
    file.models.some(isSet)
      ? [
          {
            change: `without ${name}`,
            file: withModels(file, (entry) => (isSet(entry) ? { ...entry, ...lifted(entry) } : entry))
          }
        ]
      : []
  const hasKeyLimit = ({ keys }: ModelEntry): boolean =>
    keys.some(({ maxConcurrency, requestsPerSecond }) => (maxConcurrency ?? requestsPerSecond) !== undefined)
  return [
    ...without(
      "rate_limit",
      (entry) => !isDerived(entry),
      () => withoutBucket
    ),
    ...without(
      "requests_per_minute",
      ({ requestsPerMinute }) => requestsPerMinute !== undefined,
      (entry) => ({ requestsPerMinute: undefined, ...(isDerived(entry) ? withoutBucket : {}) })
    ),
    ...without(
      "requests_per_day",
      ({ requestsPerDay }) => requestsPerDay !== undefined,
      (entry) => ({ requestsPerDay: undefined, ...(isDerived(entry) ? withoutBucket : {}) })
    ),
    ...without(
      "tokens_per_minute",
      ({ tokensPerMinute }) => tokensPerMinute !== undefined,
      () => ({ tokensPerMinute: undefined })
    ),
    ...without(
      "max_concurrency",
      ({ maxConcurrency }) => maxConcurrency !== undefined,
      () => ({ maxConcurrency: undefined })
    ),
    ...without("limits of keys", hasKeyLimit, ({ keys }) => ({
      keys: keys.map(({ maxConcurrency: _c, requestsPerSecond: _r, ...key }) => key)
    }))
  ]
}

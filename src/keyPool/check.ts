/** Checks each key of a pool with one request. */
import type { Types } from "effect"
import { Effect } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import * as Chat from "../vocabulary/Chat.js"
import type { Service } from "./model.js"
import type { ErrorTag, LLMError } from "../vocabulary/LLMError.js"
import { InvalidRequestError, UnsupportedError } from "../vocabulary/LLMError.js"
import { ProviderClient } from "../wire/providerClient.js"
import * as MonotonicClock from "../internal/clock.js"

/**
 * The result of a key's check.
 *
 * - `works`: the provider accepts it, and it has the requested model.
 * - `revoked`: 401, or another error that says that the key is wrong. `forbidden`: 403.
 * - `over-quota`, `rate-limited`: valid, but without quota, or limited now.
 * - `lacks-model`: valid, but without the requested model.
 * - `unknown`: the provider did not answer, or its error says nothing about the key.
 */
export type Condition = "works" | "revoked" | "forbidden" | "over-quota" | "rate-limited" | "lacks-model" | "unknown"

export interface CheckedKey {
  readonly id: string
  readonly condition: Condition
  /** Why it does not work. */
  readonly error?: LLMError
  /** The models that the key can use; absent if they were not listed. */
  readonly models?: ReadonlyArray<string>
  /** How long the check took, in milliseconds. */
  readonly duration: number
}

export interface CheckOptions {
  /** A model that the keys must have. @default any */
  readonly model?: string
  /**
   * Sends `model` a short prompt with each key. Most providers list their models to a key without credit too, so only this
   * detects `over-quota`. It costs a few tokens. @default false: lists the models, which is free
   */
  readonly ask?: boolean
  /** How many keys are checked at the same time. @default 4 */
  readonly concurrency?: Types.Concurrency
}

const conditions: Partial<Record<ErrorTag, Condition>> = {
  AuthenticationError: "revoked",
  PermissionError: "forbidden",
  QuotaExceededError: "over-quota",
  RateLimitError: "rate-limited",
  ModelNotFoundError: "lacks-model"
}

/** The smallest `maxTokens` that every provider accepts: OpenAI's Responses API requires 16. */
const minTokens = 16

/** The result for a key that the provider accepts. */
type KeyResult = Pick<CheckedKey, "condition" | "models">

/** Ollama lists `llama3:latest` for the model `llama3`. */
const hasModel = (models: ReadonlyArray<string>, model: string): boolean =>
  models.includes(model) || models.includes(`${model}:latest`)

export const check = (
  pool: Service,
  { ask = false, concurrency = 4, model }: CheckOptions
): Effect.Effect<ReadonlyArray<CheckedKey>, UnsupportedError | InvalidRequestError, ProviderClient> =>
  Effect.gen(function* () {
    const client = yield* ProviderClient
    const { listModels } = client
    const context = { provider: client.provider, model: model ?? "", attempts: [] }
    if (ask && model === undefined) {
      return yield* new InvalidRequestError({
        ...context,
        field: "model",
        message: "`ask` needs a model. Set `model`."
      })
    }
    if (!ask && listModels === undefined) {
      return yield* new UnsupportedError({
        ...context,
        feature: "list of models",
        message: `${client.provider} (${client.wire}) cannot list its models. Use { ask: true } with a model.`
      })
    }

    const checkByChat = (key: ApiKey): Effect.Effect<KeyResult, LLMError> =>
      Effect.as(client.chat({ messages: [Chat.user("Hi")], maxTokens: minTokens }, { model: model ?? "", key }), {
        condition: "works"
      })

    const checkByListing = (key: ApiKey): Effect.Effect<KeyResult, LLMError> =>
      listModels === undefined
        ? checkByChat(key)
        : Effect.map(listModels({ model: model ?? "", key }), (all) => {
            const models = all.map(({ id }) => id)
            return { models, condition: model === undefined || hasModel(models, model) ? "works" : "lacks-model" }
          })

    const checkKey = (key: ApiKey): Effect.Effect<CheckedKey> =>
      Effect.clockWith((clock) => {
        const startedAt = MonotonicClock.now(clock)
        return Effect.match(ask ? checkByChat(key) : checkByListing(key), {
          onSuccess: (result) => ({ id: key.id, ...result, duration: MonotonicClock.now(clock) - startedAt }),
          onFailure: (error) => ({
            id: key.id,
            condition: conditions[error._tag] ?? "unknown",
            error,
            duration: MonotonicClock.now(clock) - startedAt
          })
        })
      })

    return yield* Effect.forEach(yield* pool.keys, checkKey, { concurrency })
  })

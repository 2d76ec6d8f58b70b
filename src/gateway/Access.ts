/**
 * Access control of the gateway: virtual keys with models, limits and budgets, and an admin token.
 *
 * A virtual key is a secret that the gateway issues. Clients send it in the place of a provider's key (`Authorization: Bearer`,
 * or `x-api-key` as Anthropic's clients do), and never see the keys of providers.
 *
 * @example
 * ```ts
 * import { Access } from "effect-llm/gateway"
 *
 * const Keys = Access.layer({
 *   adminToken: "a long random text",
 *   keys: [
 *     { key: "sk-team-a", label: "team-a", models: ["openai/*", "fast"], budget: { dollars: 20, period: "day" } },
 *     { key: "sk-team-b", label: "team-b", rateLimit: { requestsPerMinute: 60, maxConcurrency: 4 } }
 *   ]
 * })
 * ```
 *
 * @since 0.1.0
 */
import type { FileSystem } from "@effect/platform"
import type { ConfigError } from "effect"
import { Config, Context, Effect, Layer, Option, Redacted } from "effect"
import * as FileReload from "../models/fileReload.js"
import type { AccessStoreError } from "./AccessStore.js"
import * as KeyConfig from "./auth/keyConfig.js"
import type { Options, ReloadOptions, Reloaded, Service, InvalidAccessError } from "./auth/model.js"
import { Access, Reloading } from "./auth/model.js"
import { makeConfigurable } from "./auth/service.js"
import { fromEither } from "../internal/asEffect.js"

export type {
  Caller,
  KeyBudget,
  KeyOptions,
  NewKey,
  Options,
  ReloadOptions,
  Reloaded,
  Reloader,
  Service
} from "./auth/model.js"
export { Access, AccessDeniedError, InvalidAccessError, Reloading } from "./auth/model.js"
export { readKeys } from "./auth/keyConfig.js"

// -------------------------------------------------------------------------------------
// constructors
// -------------------------------------------------------------------------------------

/**
 * Makes access with the keys in the `AccessStore` in context, or else in memory.
 *
 * Budgets are kept in the `BudgetStore` in context, and in dollars use the prices in context and those of the models. A call to a
 * model without a known price is refused where the budget of the key is in dollars (`BudgetExceededError` with the reason
 * `unknown-price`); the log names each such model once. The rate limits of a key hold for each gateway separately, or for all of
 * them with `RedisSharing`.
 *
 * Only gateways that have a key of the options configured accept it, even if they share a store: a key that is no longer
 * configured is refused everywhere. The store revokes it for all gateways at once. A revoked key is accepted again after a
 * restart where the store is in memory, but not where the store records revoked keys, such as the one in Redis.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, InvalidAccessError | AccessStoreError> =>
  Effect.map(makeConfigurable(options, true), ({ access }) => access)

// -------------------------------------------------------------------------------------
// layers
// -------------------------------------------------------------------------------------

/**
 * Provides the keys of the clients of a gateway. Without a key and an admin token the gateway is open, and serves the loopback interface only.
 * Fails with `InvalidAccessError`, which lists every fault, and with `AccessStoreError` when a shared store cannot be read.
 *
 * @example
 * ```ts
 * import { Access } from "effect-llm/gateway"
 *
 * // One client, and a token for the administrative routes.
 * const Clients = Access.layer({ keys: [{ key: "sk-gateway-team", label: "team" }], adminToken: "admin-secret" })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Access, InvalidAccessError | AccessStoreError> =>
  Layer.effect(Access, make(options))

/** The options with the admin token and the keys of the environment. */
const withEnvironment = (options: Options): Effect.Effect<Options, ConfigError.ConfigError> =>
  Effect.gen(function* () {
    const adminToken = yield* Config.option(Config.map(Config.nonEmptyString("EFFECT_LLM_MASTER_KEY"), Redacted.make))
    const listed = yield* Config.option(Config.map(Config.nonEmptyString("EFFECT_LLM_GATEWAY_KEYS"), Redacted.make))
    return {
      ...options,
      ...(Option.isSome(adminToken) ? { adminToken: adminToken.value } : {}),
      keys: [...(options.keys ?? []), ...Option.match(listed, { onNone: () => [], onSome: KeyConfig.parseKeyList })]
    }
  })

/**
 * Access from the environment, read through Effect's `Config`: `EFFECT_LLM_MASTER_KEY` is the admin token and replaces that of
 * the options, and `EFFECT_LLM_GATEWAY_KEYS` adds keys, separated by commas, each as `secret` or `label=secret`. Without any
 * token and key, and without a shared store, the gateway is open, and serves the loopback interface only.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Options = {}
): Layer.Layer<Access, InvalidAccessError | AccessStoreError | ConfigError.ConfigError> =>
  Layer.effect(Access, Effect.flatMap(withEnvironment(options), make))

// -------------------------------------------------------------------------------------
// reloading
// -------------------------------------------------------------------------------------

/**
 * Like `layerConfig`, with the keys of a file in addition (see `readKeys`), which are reloaded when the file changes. The file is
 * watched as by `Models.layerReloading`.
 *
 * A key that is removed from the file is refused from then on. A key keeps the state of its limits while its entry stays the
 * same, and what its budget has spent while the unit and the period of the budget do. An invalid file changes nothing, and its faults
 * are logged. A gateway with such a file is never open, even without any key.
 *
 * @since 0.2.0
 * @category layers
 */
export const layerReloading = (
  path: string,
  options: ReloadOptions = {}
): Layer.Layer<
  Access | Reloading,
  InvalidAccessError | AccessStoreError | ConfigError.ConfigError,
  FileSystem.FileSystem
> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const { interval, settle, ...rest } = options
      const read = Effect.provide(KeyConfig.readText(path), yield* Effect.context<FileSystem.FileSystem>())
      const initial = yield* Effect.either(read)
      const { keys: otherKeys = [], ...fixed } = yield* withEnvironment(rest)
      const parse = (text: FileReload.Reading<InvalidAccessError>) =>
        Effect.map(
          Effect.flatMap(fromEither(text), (text) => KeyConfig.parseKeys(text, path)),
          (keys) => [...keys, ...otherKeys]
        )
      const { access, configure, syncStore } = yield* makeConfigurable({ ...fixed, keys: yield* parse(initial) }, false)
      const reload = yield* FileReload.make<Reloaded, InvalidAccessError>(initial, {
        path,
        read,
        takeOver: (read) => Effect.zipLeft(Effect.flatMap(parse(read), configure), syncStore),
        ...(interval === undefined ? {} : { interval }),
        ...(settle === undefined ? {} : { settle })
      })
      return Context.make(Access, access).pipe(Context.add(Reloading, { reload }))
    })
  )

/**
 * Reloads the file of the `layerReloading` in context now.
 *
 * @since 0.2.0
 * @category reloading
 */
export const reload: Effect.Effect<Reloaded, InvalidAccessError, Reloading> = Effect.flatMap(
  Reloading,
  ({ reload }) => reload
)

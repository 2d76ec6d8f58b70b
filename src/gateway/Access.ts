/**
 * Who may ask the gateway, for which models, how much and how fast: virtual keys, and a token for those who administer it.
 *
 * A virtual key is a secret of the gateway's own. Clients send it where they would send a provider's (`Authorization: Bearer`, or
 * `x-api-key` as Anthropic's clients do), and never see those of the providers.
 *
 * @example
 * ```ts
 * import { Access } from "effect-llm/gateway"
 *
 * const Keys = Access.layer({
 *   adminToken: "a long random text",
 *   keys: [
 *     { key: "sk-team-a", label: "team-a", models: ["openai/*", "fast"], budget: { dollars: 20, period: "day" } },
 *     { key: "sk-team-b", label: "team-b", rateLimit: { requestsPerMinute: 60, maxConcurrent: 4 } }
 *   ]
 * })
 * ```
 *
 * @since 0.1.0
 */
import type { FileSystem } from "@effect/platform"
import type { ConfigError } from "effect"
import { Config, Context, Effect, Layer, Option } from "effect"
import * as FileReload from "../models/fileReload.js"
import type { AccessStoreError } from "./AccessStore.js"
import { keysIn, textOf } from "./auth/keyConfig.js"
import * as KeyConfig from "./auth/keyConfig.js"
import type { Options, ReloadOptions, Reloaded, Service, InvalidAccessError } from "./auth/model.js"
import { Access, Reloading } from "./auth/model.js"
import { configurable } from "./auth/service.js"

export type {
  Caller,
  KeyBudget,
  KeyOptions,
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
 * Access by the keys in the `AccessStore` in context, or else in memory of its own.
 *
 * Budgets keep their books in the `BudgetStore` in context, and in dollars go by the prices in context and those of the models
 * themselves. A call to a model without a known price is refused where the budget of the key is in dollars (`BudgetExceededError`
 * with the reason `unknown-price`); the log names each such model once. The rates of a key hold for each gateway by itself, or
 * for all of them where the `RateLimiter.Maker` in context shares what it makes.
 *
 * A key of the options is good at the gateways that have it configured, and at no others, also where they share a store: a key
 * that is no longer configured is good nowhere. What the store adds is that it is revoked for all of them at once. A key that was
 * revoked comes back with the next start where the store is in memory, and not in a store that remembers it, such as that in
 * Redis.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, InvalidAccessError | AccessStoreError> =>
  Effect.map(configurable(options, true), ({ access }) => access)

// -------------------------------------------------------------------------------------
// layers
// -------------------------------------------------------------------------------------

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Access, InvalidAccessError | AccessStoreError> =>
  Layer.effect(Access, make(options))

/** What the environment says, beside the options. */
const configOf = (options: Options): Effect.Effect<Options, ConfigError.ConfigError> =>
  Effect.gen(function* () {
    const adminToken = yield* Config.option(Config.redacted(Config.nonEmptyString("EFFECT_LLM_MASTER_KEY")))
    const listed = yield* Config.option(Config.redacted(Config.nonEmptyString("EFFECT_LLM_GATEWAY_KEYS")))
    return {
      ...options,
      ...(Option.isSome(adminToken) ? { adminToken: adminToken.value } : {}),
      keys: [...(options.keys ?? []), ...Option.match(listed, { onNone: () => [], onSome: KeyConfig.ofVariable })]
    }
  })

/**
 * Access from the environment, read through Effect's `Config`: `EFFECT_LLM_MASTER_KEY` is the token of the administration, and
 * `EFFECT_LLM_GATEWAY_KEYS` are keys with commas between them, each as `secret` or `label=secret`. What the options say comes
 * beside that. Where there is neither, the gateway is open, and answers on the loopback interface only.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Options = {}
): Layer.Layer<Access, InvalidAccessError | AccessStoreError | ConfigError.ConfigError> =>
  Layer.effect(Access, Effect.flatMap(configOf(options), make))

// -------------------------------------------------------------------------------------
// reloading
// -------------------------------------------------------------------------------------

/**
 * As `layerConfig`, with the keys of the file at a path (see `readKeys`) as it is now: when it changes, so do they. It is looked at
 * like the file of `Models.layerReloading`.
 *
 * A key that is removed from the file is refused from then on. The limits and the budget of a key go on for as long as its entry is
 * the same. A faulty file changes nothing, and the log says what is wrong with it. A gateway with such a file is never open: where
 * the file has no keys, nobody has one.
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
      const read = Effect.provide(textOf(path), yield* Effect.context<FileSystem.FileSystem>())
      const first = yield* Effect.either(read)
      const { keys: others = [], ...fixed } = yield* configOf(rest)
      const parsed = (text: FileReload.Reading<InvalidAccessError>) =>
        Effect.map(
          Effect.flatMap(text, (text) => keysIn(text, path)),
          (keys) => [...keys, ...others]
        )
      const { access, configure, store } = yield* configurable({ ...fixed, keys: yield* parsed(first) }, false)
      const reload = yield* FileReload.make<Reloaded, InvalidAccessError>(first, {
        path,
        read,
        takeOver: (read) => Effect.zipLeft(Effect.flatMap(parsed(read), configure), store),
        ...(interval === undefined ? {} : { interval }),
        ...(settle === undefined ? {} : { settle })
      })
      return Context.make(Access, access).pipe(Context.add(Reloading, { reload }))
    })
  )

/**
 * Reads the file of the `layerReloading` in context now.
 *
 * @since 0.2.0
 * @category reloading
 */
export const reload: Effect.Effect<Reloaded, InvalidAccessError, Reloading> = Effect.flatMap(
  Reloading,
  ({ reload }) => reload
)

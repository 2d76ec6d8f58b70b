/**
 * The models of a `provider.json`, each with its own keys, limits and retries. A key that several of them list is one key: its limits and
 * its refusals are those of all of them.
 *
 * ```json
 * {
 *   "openai": [
 *     {
 *       "model_name": "gpt-4o",
 *       "api_keys": ["${OPENAI_API_KEY}", { "key": "sk-two", "weight": 2, "max_concurrency": 8 }],
 *       "base_url": "https://api.openai.com/v1",
 *       "rate_limit_capacity": 20,
 *       "rate_limit_refill_rate": 3.0
 *     }
 *   ],
 *   "deepseek": [{ "model_name": "deepseek-chat", "api_keys": ["${DEEPSEEK_API_KEY}"] }],
 *   "$groups": { "sturdy": { "strategy": "failover", "members": ["openai/gpt-4o", "deepseek/deepseek-chat"] } },
 *   "$aliases": { "smart": "openai/gpt-4o" },
 *   "$default": "sturdy"
 * }
 * ```
 *
 * Files of the libraries that this format comes from are read unchanged. `${NAME}` in a string is replaced by the environment
 * variable; `$${` stands for a literal `${`. All faults are reported at once, each with its path and without secrets.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { Models } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const program = Effect.gen(function* () {
 *   const models = yield* Models.Models
 *   const llm = yield* models.get("openai/gpt-4o")
 *   return yield* llm.chat("Hello")
 * }).pipe(
 *   Effect.provide(Models.layerFile("provider.json")),
 *   Effect.provide(Layer.merge(NodeContext.layer, NodeTransport.layerUndici))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { FileSystem, HttpClient } from "@effect/platform"
import type { ConfigError } from "effect"
import { Context, Effect, Layer, Option, Stream } from "effect"
import * as LLM from "../call/model.js"
import type { InvalidPoolError } from "../keyPool/model.js"
import * as Environment from "../provider/environment.js"
import type { InvalidLimitError } from "../rateLimiter/model.js"
import type { ModelNotFoundError } from "../vocabulary/LLMError.js"
import type { ProviderFile, ProviderFileError } from "./fileModel.js"
import * as FileParser from "./fileParser.js"
import * as Catalogue from "./catalogue.js"
import * as LiveGroup from "./liveGroup.js"
import * as LiveModel from "./liveModel.js"
import type { FileOptions, Options, ReloadError, ReloadOptions, Reloaded, Service, Change } from "./model.js"
import { Models, Reloading } from "./model.js"
import * as Reload from "./reload.js"
import { fromEither } from "../internal/asEffect.js"

export * from "./fileModel.js"
export * from "./model.js"

export { load as loadFile, parse as parseFile } from "./fileParser.js"

/**
 * Makes the models and groups of a parsed file.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  file: ProviderFile,
  options: Options = {}
): Effect.Effect<Service, InvalidPoolError | InvalidLimitError | ConfigError.ConfigError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const environment = yield* Environment.defaults
    const {
      after: { models }
    } = yield* LiveModel.plan(file.models, options, environment, LiveModel.none)
    const groups = yield* Effect.forEach(file.groups, (entry) =>
      LiveGroup.plan(entry, models, (model) => models.get(model)?.llm)
    )
    const { find, findDefault, findGroup, list } = Catalogue.make(
      file,
      [...models.values()],
      groups.map(({ group }) => group),
      Option.getOrUndefined(environment.model)
    )
    const service: Service = {
      get: (name, model) => fromEither(find(Catalogue.nameOf(name, model))),
      group: (name) => fromEither(findGroup(name)),
      list,
      default: Effect.suspend(() => fromEither(findDefault()))
    }
    return service
  })

/**
 * The models of a parsed file as a layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  file: ProviderFile,
  options: Options = {}
): Layer.Layer<Models, InvalidPoolError | InvalidLimitError | ConfigError.ConfigError, HttpClient.HttpClient> =>
  Layer.effect(Models, make(file, options))

/**
 * Provides the models of the file at a path, read once. `layerReloading` follows changes of the file.
 *
 * Fails with `ProviderFileError` when the file cannot be read or is invalid, with `ConfigError` when a variable of the environment that it
 * names is missing, and with `InvalidPoolError` or `InvalidLimitError` when keys or limits are invalid.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { LLM, Models } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const Catalogue = Models.layerFile("provider.json").pipe(
 *   Layer.provide(Layer.merge(NodeContext.layer, NodeTransport.layerUndici))
 * )
 *
 * const program = LLM.chat("Hello").pipe(Effect.provide(Models.layerLLM("fast")), Effect.provide(Catalogue))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerFile = (
  path: string,
  options: FileOptions = {}
): Layer.Layer<
  Models,
  ProviderFileError | InvalidPoolError | InvalidLimitError | ConfigError.ConfigError,
  HttpClient.HttpClient | FileSystem.FileSystem
> =>
  Layer.effect(
    Models,
    Effect.flatMap(FileParser.load(path, options.parse), (file) => make(file, options))
  )

// -------------------------------------------------------------------------------------
// reloading
// -------------------------------------------------------------------------------------

/**
 * The models of the file at a path, reloaded when the file changes.
 *
 * The services of `get`, `default` and `layerLLM` follow their name: every call uses the model that has the name when the call
 * begins, and finishes there even when the file changes meanwhile. A call to a removed name fails with `ModelNotFoundError`.
 *
 * A model whose entry has not changed keeps all its state. When the entry changes, the key pool is kept: cooldowns continue, new
 * keys are added, and removed keys get no more calls; only a changed base URL starts a new pool.
 * Changed limits start with what is left under the old ones. Percentiles start again.
 *
 * A group keeps its state while its entry is the same and each member has the same endpoint, protocol, defaults, context window
 * and price. A member with other keys or limits returns to service at once.
 *
 * The file is read and compared every `interval`, which also detects changes without notifications: files that editors replace,
 * config map mounts, network drives. Environment variables in it are read again when it changes, or by `reload`. A faulty file
 * changes nothing and is reported once, in `changes` and in the log. A file without models is refused in the same way, with a
 * `ProviderFileError`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerReloading = (
  path: string,
  options: ReloadOptions = {}
): Layer.Layer<Models | Reloading, ReloadError, HttpClient.HttpClient | FileSystem.FileSystem> =>
  Layer.scopedContext(
    Effect.map(Reload.make(path, options), ({ models, reloader }) =>
      Context.make(Models, models).pipe(Context.add(Reloading, reloader))
    )
  )

/**
 * Reloads the file of the `layerReloading` in context now.
 *
 * @since 0.1.0
 * @category reloading
 */
export const reload: Effect.Effect<Reloaded, ReloadError, Reloading> = Effect.flatMap(
  Reloading,
  (reloading) => reloading.reload
)

/**
 * The result of every reload from now on.
 *
 * @since 0.1.0
 * @category reloading
 */
export const changes: Stream.Stream<Change, never, Reloading> = Stream.unwrap(
  Effect.map(Reloading, (reloading) => reloading.changes)
)

/**
 * Provides the model with a name, or the default model, as the `LLM`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerLLM = (name?: string): Layer.Layer<LLM.LLM, ModelNotFoundError, Models> =>
  Layer.effect(
    LLM.LLM,
    Effect.flatMap(Models, (models) => (name === undefined ? models.default : models.get(name)))
  )

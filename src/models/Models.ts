/**
 * The models of a `provider.json`, each with keys, limits and retries of its own.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeHttpClient } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { Models } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const models = yield* Models.Models
 *   const llm = yield* models.get("openai/gpt-4o")
 *   return yield* llm.chat("Hello")
 * }).pipe(
 *   Effect.provide(Models.layerFile("provider.json")),
 *   Effect.provide(Layer.merge(NodeContext.layer, NodeHttpClient.layerUndici))
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
import * as ProviderFiles from "./ProviderFile.js"
import * as Catalogue from "./catalogue.js"
import * as LiveGroup from "./liveGroup.js"
import * as Standing from "./liveModel.js"
import type { FileOptions, Options, ReloadError, ReloadOptions, Reloaded, Service, Change } from "./model.js"
import { Models, Reloading } from "./model.js"
import * as Reload from "./reload.js"

export * from "./model.js"

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  file: ProviderFile,
  options: Options = {}
): Effect.Effect<Service, InvalidPoolError | InvalidLimitError | ConfigError.ConfigError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const environment = yield* Environment.defaults
    const plans = yield* Effect.forEach(file.models, (entry) => Standing.plan(entry, options, environment))
    const models = new Map(plans.map(({ standing }) => [Catalogue.idOf(standing.entry), standing]))
    const groups = yield* Effect.forEach(file.groups, (entry) =>
      LiveGroup.plan(entry, models, (model) => models.get(model)?.llm)
    )
    const { chosen, find, findGroup, list } = Catalogue.make(
      file,
      [...models.values()],
      groups.map(({ standing }) => standing),
      Option.getOrUndefined(environment.model)
    )
    return {
      get: (name, model) => find(Catalogue.nameOf(name, model)),
      group: findGroup,
      list,
      default: Effect.suspend(chosen)
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  file: ProviderFile,
  options: Options = {}
): Layer.Layer<Models, InvalidPoolError | InvalidLimitError | ConfigError.ConfigError, HttpClient.HttpClient> =>
  Layer.effect(Models, make(file, options))

/**
 * The models of the file at a path.
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
    Effect.flatMap(ProviderFiles.load(path, options.parse), (file) => make(file, options))
  )

// -------------------------------------------------------------------------------------
// reloading
// -------------------------------------------------------------------------------------

/**
 * The models of the file at a path, as it is now: when it changes, so do they.
 *
 * What `get`, `default` and `layerLLM` give is not one model as it was but the name of one: every call goes to what stands under
 * that name when it begins, and ends there whatever becomes of the file meanwhile. A call to a name that has gone is a
 * `ModelNotFoundError`.
 *
 * A model whose entry has not changed goes on as it is. Of one whose entry has changed, the pool goes on: keys that rest go on
 * resting, new keys are added, and those that are gone get no more calls; only another `base_url`, `type`, `preset` or `headers`
 * begins anew. Limits that have changed begin with what is left under the old ones. Percentiles begin anew.
 *
 * A group goes on, with all that it knows of its members, while it has the same members in the same way and each of them has the
 * same place, protocol, defaults and context window. A member with other keys or limits is asked again at once.
 *
 * The file is read every `interval` and compared, which also sees what notifications do not: files that are replaced by editors,
 * mounted from a config map, or on a network drive. Environment variables that it names are read again when it changes, or by
 * `reload`. A faulty file changes nothing; it is told in `changes` and in the log, once. A file without models is refused like a
 * faulty one, with a `ProviderFileError`.
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
 * Reads the file of the `layerReloading` in context now.
 *
 * @since 0.1.0
 * @category reloading
 */
export const reload: Effect.Effect<Reloaded, ReloadError, Reloading> = Effect.flatMap(
  Reloading,
  (reloading) => reloading.reload
)

/**
 * What comes of every reading of the file from now on.
 *
 * @since 0.1.0
 * @category reloading
 */
export const changes: Stream.Stream<Change, never, Reloading> = Stream.unwrap(
  Effect.map(Reloading, (reloading) => reloading.changes)
)

/**
 * One of the models as the `LLM`: the one named, or the default.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerLLM = (name?: string): Layer.Layer<LLM.LLM, ModelNotFoundError, Models> =>
  Layer.effect(
    LLM.LLM,
    Effect.flatMap(Models, (models) => (name === undefined ? models.default : models.get(name)))
  )

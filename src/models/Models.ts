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
import type { ConfigError, Duration } from "effect"
import { Context, Data, Effect, Layer, Option, Stream } from "effect"
import type { Service as Balanced } from "../routing/Balance.js"
import * as Catalogue from "./catalogue.js"
import * as Environment from "../provider/environment.js"
import * as Reload from "./reload.js"
import * as Standing from "./liveModel.js"
import * as StandingGroup from "./liveGroup.js"
import type { InvalidPoolError } from "../keyPool/KeyPool.js"
import type { ModelInfo, Service as LLMService } from "../call/model.js"
import * as LLM from "../call/model.js"
import type { ModelNotFoundError } from "../vocabulary/LLMError.js"
import type { Protocol } from "../provider/protocols.js"
import type { ProviderFile, ProviderFileError } from "./ProviderFile.js"
import * as ProviderFiles from "./ProviderFile.js"
import type { InvalidLimitError } from "../rateLimiter/RateLimiter.js"
import type * as Telemetry from "../telemetry/Telemetry.js"

/**
 * A model, or a group of them. What is said of a group is what its `Balance` says: it is that of the first of its members, with
 * the largest context window of all.
 *
 * @since 0.1.0
 * @category model
 */
export interface Listed extends ModelInfo {
  /** What `get` finds it by: `provider/model`, or the name of the group. */
  readonly name: string
  /** Other names of it. */
  readonly aliases: ReadonlyArray<string>
  /** The names of the models of a group. */
  readonly members?: ReadonlyArray<string>
  /** Its share where several models serve as one (`model_weight`). @default 1 */
  readonly weight?: number
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /**
   * A model by `provider/model`, by an alias, or by its bare name where only one provider has it; or by provider and model. A
   * group by its name, or by an alias.
   */
  readonly get: (nameOrProvider: string, model?: string) => Effect.Effect<LLMService, ModelNotFoundError>
  /** The balance of a group, to see and manage its deployments; their ids are `provider/model`. */
  readonly group: (name: string) => Effect.Effect<Balanced, ModelNotFoundError>
  readonly list: ReadonlyArray<Listed>
  /** `LLM_DEFAULT_MODEL` or the file's `$default`, else the only model there is. */
  readonly default: Effect.Effect<LLMService, ModelNotFoundError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Models extends Context.Tag("effect-llm/Models")<Models, Service>() {}

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /**
   * Which protocol is spoken where the file leaves it open and the provider has none of its own, as Anthropic, Gemini and
   * Ollama have. @default "chat-completions"
   */
  readonly wire?: Protocol
  /** Spans and metrics of every model; `false`: none. @default both */
  readonly telemetry?: Telemetry.Options | false
}

/**
 * @since 0.1.0
 * @category model
 */
export interface FileOptions extends Options {
  /**
   * Makes a file of its text; `path` is what errors call it. For files in another form than JSON, such as YAML.
   * @default ProviderFile.parse
   */
  readonly parse?: (text: string, path: string) => Effect.Effect<ProviderFile, ProviderFileError>
}

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
      StandingGroup.plan(entry, models, (model) => models.get(model)?.llm)
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
 * Why a file was not taken over.
 *
 * @since 0.1.0
 * @category reloading
 */
export type ReloadError = ProviderFileError | InvalidPoolError | InvalidLimitError | ConfigError.ConfigError

/**
 * What came of reading the file again. Models are named `provider/model`, groups by their names.
 * - `Reloaded`: it is in force. `kept` are the models whose entries are as they were, and the groups that go on.
 * - `Refused`: it is faulty or has no models, and everything is as it was before.
 *
 * @since 0.1.0
 * @category reloading
 */
export type Change = Data.TaggedEnum<{
  Reloaded: {
    readonly added: ReadonlyArray<string>
    readonly removed: ReadonlyArray<string>
    readonly changed: ReadonlyArray<string>
    readonly kept: ReadonlyArray<string>
    /** Fields of the file that mean nothing here. */
    readonly warnings: ReadonlyArray<string>
  }
  Refused: { readonly error: ReloadError }
}>

/**
 * @since 0.1.0
 * @category reloading
 */
export const Change = Data.taggedEnum<Change>()

/**
 * @since 0.1.0
 * @category reloading
 */
export type Reloaded = Data.TaggedEnum.Value<Change, "Reloaded">

/**
 * @since 0.1.0
 * @category reloading
 */
export interface Reloader {
  /** Reads the file now, whether or not it has changed. Where it fails, everything is as it was before. */
  readonly reload: Effect.Effect<Reloaded, ReloadError>
  /** What comes of every reading from now on. A reader who is more than 64 changes behind loses the oldest. */
  readonly changes: Stream.Stream<Change>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Reloading extends Context.Tag("effect-llm/Models/Reloading")<Reloading, Reloader>() {}

/**
 * @since 0.1.0
 * @category reloading
 */
export interface ReloadOptions extends FileOptions {
  /** How often the file is looked at; `false`: only when `reload` is asked for. @default "1 second" */
  readonly interval?: Duration.DurationInput | false
  /** How long a changed file must stay as it is before it is read, lest half of it be read. @default "200 millis" */
  readonly settle?: Duration.DurationInput
}

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

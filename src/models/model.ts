/** Contract of the model registry and of its reloading. */
import type { ConfigError, Duration, Effect, Stream } from "effect"
import { Context, Data } from "effect"
import type { ModelInfo, Service as LLMService } from "../call/model.js"
import type { InvalidPoolError } from "../keyPool/model.js"
import type { Protocol } from "../provider/registry.js"
import type { InvalidLimitError } from "../rateLimiter/model.js"
import type { Service as BalanceService } from "../routing/balance/model.js"
import type * as Telemetry from "../telemetry/model.js"
import type { ModelNotFoundError } from "../vocabulary/LLMError.js"
import type { ProviderFile, ProviderFileError } from "./fileModel.js"

/**
 * A model or a group. The properties of a group are those of its `Balance`: those of its first member, with the largest context
 * window of all members.
 *
 * @since 0.1.0
 * @category model
 */
export interface Listed extends ModelInfo {
  /** Name for `get`: `provider/model`, or that of the group. */
  readonly name: string
  readonly aliases: ReadonlyArray<string>
  /** Names of a group's models; absent for a model. */
  readonly members?: ReadonlyArray<string>
  /** Share of a model in the calls of a group (`model_weight`). @default 1 */
  readonly weight?: number
}

/**
 * A registry of models and groups.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /**
   * Finds a model by `provider/model`, by provider and model, by an alias, or by its bare name when only one provider has it; a
   * group by its name or an alias.
   */
  readonly get: (nameOrProvider: string, model?: string) => Effect.Effect<LLMService, ModelNotFoundError>
  /** Finds the balance of a group, for the status and management of its deployments; their ids are `provider/model`. */
  readonly group: (name: string) => Effect.Effect<BalanceService, ModelNotFoundError>
  readonly list: ReadonlyArray<Listed>
  /** The file's `$default`, else `LLM_DEFAULT_MODEL`, else the only model. */
  readonly default: Effect.Effect<LLMService, ModelNotFoundError>
}

/**
 * The registry of models.
 *
 * @since 0.1.0
 * @category tags
 */
export class Models extends Context.Tag("effect-llm/Models")<Models, Service>() {}

/**
 * Options of all models of a file.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /**
   * Protocol of models whose entry has no `type` and whose provider has no protocol of its own, as Anthropic, Gemini and Ollama
   * have. @default "chat-completions"
   */
  readonly wire?: Protocol
  /** Spans and metrics of every model; `false` turns both off. @default both */
  readonly telemetry?: Telemetry.Options | false
}

/**
 * Options of models that are read from a file.
 *
 * @since 0.1.0
 * @category model
 */
export interface FileOptions extends Options {
  /**
   * Parses the text of a file in another format than JSON, such as YAML; `path` is its name in errors.
   * @default `parseFile`
   */
  readonly parse?: (text: string, path: string) => Effect.Effect<ProviderFile, ProviderFileError>
}

/**
 * The reason why a file was refused.
 *
 * @since 0.1.0
 * @category reloading
 */
export type ReloadError = ProviderFileError | InvalidPoolError | InvalidLimitError | ConfigError.ConfigError

/**
 * The result of a reload. Models are named `provider/model`, groups by their names.
 * - `Reloaded`: the file is in use. `kept` lists the models with unchanged entries and the groups that keep their state.
 * - `Refused`: the file is faulty or has no models, and nothing has changed.
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
    /** Unknown fields of the file. */
    readonly warnings: ReadonlyArray<string>
  }
  Refused: { readonly error: ReloadError }
}>

/**
 * Constructors and matchers of `Change`.
 *
 * @since 0.1.0
 * @category reloading
 */
export const Change = Data.taggedEnum<Change>()

/**
 * The result of a successful reload.
 *
 * @since 0.1.0
 * @category reloading
 */
export type Reloaded = Data.TaggedEnum.Value<Change, "Reloaded">

/**
 * The reloading of a file.
 *
 * @since 0.1.0
 * @category reloading
 */
export interface Reloader {
  /** Reloads the file now, whether or not it has changed. When it fails, nothing has changed. */
  readonly reload: Effect.Effect<Reloaded, ReloadError>
  /** The result of every reload from now on. A reader that is more than 64 changes behind loses the oldest. */
  readonly changes: Stream.Stream<Change>
}

/**
 * The reloading of the models in context.
 *
 * @since 0.1.0
 * @category tags
 */
export class Reloading extends Context.Tag("effect-llm/Models/Reloading")<Reloading, Reloader>() {}

/**
 * Options of `layerReloading`.
 *
 * @since 0.1.0
 * @category reloading
 */
export interface ReloadOptions extends FileOptions {
  /** Time between checks of the file; `false`: it is read by `reload` only. @default "1 second" */
  readonly interval?: Duration.DurationInput | false
  /** How long a changed file must stay unchanged before it is used, so that no partial content is. @default "200 millis" */
  readonly settle?: Duration.DurationInput
}

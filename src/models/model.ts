/** The contract of a model registry and of its reloading. */
import type { ConfigError, Duration, Effect, Stream } from "effect"
import { Context, Data } from "effect"
import type { ModelInfo, Service as LLMService } from "../call/model.js"
import type { InvalidPoolError } from "../keyPool/model.js"
import type { Protocol } from "../provider/registry.js"
import type { InvalidLimitError } from "../rateLimiter/model.js"
import type { Service as Balanced } from "../routing/balance/model.js"
import type * as Telemetry from "../telemetry/model.js"
import type { ModelNotFoundError } from "../vocabulary/LLMError.js"
import type { ProviderFile, ProviderFileError } from "./fileModel.js"

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

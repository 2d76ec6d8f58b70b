/**
 * `provider.json`: which models there are, where, with which keys and limits.
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
 * Files of the libraries that this format comes from are read unchanged. `${NAME}` in a text is replaced by the environment
 * variable; `$${` stands for itself. All faults are told at once, each with its place, none with a secret.
 *
 * @since 0.1.0
 */
import { FileSystem } from "@effect/platform"
import type { Duration } from "effect"
import { Config, Effect, Option, Schema } from "effect"
import type * as ApiKey from "../vocabulary/ApiKey.js"
import type { Fault } from "./fileFields.js"
import { readFile } from "./fileReader.js"
import type { Price } from "../vocabulary/price.js"
import type { Protocol } from "../provider/protocols.js"

/**
 * One model of one provider.
 *
 * @since 0.1.0
 * @category model
 */
export interface ModelEntry {
  /** The name of the section. */
  readonly provider: string
  readonly model: string
  /** `type` in the file; absent where it is left open. */
  readonly wire: Protocol | undefined
  /** The provider's preset, by the section's name or its `preset`; absent where there is none. */
  readonly preset: string | undefined
  readonly baseUrl: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly keys: ReadonlyArray<ApiKey.ApiKey>
  /** `max_retries`: attempts in all. @default 5 */
  readonly attempts: number
  /** `retry_delay`, in seconds in the file. @default 1 second */
  readonly retryDelay: Duration.Duration
  /** `rate_limit_capacity`. @default 10; where requests a minute or a day are limited, as many as those */
  readonly capacity: number
  /** `rate_limit_refill_rate`, requests a second. @default 1; where requests a minute or a day are limited, as many of that */
  readonly refillRate: number
  readonly tokensPerMinute: number | undefined
  /** `requests_per_minute`. */
  readonly requestsPerMinute: number | undefined
  /** `requests_per_day`. */
  readonly requestsPerDay: number | undefined
  /** `max_concurrency`: the most calls in flight. */
  readonly maxConcurrent: number | undefined
  /** In tokens. @default 200000 */
  readonly contextWindow: number
  /** `timeout`: of a whole call, in seconds in the file. */
  readonly timeout: Duration.Duration | undefined
  /** `default_temperature`. */
  readonly temperature: number | undefined
  /** `model_weight`: its share where several models serve as one. @default 1 */
  readonly weight: number
  /**
   * `price`, in dollars a million tokens. It wins over the prices in context. @default the prices in context
   *
   * @since 0.2.0
   */
  readonly price?: Price
}

/**
 * The strategies of `Balance` that have a name in the file.
 *
 * @since 0.1.0
 * @category model
 */
export type GroupStrategy = "least-loaded" | "weighted" | "round-robin" | "latency" | "cost" | "failover" | "random"

/**
 * One of the models of a group.
 *
 * @since 0.1.0
 * @category model
 */
export interface GroupMember {
  /** `provider/model`. */
  readonly model: string
  /** Its share of the calls. @default the `model_weight` of the model */
  readonly weight: number
  /** Those of the lowest order are asked for as long as one of them can be. @default 0 */
  readonly order: number
  /** For the strategy `cost`. @default its price */
  readonly cost?: number
  /** `max_concurrency`: the most calls that the group has in flight there. */
  readonly maxConcurrency?: number
}

/**
 * Models that serve as one: a `Balance` over them.
 *
 * @since 0.1.0
 * @category model
 */
export interface GroupEntry {
  readonly name: string
  /** @default "least-loaded" */
  readonly strategy: GroupStrategy
  readonly members: ReadonlyArray<GroupMember>
}

/**
 * @since 0.1.0
 * @category model
 */
export interface ProviderFile {
  readonly models: ReadonlyArray<ModelEntry>
  /** `$groups`. */
  readonly groups: ReadonlyArray<GroupEntry>
  /** Other names: each stands for `provider/model`, or for a group. */
  readonly aliases: Readonly<Record<string, string>>
  /** `provider/model`, a group, or an alias. */
  readonly default: string | undefined
  /** Fields that mean nothing here, each with its place. */
  readonly warnings: ReadonlyArray<string>
}

/**
 * A file that cannot be used. `faults` are all there are, each with its place, such as `openai[0].api_keys`.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProviderFileError extends Schema.TaggedError<ProviderFileError>()("ProviderFileError", {
  file: Schema.String,
  faults: Schema.Array(Schema.Struct({ path: Schema.String, message: Schema.String })),
  /** Fields that mean nothing here, each with its place: a misspelt one is often behind one that is missing. */
  warnings: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] })
}) {
  override get message(): string {
    return `${this.file} cannot be used. ${this.faults
      .map(({ message, path }) => (path === "" ? message : `${path}: ${message}`))
      .join("; ")}`
  }
}

const variable = /(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g

/** The variables that a text names, with what the environment says of each. */
const variablesOf = (text: string): Effect.Effect<ReadonlyMap<string, string | undefined>> =>
  Effect.map(
    Effect.forEach(
      new Set([...text.matchAll(variable)].filter(([, escaped]) => escaped === "").map(([, , name]) => name ?? "")),
      (name) =>
        Effect.map(
          // A variable that cannot be read is as good as none: it is told as a fault at each place that needs it.
          Effect.option(Config.string(name)),
          (value) => [name, Option.getOrUndefined(value)] as const
        )
    ),
    (found) => new Map(found)
  )

/** Where a JSON text breaks off, as far as the engine tells it. Its own words may quote the text, and a key with it. */
const positionOf = (text: string, cause: unknown): string => {
  const at = /position (\d+)/.exec(cause instanceof Error ? cause.message : "")?.[1]
  if (at === undefined) return ""
  const lines = text.slice(0, Number(at)).split("\n")
  return ` at line ${lines.length}, column ${(lines[lines.length - 1]?.length ?? 0) + 1}`
}

const refuse = (file: string, faults: ReadonlyArray<Fault>, warnings: ReadonlyArray<string> = []) =>
  Effect.fail(new ProviderFileError({ file, faults, warnings }))

/**
 * Reads a file's text. `file` is what errors call it.
 *
 * @since 0.1.0
 * @category decoding
 */
export const parse = (text: string, file = "provider.json"): Effect.Effect<ProviderFile, ProviderFileError> =>
  Effect.flatMap(
    Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) =>
        new ProviderFileError({
          file,
          faults: [{ path: "", message: `not valid JSON${positionOf(text, cause)}` }]
        })
    }),
    (json) =>
      Effect.flatMap(variablesOf(text), (variables) => {
        const expand = (value: string): string | undefined => {
          let missing = false
          const expanded = value.replace(variable, (whole, escaped: string, name: string) => {
            if (escaped !== "") return whole.slice(1)
            const found = variables.get(name)
            missing ||= found === undefined
            return found ?? ""
          })
          return missing ? undefined : expanded
        }
        const { faults, value } = readFile(json, expand)
        return faults.length > 0 ? refuse(file, faults, value.warnings) : Effect.succeed(value)
      })
  )

/** @internal */
export const read = (path: string): Effect.Effect<string, ProviderFileError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    Effect.catchAll(fileSystem.readFileString(path), (error) =>
      refuse(path, [
        {
          path: "",
          message:
            error._tag === "SystemError" && error.reason === "NotFound"
              ? "there is no such file"
              : `cannot be read: ${error.message}`
        }
      ])
    )
  )

/**
 * Reads a file. `parsed` makes it of its text, for files in another form than JSON.
 *
 * @since 0.1.0
 * @category decoding
 */
export const load = (
  path: string,
  parsed: (text: string, path: string) => Effect.Effect<ProviderFile, ProviderFileError> = parse
): Effect.Effect<ProviderFile, ProviderFileError, FileSystem.FileSystem> =>
  Effect.flatMap(read(path), (text) => parsed(text, path))

/** Where the models come from: a file, or the keys in the environment. */
import { FileSystem } from "@effect/platform"
import type { HttpClient } from "@effect/platform"
import { Config, Duration, Effect, Option } from "effect"
import * as ApiKey from "../../vocabulary/ApiKey.js"
import * as Environment from "../../provider/environment.js"
import type * as LLM from "../../call/model.js"
import * as Models from "../../models/Models.js"
import * as Pricing from "../../accounting/Pricing.js"
import { isKnown, isLocal, names, providerOf } from "../../provider/registry.js"
import type { ModelEntry, ProviderFile } from "../../models/fileModel.js"
import * as Configuration from "./configuration.js"
import type { CliFailure } from "../failure.js"
import { ofCall, ofConfiguration, unusable } from "../failure.js"
import * as Prices from "./prices.js"

export interface Source {
  /** The path of the file, or `the environment`. */
  readonly origin: string
  readonly isFile: boolean
  /** Of the environment: an entry for each provider with a key. Where its model is not known, `model` is empty. */
  readonly file: ProviderFile
}

/** What of the command line says which models there are. */
export interface Wanted {
  readonly config: Option.Option<string>
  readonly model: Option.Option<string>
}

// -------------------------------------------------------------------------------------
// the file
// -------------------------------------------------------------------------------------

const usualFiles = ["provider.json", "provider.yaml", "provider.yml"]

const configured = Config.option(Config.nonEmptyString("EFFECT_LLM_CONFIG"))

/** The file that is meant: by `--config`, by `EFFECT_LLM_CONFIG`, or by lying there. */
export const findFile = (
  config: Option.Option<string>
): Effect.Effect<Option.Option<string>, CliFailure, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    if (Option.isSome(config)) return config
    const variable = yield* Effect.mapError(configured, ofConfiguration)
    if (Option.isSome(variable)) return variable
    const fileSystem = yield* FileSystem.FileSystem
    return yield* Effect.findFirst(usualFiles, (path) => Effect.orElseSucceed(fileSystem.exists(path), () => false))
  })

const fromFile = (path: string): Effect.Effect<Source, CliFailure, FileSystem.FileSystem> =>
  Effect.flatMap(Configuration.load(path), ({ faults, file }) =>
    file === undefined
      ? Effect.fail(
          unusable(`${path} cannot be used.\n${faults.map((fault) => Configuration.lineOf(path, fault)).join("\n")}`)
        )
      : Effect.succeed({ origin: path, isFile: true, file })
  )

// -------------------------------------------------------------------------------------
// the environment
// -------------------------------------------------------------------------------------

/** No limit that a person or a bench would meet. */
const asFastAsAsked = 1_000_000

const entryOf = (
  provider: string,
  model: string,
  baseUrl: string | undefined,
  keys: ReadonlyArray<ApiKey.ApiKey>
): ModelEntry => ({
  provider,
  model,
  wire: undefined,
  preset: isKnown(providerOf(provider)) ? providerOf(provider) : undefined,
  baseUrl,
  headers: {},
  keys,
  attempts: 5,
  retryDelay: Duration.seconds(1),
  capacity: asFastAsAsked,
  refillRate: asFastAsAsked,
  tokensPerMinute: undefined,
  requestsPerMinute: undefined,
  requestsPerDay: undefined,
  maxConcurrent: undefined,
  contextWindow: 200_000,
  timeout: undefined,
  temperature: undefined,
  weight: 1
})

interface Asked {
  readonly provider: string | undefined
  readonly model: string
}

/** `openai/gpt-4o` names a provider; `meta-llama/llama-3` does not. */
const askedOf = (name: string): Asked => {
  const slash = name.indexOf("/")
  const provider = name.slice(0, Math.max(0, slash))
  return slash > 0 && isKnown(providerOf(provider))
    ? { provider: providerOf(provider), model: name.slice(slash + 1) }
    : { provider: undefined, model: name }
}

const keysOf = (provider: string): Effect.Effect<ReadonlyArray<ApiKey.ApiKey>> =>
  Environment.apiKeys(provider).pipe(
    Effect.map((keys) => keys.map((key) => ApiKey.make(key))),
    // No key is what is asked here, not a fault.
    Effect.orElseSucceed(() => [])
  )

const nothingThere =
  "No model is configured: there is no provider.json here, and no key in the environment. Set OPENAI_API_KEY, " +
  "ANTHROPIC_API_KEY, GEMINI_API_KEY or another provider's, or name a file with --config."

const fromEnvironment = (model: Option.Option<string>): Effect.Effect<Source, CliFailure> =>
  Effect.gen(function* () {
    const defaults = yield* Effect.mapError(Environment.defaults, ofConfiguration)
    const asked = Option.map(
      Option.orElse(model, () => defaults.model),
      askedOf
    )
    const found = yield* Effect.forEach(names, (provider) =>
      Effect.map(keysOf(provider), (keys) => ({ provider, keys }))
    )
    const withKeys = found.filter(({ keys }) => keys.length > 0)
    const provider = Option.flatMapNullable(asked, (asked) => asked.provider).pipe(
      Option.orElse(() =>
        Option.fromNullable(
          withKeys.length === 1
            ? withKeys[0]?.provider
            : withKeys.find(({ provider }) => provider === "openai")?.provider
        )
      ),
      Option.getOrUndefined
    )
    if (provider === undefined && withKeys.length === 0) return yield* unusable(nothingThere)
    const own =
      provider !== undefined && isLocal(provider) && withKeys.every((other) => other.provider !== provider)
        ? [{ provider, keys: [ApiKey.make("none")] }]
        : []
    const entries = yield* Effect.forEach([...withKeys, ...own], ({ keys, provider: name }) =>
      Effect.map(Effect.mapError(Environment.baseUrl(name), ofConfiguration), (baseUrl) => {
        const wanted = name === provider ? Option.getOrUndefined(asked)?.model : undefined
        return entryOf(name, wanted ?? (name === "openai" ? "gpt-4o-mini" : ""), Option.getOrUndefined(baseUrl), keys)
      })
    )
    if (provider !== undefined && entries.every((entry) => entry.provider !== provider)) {
      return yield* unusable(
        `There is no key of ${provider}. Set ${Environment.keyVariable(provider)}, or name a file with --config.`
      )
    }
    const chosen = entries.find((entry) => entry.provider === provider)
    return {
      origin: "the environment",
      isFile: false,
      file: {
        models: entries,
        groups: [],
        aliases: {},
        default: chosen === undefined || chosen.model === "" ? undefined : `${chosen.provider}/${chosen.model}`,
        warnings: []
      }
    }
  })

// -------------------------------------------------------------------------------------
// both
// -------------------------------------------------------------------------------------

export const find = ({ config, model }: Wanted): Effect.Effect<Source, CliFailure, FileSystem.FileSystem> =>
  Effect.flatMap(findFile(config), Option.match({ onNone: () => fromEnvironment(model), onSome: fromFile }))

/** The models of a source by their names. */
export const models = (
  { file }: Source,
  options: Models.Options = {}
): Effect.Effect<Models.Service, CliFailure, HttpClient.HttpClient> =>
  Models.make(
    { ...file, models: file.models.filter(({ model }) => model !== "") },
    { telemetry: false, ...options }
  ).pipe(Effect.mapError(ofConfiguration), Effect.provide(Prices.layer))

/** The model that is asked, with the price of each answer where one is known. */
export const choose = (
  source: Source,
  available: Models.Service,
  model: Option.Option<string>
): Effect.Effect<LLM.Service, CliFailure> =>
  Effect.gen(function* () {
    // In the environment the name has settled already which entry is the default.
    const chosen = Option.isSome(model) && source.isFile ? available.get(model.value) : available.default
    const llm = yield* Effect.mapError(chosen, (error) =>
      source.isFile
        ? ofCall(error)
        : unusable(
            `Say which model with --model, such as ${source.file.models[0]?.provider ?? "openai"}/<model>. ` +
              '"effect-llm models --remote" lists what there is.'
          )
    )
    return yield* Effect.provide(Pricing.make()(llm), Prices.layer)
  })

/** The model that the command line means. */
export const llm = (
  wanted: Wanted
): Effect.Effect<LLM.Service, CliFailure, FileSystem.FileSystem | HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const source = yield* find(wanted)
    return yield* choose(source, yield* models(source), wanted.model)
  })

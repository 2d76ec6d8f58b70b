/** Loads the models from a file, or from the API keys in the environment. */
import { FileSystem } from "@effect/platform"
import type { HttpClient } from "@effect/platform"
import { Config, Duration, Effect, Option } from "effect"
import * as ApiKey from "../../vocabulary/ApiKey.js"
import * as Environment from "../../provider/environment.js"
import type * as LLM from "../../call/model.js"
import * as Models from "../../models/Models.js"
import * as Pricing from "../../accounting/Pricing.js"
import { hasBaseUrl, isKnown, isLocal, names, ownProtocol, providerOf } from "../../provider/registry.js"
import type { ModelEntry, ProviderFile } from "../../models/fileModel.js"
import * as Configuration from "./configuration.js"
import { formatFault } from "./document.js"
import type { CliFailure } from "../failure.js"
import { callFailure, configurationFailure, usageFailure } from "../failure.js"
import { modelOf } from "./modelFile.js"
import * as Prices from "./prices.js"

export interface Source {
  /** The path of the file, or `the environment`. */
  readonly origin: string
  readonly isFile: boolean
  /** From the environment: one entry per provider with a key; `model` is empty if none was selected. */
  readonly file: ProviderFile
}

/** The options of the command line that select the models. */
export interface ModelSelection {
  readonly config: Option.Option<string>
  readonly model: Option.Option<string>
}

// -------------------------------------------------------------------------------------
// the file
// -------------------------------------------------------------------------------------

/** The files that are read without `--config`, in this order. */
export const defaultFiles = ["provider.json", "provider.yaml", "provider.yml"]

const configVariable = Config.option(Config.nonEmptyString("EFFECT_LLM_CONFIG"))

/** Finds the file: from `--config`, from `EFFECT_LLM_CONFIG`, or an existing file with a default name. */
export const findFile = (
  config: Option.Option<string>
): Effect.Effect<Option.Option<string>, CliFailure, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    if (Option.isSome(config)) return config
    const variable = yield* Effect.mapError(configVariable, configurationFailure)
    if (Option.isSome(variable)) return variable
    const fileSystem = yield* FileSystem.FileSystem
    return yield* Effect.findFirst(defaultFiles, (path) => Effect.orElseSucceed(fileSystem.exists(path), () => false))
  })

const sourceFromFile = (path: string): Effect.Effect<Source, CliFailure, FileSystem.FileSystem> =>
  Effect.flatMap(Configuration.load(path), ({ faults, file }) =>
    file === undefined
      ? Effect.fail(
          usageFailure(`${path} cannot be used.\n${faults.map((fault) => formatFault(path, fault)).join("\n")}`)
        )
      : Effect.succeed({ origin: path, isFile: true, file })
  )

// -------------------------------------------------------------------------------------
// the environment
// -------------------------------------------------------------------------------------

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
  capacity: Infinity,
  refillRate: Infinity,
  tokensPerMinute: undefined,
  requestsPerMinute: undefined,
  requestsPerDay: undefined,
  maxConcurrency: undefined,
  contextWindow: 200_000,
  timeout: undefined,
  temperature: undefined,
  weight: 1
})

interface ModelName {
  readonly provider: string | undefined
  readonly model: string
}

/** Splits `openai/gpt-4o`, but not `meta-llama/llama-3`, whose prefix is not a known provider. */
export const parseModelName = (name: string): ModelName => {
  const slash = name.indexOf("/")
  const provider = name.slice(0, Math.max(0, slash))
  return slash > 0 && isKnown(providerOf(provider))
    ? { provider: providerOf(provider), model: name.slice(slash + 1) }
    : { provider: undefined, model: name }
}

const keysOf = (provider: string): Effect.Effect<ReadonlyArray<ApiKey.ApiKey>> =>
  Environment.apiKeys(provider).pipe(
    Effect.map((keys) => keys.map((key) => ApiKey.make(key))),
    // A provider without a key is left out.
    Effect.orElseSucceed(() => [])
  )

const environmentOf = (provider: string) =>
  Effect.all({ baseUrl: Environment.baseUrl(provider), headers: Environment.headers(provider) })

const noModelMessage =
  "No model is configured: there is no provider.json here and no API key in the environment. Set OPENAI_API_KEY, " +
  "ANTHROPIC_API_KEY, GEMINI_API_KEY or another provider's key, or name a file with --config."

const sourceFromEnvironment = (model: Option.Option<string>): Effect.Effect<Source, CliFailure> =>
  Effect.gen(function* () {
    const defaults = yield* Effect.mapError(Environment.defaults, configurationFailure)
    const modelName = Option.map(
      Option.orElse(model, () => defaults.model),
      parseModelName
    )
    const providers = yield* Effect.forEach(names, (provider) =>
      Effect.map(keysOf(provider), (keys) => ({ provider, keys }))
    )
    const providersWithKeys = providers.filter(({ keys }) => keys.length > 0)
    const provider = Option.flatMapNullable(modelName, (modelName) => modelName.provider).pipe(
      Option.orElse(() =>
        Option.fromNullable(
          providersWithKeys.length === 1
            ? providersWithKeys[0]?.provider
            : providersWithKeys.find(({ provider }) => provider === "openai")?.provider
        )
      ),
      Option.getOrUndefined
    )
    if (provider === undefined && providersWithKeys.length === 0) return yield* usageFailure(noModelMessage)
    const localProviders =
      provider !== undefined && isLocal(provider) && providersWithKeys.every((other) => other.provider !== provider)
        ? [{ provider, keys: [ApiKey.make("none")] }]
        : []
    const entries = yield* Effect.forEach([...providersWithKeys, ...localProviders], ({ keys, provider: name }) =>
      Effect.map(Effect.mapError(environmentOf(name), configurationFailure), ({ baseUrl, headers }) => {
        const model = name === provider ? Option.getOrUndefined(modelName)?.model : undefined
        const entry = entryOf(
          name,
          model ?? (name === "openai" ? "gpt-4o-mini" : ""),
          Option.getOrUndefined(baseUrl),
          keys
        )
        return { ...entry, headers }
      })
    )
    if (provider !== undefined && entries.every((entry) => entry.provider !== provider)) {
      return yield* usageFailure(
        `There is no key for ${provider}. Set ${Environment.keyVariable(provider)}, or name a file with --config.`
      )
    }
    const defaultEntry = entries.find((entry) => entry.provider === provider)
    return {
      origin: "the environment",
      isFile: false,
      file: {
        models: entries,
        groups: [],
        aliases: {},
        default:
          defaultEntry === undefined || defaultEntry.model === ""
            ? undefined
            : `${defaultEntry.provider}/${defaultEntry.model}`,
        warnings: []
      }
    }
  })

/** The models of the environment for a server: each provider with a key and an address has the default model, or a usual one. */
export const environmentModels: Effect.Effect<ProviderFile, CliFailure> = Effect.map(
  sourceFromEnvironment(Option.none()),
  ({ file }) => {
    const models = file.models
      .filter(({ baseUrl, provider }) => baseUrl !== undefined || hasBaseUrl(provider, ownProtocol(provider)))
      .map((entry) => (entry.model === "" ? { ...entry, model: modelOf(entry.provider) } : entry))
    const [first] = models
    const fallback = models.length === 1 && first !== undefined ? `${first.provider}/${first.model}` : undefined
    return { ...file, models, default: file.default ?? fallback }
  }
)

// -------------------------------------------------------------------------------------
// both
// -------------------------------------------------------------------------------------

export const loadSource = ({
  config,
  model
}: ModelSelection): Effect.Effect<Source, CliFailure, FileSystem.FileSystem> =>
  Effect.flatMap(findFile(config), Option.match({ onNone: () => sourceFromEnvironment(model), onSome: sourceFromFile }))

/** Makes the models of a source. */
export const makeModels = (
  { file }: Source,
  options: Models.Options = {}
): Effect.Effect<Models.Service, CliFailure, HttpClient.HttpClient> =>
  Models.make(
    { ...file, models: file.models.filter(({ model }) => model !== "") },
    { telemetry: false, ...options }
  ).pipe(Effect.mapError(configurationFailure), Effect.provide(Prices.layer))

/** Selects a model; adds the price to each answer if it is known. */
export const chooseModel = (
  source: Source,
  available: Models.Service,
  model: Option.Option<string>
): Effect.Effect<LLM.Service, CliFailure> =>
  Effect.gen(function* () {
    // With the environment, `loadSource` has already made the selected model the default.
    const selected = Option.isSome(model) && source.isFile ? available.get(model.value) : available.default
    const llm = yield* Effect.mapError(selected, (error) =>
      source.isFile
        ? callFailure(error)
        : usageFailure(
            `Choose a model with --model, such as ${source.file.models[0]?.provider ?? "openai"}/<model>. ` +
              '"effect-llm models --remote" lists the models.'
          )
    )
    return yield* Effect.provide(Pricing.middleware()(llm), Prices.layer)
  })

/** The most attempts of a call of a model; undefined for a group. */
export const attemptsOf = ({ file }: Source, { model, provider }: LLM.ModelInfo): number | undefined =>
  file.models.find((entry) => entry.provider === provider && (entry.model === model || entry.model === ""))?.attempts

/** Loads the model that the command line selects. */
export const loadModel = (
  selection: ModelSelection
): Effect.Effect<LLM.Service, CliFailure, FileSystem.FileSystem | HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const source = yield* loadSource(selection)
    return yield* chooseModel(source, yield* makeModels(source), selection.model)
  })

/** `effect-llm init`: writes a model file for the keys of the environment. */
import { FileSystem } from "@effect/platform"
import { Effect, Option } from "effect"
import * as Environment from "../../provider/environment.js"
import { hasBaseUrl, names, ownProtocol } from "../../provider/registry.js"
import { defaultFiles, parseModelName } from "../config/loadModels.js"
import type { Provider } from "../config/modelFile.js"
import * as ModelFile from "../config/modelFile.js"
import type { Arguments } from "../definitions/init.js"
import { configurationFailure, operationFailure, usageFailure } from "../failure.js"
import { outputStyle } from "../terminal/style.js"
import { Terminal } from "../terminal/terminal.js"

/** A provider of the environment, with the number of its keys. */
interface Found extends Provider {
  readonly keyCount: number
  /** The variable with the base URL, when it is needed and not set. */
  readonly missing: string | undefined
}

const findProvider = (name: string, model: string | undefined) =>
  Effect.gen(function* () {
    const variables = yield* Environment.keyVariables(name)
    const baseUrl = yield* Environment.baseUrl(name)
    const baseUrlVariable = Environment.baseUrlVariable(name)
    return {
      name,
      model: model ?? ModelFile.modelOf(name),
      variables: variables.map((variable) => variable.name),
      keyCount: variables.reduce((sum, { keys }) => sum + keys.length, 0),
      baseUrl: Option.isSome(baseUrl) ? baseUrlVariable : undefined,
      missing: Option.isSome(baseUrl) || hasBaseUrl(name, ownProtocol(name)) ? undefined : baseUrlVariable
    } satisfies Found
  })

const withoutKey: Provider = {
  name: "openai",
  model: ModelFile.modelOf("openai"),
  variables: ["OPENAI_API_KEY"],
  baseUrl: undefined
}

const rows = (providers: ReadonlyArray<Found>): string => {
  const widths = [0, 1].map((column) =>
    Math.max(0, ...providers.map(({ model, name }) => (column === 0 ? name : model).length))
  )
  return providers
    .map(({ keyCount, model, name, variables }) => {
      const keys = keyCount === variables.length ? "" : ` (${keyCount} keys)`
      return `  ${name.padEnd(widths[0] ?? 0)}  ${model.padEnd(widths[1] ?? 0)}  ${variables.join(", ")}${keys}\n`
    })
    .join("")
}

export const run = ({ force, path }: Arguments) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const style = outputStyle(terminal)
    const fileSystem = yield* FileSystem.FileSystem
    if (!/\.ya?ml$/i.test(path)) {
      return yield* usageFailure(`${path}: the file has comments, which JSON does not allow. Name it provider.yaml.`)
    }
    const exists = yield* Effect.orElseSucceed(fileSystem.exists(path), () => false)
    if (exists && !force) return yield* usageFailure(`${path} exists. --force overwrites it.`)

    const { model } = yield* Effect.mapError(Environment.defaults, configurationFailure)
    const selected = Option.getOrUndefined(Option.map(model, parseModelName))
    const candidates = yield* Effect.mapError(
      Effect.forEach(names, (name) =>
        findProvider(name, (selected?.provider ?? "openai") === name ? selected?.model : undefined)
      ),
      configurationFailure
    )
    const found = candidates.filter(({ keyCount }) => keyCount > 0)
    const usable = found.filter(({ missing }) => missing === undefined)
    const first = usable.find(({ name }) => name === selected?.provider) ?? usable[0] ?? withoutKey
    const providers = [first, ...usable.filter((provider) => provider !== first)]
    yield* Effect.mapError(
      fileSystem.writeFileString(path, ModelFile.render(providers, `${first.name}/${first.model}`)),
      ({ message }) => operationFailure(`${path} cannot be written: ${message}`)
    )

    yield* terminal.write(`${style("ok", "green")} ${path} is written.\n${rows(usable)}`)
    for (const { missing, name } of found) {
      if (missing !== undefined) {
        yield* terminal.write(`  ${name} is left out, because it has no usual address: set ${missing}.\n`)
      }
    }
    const option = path === "provider.yaml" ? "" : ` -c ${path}`
    yield* terminal.write(
      usable.length === 0
        ? "There is no API key in the environment: set OPENAI_API_KEY, or the variable of another provider and write the file again.\n" +
            "Without an account: effect-llm simulate\n"
        : `Try: effect-llm ask${option} "What is the capital of France?"\n`
    )
    const earlier = yield* Effect.filter(
      path === "provider.yaml" ? defaultFiles.slice(0, defaultFiles.indexOf(path)) : [],
      (file) => Effect.orElseSucceed(fileSystem.exists(file), () => false)
    )
    for (const file of earlier) {
      yield* terminal.writeError(`${file} is read before ${path}. Name this one with --config, or remove ${file}.\n`)
    }
  })

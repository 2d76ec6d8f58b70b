/** `effect-llm models`: lists the configured models, or the models that providers offer. */
import { Effect, Option } from "effect"
import type { ListedModel } from "../../wire/Wire.js"
import * as Clients from "../config/clients.js"
import { CliFailure, exitCodes, callFailure } from "../failure.js"
import { printJson, printTable } from "../output.js"
import { Terminal } from "../terminal/terminal.js"
import type { Source } from "../config/loadModels.js"
import { loadSource } from "../config/loadModels.js"
import { sanitize, errorStyle } from "../terminal/style.js"
import type { Arguments } from "../definitions/models.js"

interface Names {
  readonly name: string
  readonly aliases: ReadonlyArray<string>
  readonly isDefault: boolean
}

interface ConfiguredModel extends Names {
  readonly provider: string
  readonly model: string
  readonly keys: number
  readonly contextWindow: number
}

interface ConfiguredGroup extends Names {
  readonly strategy: string
  readonly members: ReadonlyArray<string>
}

const configuredModels = ({ file }: Source) => {
  const nameOf = ({ model, provider }: (typeof file.models)[number]) =>
    `${provider}/${model === "" ? "<model>" : model}`
  const onlyModel = file.models.length === 1 && file.groups.length === 0 ? file.models.map(nameOf)[0] : undefined
  const defaultModel = file.default === undefined ? onlyModel : (file.aliases[file.default] ?? file.default)
  const namesOf = (name: string): Names => ({
    name,
    aliases: Object.keys(file.aliases).filter((alias) => file.aliases[alias] === name),
    isDefault: name === defaultModel
  })
  return {
    models: file.models.map((entry): ConfiguredModel => {
      const { contextWindow, keys, model, provider } = entry
      return { ...namesOf(nameOf(entry)), provider, model, keys: keys.length, contextWindow }
    }),
    groups: file.groups.map(({ members, name, strategy }): ConfiguredGroup => ({
      ...namesOf(name),
      strategy,
      members: members.map(({ model }) => model)
    }))
  }
}

const printConfigured = (source: Source, json: boolean) =>
  Effect.gen(function* () {
    const { groups, models } = configuredModels(source)
    if (json) return yield* printJson({ origin: source.origin, models, groups })
    yield* printTable(
      ["model", "aliases", "keys", "context", ""],
      models.map(({ aliases, contextWindow, isDefault, keys, name }) => [
        { text: name, attributes: ["bold"] },
        { text: aliases.join(", ") },
        { text: String(keys), right: true },
        { text: contextWindow.toLocaleString("en"), right: true },
        { text: isDefault ? "default" : "", attributes: ["green"] }
      ])
    )
    if (groups.length > 0) {
      yield* printTable(
        ["group", "aliases", "strategy", "members", ""],
        groups.map(({ aliases, isDefault, members, name, strategy }) => [
          { text: name, attributes: ["bold"] },
          { text: aliases.join(", ") },
          { text: strategy },
          { text: members.join(", ") },
          { text: isDefault ? "default" : "", attributes: ["green"] }
        ])
      )
    }
    const terminal = yield* Terminal
    if (terminal.errorIsTerminal)
      yield* terminal.writeError(`${errorStyle(terminal)(`From ${source.origin}.`, "dim")}\n`)
  })

/** The models that a provider offers, or why they cannot be listed. */
interface ProviderModels {
  readonly provider: string
  readonly models: ReadonlyArray<ListedModel>
  readonly failure: CliFailure | undefined
}

const listProviderModels = ({ client, entry, pool }: Clients.ConfiguredClient): Effect.Effect<ProviderModels> => {
  const { provider } = entry
  const { listModels } = client
  return listModels === undefined
    ? Effect.succeed({
        provider,
        models: [],
        failure: new CliFailure({ exitCode: exitCodes.failed, message: `${provider} does not list its models.` })
      })
    : pool
        .withKey((key) => listModels({ model: entry.model, key }))
        .pipe(
          Effect.match({
            onFailure: (error) => ({ provider, models: [], failure: callFailure(error) }),
            onSuccess: (models) => ({ provider, models, failure: undefined })
          })
        )
}

const endpointId = ({ client: { baseUrl = "", provider, wire } }: Clients.ConfiguredClient): string =>
  `${provider} ${wire} ${baseUrl}`

const printRemote = (source: Source, json: boolean) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const clients = yield* Clients.makeClients(source)
    const endpoints = [...new Map(clients.map((each) => [endpointId(each), each])).values()]
    const results = yield* Effect.forEach(endpoints, listProviderModels, { concurrency: 8 })
    if (json) {
      yield* printJson(
        results.map(({ failure, models, provider }) => ({
          provider,
          models: models.map(({ contextWindow, id }) => ({ id, contextWindow })),
          ...(failure === undefined ? {} : { error: failure.message })
        }))
      )
    } else {
      const rows = results.flatMap(({ models, provider }) =>
        models.map(({ contextWindow, id }) => [
          { text: `${provider}/${id}`, attributes: ["bold"] as const },
          { text: contextWindow?.toLocaleString("en") ?? "", right: true }
        ])
      )
      if (rows.length > 0) yield* printTable(["model", "context"], rows)
    }
    const failures = results.flatMap(({ failure, provider }) => (failure === undefined ? [] : [{ failure, provider }]))
    for (const { failure, provider } of failures) {
      yield* terminal.writeError(`${errorStyle(terminal)(provider, "red")}: ${sanitize(failure.message)}\n`)
    }
    if (failures.length > 0) return yield* new CliFailure({ exitCode: exitCodes.failed, message: "" })
  })

export const run = ({ config, json, remote }: Arguments) =>
  Effect.gen(function* () {
    const source = yield* loadSource({ config, model: Option.none() })
    yield* remote ? printRemote(source, json) : printConfigured(source, json)
  })

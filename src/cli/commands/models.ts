/** `effect-llm models`: which models there are. */
import { Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { ListedModel } from "../../wire/Wire.js"
import * as Clients from "../config/clients.js"
import { CliFailure, exitCodes, ofCall } from "../failure.js"
import * as Help from "../help.js"
import * as Shared from "../options.js"
import { printJson, printTable } from "../output.js"
import { Screen } from "../terminal/screen.js"
import type { Source } from "../config/loadModels.js"
import * as Sources from "../config/loadModels.js"
import { harmless, ofError } from "../terminal/style.js"

const options = {
  ...Shared.configFile,
  remote: Options.boolean("remote").pipe(
    Options.withDescription(
      "Ask the providers what they offer, one request each, instead of listing what is configured."
    )
  ),
  json: Shared.json
}

interface Named {
  readonly name: string
  readonly aliases: ReadonlyArray<string>
  readonly isDefault: boolean
}

interface Configured extends Named {
  readonly provider: string
  readonly model: string
  readonly keys: number
  readonly contextWindow: number
}

interface Group extends Named {
  readonly strategy: string
  readonly members: ReadonlyArray<string>
}

const configuredOf = ({ file }: Source) => {
  const nameOf = ({ model, provider }: (typeof file.models)[number]) =>
    `${provider}/${model === "" ? "<model>" : model}`
  const only = file.models.length === 1 && file.groups.length === 0 ? file.models.map(nameOf)[0] : undefined
  const chosen = file.default === undefined ? only : (file.aliases[file.default] ?? file.default)
  const named = (name: string): Named => ({
    name,
    aliases: Object.keys(file.aliases).filter((alias) => file.aliases[alias] === name),
    isDefault: name === chosen
  })
  return {
    models: file.models.map((entry): Configured => {
      const { contextWindow, keys, model, provider } = entry
      return { ...named(nameOf(entry)), provider, model, keys: keys.length, contextWindow }
    }),
    groups: file.groups.map(({ members, name, strategy }): Group => ({
      ...named(name),
      strategy,
      members: members.map(({ model }) => model)
    }))
  }
}

const showConfigured = (source: Source, json: boolean) =>
  Effect.gen(function* () {
    const { groups, models } = configuredOf(source)
    if (json) return yield* printJson({ origin: source.origin, models, groups })
    yield* printTable(
      ["model", "aliases", "keys", "context", ""],
      models.map(({ aliases, contextWindow, isDefault, keys, name }) => [
        { text: name, looks: ["bold"] },
        { text: aliases.join(", ") },
        { text: String(keys), right: true },
        { text: contextWindow.toLocaleString("en"), right: true },
        { text: isDefault ? "default" : "", looks: ["green"] }
      ])
    )
    if (groups.length > 0) {
      yield* printTable(
        ["group", "aliases", "strategy", "members", ""],
        groups.map(({ aliases, isDefault, members, name, strategy }) => [
          { text: name, looks: ["bold"] },
          { text: aliases.join(", ") },
          { text: strategy },
          { text: members.join(", ") },
          { text: isDefault ? "default" : "", looks: ["green"] }
        ])
      )
    }
    const screen = yield* Screen
    if (screen.errorIsTerminal) yield* screen.tell(`${ofError(screen)(`From ${source.origin}.`, "dim")}\n`)
  })

/** What a provider offers, or why it does not say. */
interface Offer {
  readonly provider: string
  readonly models: ReadonlyArray<ListedModel>
  readonly failure: CliFailure | undefined
}

const offerOf = ({ client, entry, pool }: Clients.Standing): Effect.Effect<Offer> => {
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
            onFailure: (error) => ({ provider, models: [], failure: ofCall(error) }),
            onSuccess: (models) => ({ provider, models, failure: undefined })
          })
        )
}

const placeOf = ({ client: { baseUrl = "", provider, wire } }: Clients.Standing): string =>
  `${provider} ${wire} ${baseUrl}`

const showRemote = (source: Source, json: boolean) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const standing = yield* Clients.ofSource(source)
    const places = [...new Map(standing.map((each) => [placeOf(each), each])).values()]
    const offers = yield* Effect.forEach(places, offerOf, { concurrency: 8 })
    if (json) {
      yield* printJson(
        offers.map(({ failure, models, provider }) => ({
          provider,
          models: models.map(({ contextWindow, id }) => ({ id, contextWindow })),
          ...(failure === undefined ? {} : { error: failure.message })
        }))
      )
    } else {
      const rows = offers.flatMap(({ models, provider }) =>
        models.map(({ contextWindow, id }) => [
          { text: `${provider}/${id}`, looks: ["bold"] as const },
          { text: contextWindow?.toLocaleString("en") ?? "", right: true }
        ])
      )
      if (rows.length > 0) yield* printTable(["model", "context"], rows)
    }
    const failures = offers.flatMap(({ failure, provider }) => (failure === undefined ? [] : [{ failure, provider }]))
    for (const { failure, provider } of failures) {
      yield* screen.tell(`${ofError(screen)(provider, "red")}: ${harmless(failure.message)}\n`)
    }
    if (failures.length > 0) return yield* new CliFailure({ exitCode: exitCodes.failed, message: "" })
  })

const summary = "Lists the models that are configured, with their aliases, or those that the providers offer."

export const models = Command.make("models", options, ({ config, json, remote }) =>
  Effect.gen(function* () {
    const source = yield* Sources.find({ config, model: Option.none() })
    yield* remote ? showRemote(source, json) : showConfigured(source, json)
  })
).pipe(Command.withDescription(summary))

export const page = Help.page(["models"], summary, models, ["effect-llm models", "effect-llm models --remote --json"])

/** Lookup of the models and groups of a file by name and alias. */
import { Either } from "effect"
import type { Service as BalanceService } from "../routing/balance/model.js"
import type { Listed } from "./model.js"
import type { Service as LLMService } from "../call/model.js"
import { didYouMean } from "../internal/nearest.js"
import { ModelNotFoundError } from "../vocabulary/LLMError.js"
import type { GroupEntry, ModelEntry, ProviderFile } from "./fileModel.js"

export type Lookup<A = LLMService> = Either.Either<A, ModelNotFoundError>

export interface Catalogue {
  readonly find: (name: string) => Lookup
  readonly findGroup: (name: string) => Lookup<BalanceService>
  readonly list: ReadonlyArray<Listed>
  /** The default model or group. */
  readonly findDefault: () => Lookup
}

/** The id of a model in names, status and shared state. */
export const idOf = ({ model, provider }: ModelEntry): string => `${provider}/${model}`

/** A name that is given whole or as provider and model. */
export const nameOf = (nameOrProvider: string, model?: string): string =>
  model === undefined ? nameOrProvider : `${nameOrProvider}/${model}`

const notFoundError = (name: string, message: string): ModelNotFoundError =>
  new ModelNotFoundError({ provider: "", model: name, attempts: [], message })

const notFound = (name: string, message: string): Lookup => Either.left(notFoundError(name, message))

/** `environmentDefault` is the default when the file has none. */
export const make = (
  file: ProviderFile,
  models: ReadonlyArray<{ readonly entry: ModelEntry; readonly llm: LLMService }>,
  groups: ReadonlyArray<{ readonly entry: GroupEntry; readonly balance: BalanceService }>,
  environmentDefault: string | undefined
): Catalogue => {
  const byId = new Map(models.map(({ entry, llm }) => [idOf(entry), llm]))
  const byModel = new Map<string, ReadonlyArray<(typeof models)[number]>>()
  for (const model of models) byModel.set(model.entry.model, [...(byModel.get(model.entry.model) ?? []), model])
  const byGroup = new Map(groups.map(({ balance, entry }) => [entry.name, balance]))
  const names = [...byId.keys(), ...byGroup.keys()].join(", ")
  const aliases = new Map(Object.entries(file.aliases))
  const resolveAlias = (name: string): string => aliases.get(name) ?? name
  const aliasesOf = (id: string) => Object.keys(file.aliases).filter((alias) => file.aliases[alias] === id)

  const find = (name: string): Lookup => {
    const id = resolveAlias(name)
    const exact = byId.get(id) ?? byGroup.get(id)
    if (exact !== undefined) return Either.right(exact)
    const [match, ...others] = byModel.get(id) ?? []
    if (match === undefined) {
      const known = [...byId.keys(), ...byModel.keys(), ...byGroup.keys(), ...aliases.keys()]
      return notFound(name, `No model is called "${name}".${didYouMean(name, known)} There are: ${names}.`)
    }
    return others.length === 0
      ? Either.right(match.llm)
      : notFound(
          name,
          `Several models are called "${name}": ${[match, ...others].map(({ entry }) => idOf(entry)).join(", ")}. Name one.`
        )
  }

  const defaultName = file.default ?? environmentDefault
  const [only, ...others] = models
  return {
    find,
    findGroup: (name) =>
      Either.fromNullable(byGroup.get(resolveAlias(name)), () => notFoundError(name, `No group is called "${name}".`)),
    list: [
      ...models.map(({ entry, llm }) => ({
        ...llm.info,
        name: idOf(entry),
        aliases: aliasesOf(idOf(entry)),
        weight: entry.weight
      })),
      ...groups.map(({ balance, entry: { members, name } }) => ({
        ...balance.info,
        name,
        aliases: aliasesOf(name),
        members: members.map(({ model }) => model)
      }))
    ],
    findDefault: () => {
      if (defaultName !== undefined) return find(defaultName)
      return only !== undefined && others.length === 0
        ? Either.right(only.llm)
        : notFound("", `No default model. Set "$default" in the file or LLM_DEFAULT_MODEL to one of: ${names}.`)
    }
  }
}

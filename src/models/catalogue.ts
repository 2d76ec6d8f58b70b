/** The models and groups of a file by all the names they have. */
import { Either } from "effect"
import type { Service as Balanced } from "../routing/balance/model.js"
import type { Listed } from "./model.js"
import type { Service as LLMService } from "../call/model.js"
import { ModelNotFoundError } from "../vocabulary/LLMError.js"
import type { GroupEntry, ModelEntry, ProviderFile } from "./fileModel.js"

export type Found<A = LLMService> = Either.Either<A, ModelNotFoundError>

export interface Catalogue {
  readonly find: (name: string) => Found
  readonly findGroup: (name: string) => Found<Balanced>
  readonly list: ReadonlyArray<Listed>
  /** The model that is meant where none is named. */
  readonly chosen: () => Found
}

/** What a model is called throughout. */
export const idOf = ({ model, provider }: ModelEntry): string => `${provider}/${model}`

/** A name in one or in two words. */
export const nameOf = (nameOrProvider: string, model?: string): string =>
  model === undefined ? nameOrProvider : `${nameOrProvider}/${model}`

const nothing = (name: string, message: string): ModelNotFoundError =>
  new ModelNotFoundError({ provider: "", model: name, attempts: [], message })

const unknown = (name: string, message: string): Found => Either.left(nothing(name, message))

/** `fallback` is the default where the file has none. */
export const make = (
  file: ProviderFile,
  models: ReadonlyArray<{ readonly entry: ModelEntry; readonly llm: LLMService }>,
  groups: ReadonlyArray<{ readonly entry: GroupEntry; readonly balance: Balanced }>,
  fallback: string | undefined
): Catalogue => {
  const byId = new Map(models.map(({ entry, llm }) => [idOf(entry), llm]))
  const byModel = new Map<string, ReadonlyArray<(typeof models)[number]>>()
  for (const each of models) byModel.set(each.entry.model, [...(byModel.get(each.entry.model) ?? []), each])
  const byGroup = new Map(groups.map(({ balance, entry }) => [entry.name, balance]))
  const names = [...byId.keys(), ...byGroup.keys()].join(", ")
  const aliases = new Map(Object.entries(file.aliases))
  const meant = (name: string): string => aliases.get(name) ?? name
  const aliasesOf = (id: string) => Object.keys(file.aliases).filter((alias) => file.aliases[alias] === id)

  const find = (name: string): Found => {
    const id = meant(name)
    const exact = byId.get(id) ?? byGroup.get(id)
    if (exact !== undefined) return Either.right(exact)
    const [bare, ...others] = byModel.get(id) ?? []
    if (bare === undefined) return unknown(name, `No model is called "${name}". There are: ${names}.`)
    return others.length === 0
      ? Either.right(bare.llm)
      : unknown(
          name,
          `Several models are called "${name}": ${[bare, ...others].map(({ entry }) => idOf(entry)).join(", ")}. Name one.`
        )
  }

  const chosen = file.default ?? fallback
  const [only, ...others] = models
  return {
    find,
    findGroup: (name) =>
      Either.fromNullable(byGroup.get(meant(name)), () => nothing(name, `No group is called "${name}".`)),
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
    chosen: () => {
      if (chosen !== undefined) return find(chosen)
      return only !== undefined && others.length === 0
        ? Either.right(only.llm)
        : unknown("", `No default model. Set "$default" in the file or LLM_DEFAULT_MODEL to one of: ${names}.`)
    }
  }
}

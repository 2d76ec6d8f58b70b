/**
 * A list of provider configurations in place of an object of providers, as files for llm-api-router have it: each has one provider, one
 * model and one key. Entries with the same provider, model and address are one model with several keys.
 */
import { isLocal, providerOf } from "../provider/registry.js"
import type { Json } from "../wire/json.js"
import { isRecord } from "../wire/json.js"
import type { AddFault, Fault } from "./fileFields.js"

/** One model in the fields of an object of providers. */
export interface ListedModel {
  readonly provider: string
  readonly entry: Json
  readonly path: string
}

export interface ListedModels {
  readonly models: ReadonlyArray<ListedModel>
  /** The fault with the path of the field in the list. */
  readonly renamed: (fault: Fault) => Fault
}

/** Fields of a list under their names in an object of providers. */
const fieldNames = [
  ["default_model", "model_name"],
  ["base_url", "base_url"],
  ["extra_headers", "headers"],
  ["timeout", "timeout"]
] as const

const retryNames = [
  ["max_retries", "max_retries"],
  ["initial_delay", "retry_delay"]
] as const

const translated: ReadonlySet<string> = new Set([
  "provider_type",
  "api_key",
  "retry_config",
  ...fieldNames.map(([name]) => name)
])

/** A configuration of one provider is a list of one. */
const itemsOf = (json: unknown): ReadonlyArray<unknown> | undefined => {
  if (Array.isArray(json) && json.length > 0) return json
  return isRecord(json) && "provider_type" in json ? [json] : undefined
}

const pick = (from: Json, names: ReadonlyArray<readonly [string, string]>): Json =>
  Object.fromEntries(names.flatMap(([name, ours]) => (from[name] === undefined ? [] : [[ours, from[name]]])))

/** Its `max_retries` counts the attempts after the first. */
const retriesOf = (config: unknown): Json => {
  if (!isRecord(config)) return {}
  const { max_retries: retries, ...fields } = pick(config, retryNames)
  return {
    ...fields,
    ...(retries === undefined ? {} : { max_retries: typeof retries === "number" ? retries + 1 : retries })
  }
}

const entryOf = (item: Json, keys: ReadonlyArray<unknown>): Json => ({
  ...Object.fromEntries(Object.entries(item).filter(([name]) => !translated.has(name))),
  ...pick(item, fieldNames),
  ...retriesOf(item["retry_config"]),
  api_keys: keys
})

/** The models of a list; undefined when the file is none. */
export const listedModels = (json: unknown, addFault: AddFault): ListedModels | undefined => {
  const items = itemsOf(json)
  if (items === undefined) return undefined
  const groups = new Map<string, { readonly item: Json; readonly provider: string; readonly indexes: Array<number> }>()
  for (const [index, item] of items.entries()) {
    const provider = isRecord(item) ? item["provider_type"] : undefined
    if (!isRecord(item)) addFault(`[${index}]`, "expected an object")
    else if (typeof provider !== "string") addFault(`[${index}].provider_type`, "is missing")
    else {
      const id = JSON.stringify([provider, item["default_model"], item["base_url"]])
      const group = groups.get(id)
      if (group === undefined) groups.set(id, { item, provider, indexes: [index] })
      else group.indexes.push(index)
    }
  }
  const keyOf = (index: number): unknown => {
    const item = items[index]
    return isRecord(item) ? item["api_key"] : undefined
  }
  /** A server on this machine needs no key. */
  const keysAt = (provider: string, indexes: ReadonlyArray<number>): ReadonlyArray<unknown> => {
    const keys = indexes.map(keyOf).filter((key) => key !== undefined && key !== null)
    return keys.length === 0 && isLocal(providerOf(provider)) ? ["none"] : keys
  }
  const indexesAt = new Map([...groups.values()].map(({ indexes }) => [`[${indexes[0]}]`, indexes]))
  return {
    models: [...groups.values()].map(({ indexes, item, provider }) => ({
      provider,
      path: `[${indexes[0]}]`,
      entry: entryOf(item, keysAt(provider, indexes))
    })),
    renamed: ({ message, path }) => {
      const [, at = "", name = "", rest = ""] = /^(\[\d+\])\.([a-z_]+)(.*)$/.exec(path) ?? []
      if (name === "api_keys") {
        const position = Number(/^\[(\d+)\]/.exec(rest)?.[1])
        const index = indexesAt.get(at)?.[position]
        return index === undefined
          ? { path: `${at}.api_key`, message: "is missing" }
          : { path: `[${index}].api_key`, message }
      }
      const listed = fieldNames.find(([, ours]) => ours === name)?.[0]
      const retry = retryNames.find(([, ours]) => ours === name)?.[0]
      if (listed !== undefined) return { path: `${at}.${listed}${rest}`, message }
      return { path: retry === undefined ? path : `${at}.retry_config.${retry}`, message }
    }
  }
}

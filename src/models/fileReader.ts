/** Reads the JSON value of a provider file and collects all its faults. */
import { Duration } from "effect"
import * as ApiKey from "../vocabulary/ApiKey.js"
import type { GroupEntry, ModelEntry, ProviderFile } from "./fileModel.js"
import { didYouMean, nearest, unknownField } from "../internal/nearest.js"
import { hasBaseUrl, isKnown, isProtocol, names, protocols, providerOf } from "../provider/registry.js"
import type { Json } from "../wire/json.js"
import { isRecord } from "../wire/json.js"
import { headerFault } from "../keyPool/options.js"
import type { Expand, Fault, Fields } from "./fileFields.js"
import { fieldsOf, optional } from "./fileFields.js"
import { rates } from "../rateLimiter/options.js"
import { listedModels } from "./fileList.js"
import { readGroups, unknownModel } from "./fileGroups.js"
import { readOnDisconnect } from "./fileDisconnect.js"
import { readPrice } from "./filePrice.js"

const modelFields: ReadonlySet<string> = new Set([
  "model_name",
  "api_keys",
  "base_url",
  "max_retries",
  "retry_delay",
  "rate_limit_capacity",
  "rate_limit_refill_rate",
  "context_window",
  "type",
  "preset",
  "headers",
  "timeout",
  "on_disconnect",
  "on_unsupported",
  "on_owner_unavailable",
  "tokens_per_minute",
  "requests_per_minute",
  "requests_per_day",
  "max_concurrency",
  "default_temperature",
  "model_weight",
  "aliases",
  "price",
  "affinity"
])

const seconds = (value: number | undefined): Duration.Duration | undefined =>
  value === undefined ? undefined : Duration.seconds(value)

const readChoice = <const A extends string>(
  choices: ReadonlyArray<A>,
  json: unknown,
  path: string,
  addFault: (path: string, fault: string) => void
): A | undefined => {
  if (json === undefined || json === null) return undefined
  const choice = choices.find((each) => each === json)
  if (choice === undefined) addFault(path, `expected ${choices.map((each) => `"${each}"`).join(" or ")}`)
  return choice
}

const requestLimits = [
  "rate_limit_capacity",
  "rate_limit_refill_rate",
  "requests_per_minute",
  "requests_per_day"
] as const

/** `max_concurrency` alone does not change the default request rate. `isLimited` is whether there is one. */
const limitsOf = (entry: Json, fields: Fields, isLimited: boolean) => {
  const requestsPerMinute = fields.positive("requests_per_minute")
  const requestsPerDay = fields.positive("requests_per_day")
  const bucket = {
    ...optional("capacity", fields.positive("rate_limit_capacity")),
    ...optional("refillRate", fields.positive("rate_limit_refill_rate"))
  }
  return {
    ...(entry["rate_limit_capacity"] === null
      ? { capacity: Infinity, refillRate: Infinity }
      : rates({
          ...bucket,
          ...optional("requestsPerMinute", requestsPerMinute),
          ...optional("requestsPerDay", requestsPerDay),
          ...(isLimited ? {} : { maxConcurrency: Infinity })
        })),
    ...(isLimited && requestLimits.every((field) => entry[field] === undefined) ? { hasDefaultLimit: true } : {}),
    requestsPerMinute,
    requestsPerDay,
    tokensPerMinute: fields.positive("tokens_per_minute"),
    maxConcurrency: fields.whole("max_concurrency")
  }
}

export const readFile = (
  json: unknown,
  expand: Expand
): { readonly value: ProviderFile; readonly faults: ReadonlyArray<Fault> } => {
  const faults: Array<Fault> = []
  const warnings: Array<string> = []
  const models: Array<ModelEntry> = []
  // Without a prototype, because an alias can have the name of an inherited field such as `constructor`.
  const aliases: Record<string, string> = Object.create(null)
  const addFault = (path: string, message: string): void => {
    faults.push({ path, message })
  }
  const addWarning = (warning: string): void => {
    warnings.push(warning)
  }

  const readKey = (key: unknown, path: string): ReadonlyArray<ApiKey.ApiKey> => {
    const from: Json = typeof key === "string" ? { key } : isRecord(key) ? key : {}
    if (typeof key !== "string" && !isRecord(key)) {
      addFault(path, 'expected a key, or an object such as { "key": …, "weight": 2 }')
      return []
    }
    const fields = fieldsOf(from, path, (at, message) => addFault(typeof key === "string" ? path : at, message), expand)
    const secret = fields.text("key")
    if (secret === undefined) {
      if (from["key"] === undefined) addFault(`${path}.key`, "is missing")
      return []
    }
    if (secret.trim() === "") {
      addFault(path, "is empty")
      return []
    }
    const fault = headerFault(secret)
    if (fault !== undefined) addFault(path, fault)
    return [
      ApiKey.make(secret, {
        ...optional("id", fields.text("id")),
        ...optional("weight", fields.positive("weight")),
        ...optional("maxConcurrency", fields.whole("max_concurrency")),
        ...optional("requestsPerSecond", fields.positive("max_qps")),
        ...optional("quotaGroup", fields.text("quota_group"))
      })
    ]
  }

  /** A variable alone can have several keys, separated by commas, as when they are read from the environment. */
  const listedKeys = (key: unknown): ReadonlyArray<unknown> => {
    const value = typeof key === "string" && /^\$\{\w+\}$/.test(key) ? expand(key) : undefined
    const keys = value?.split(",").map((one) => one.trim()) ?? []
    const present = keys.filter((one) => one !== "")
    // Escaped, because they are expanded once more.
    return present.length < 2 ? [key] : present.map((one) => one.replace(/\$\{/g, "$${"))
  }

  const readKeys = (keys: unknown, path: string): ReadonlyArray<ApiKey.ApiKey> => {
    if (!Array.isArray(keys)) {
      addFault(path, keys === undefined ? "is missing" : "expected a list of keys")
      return []
    }
    if (keys.length === 0) addFault(path, "expected at least one key")
    return keys.flatMap((key: unknown, index) => listedKeys(key).flatMap((one) => readKey(one, `${path}[${index}]`)))
  }

  const readHeaders = (headers: unknown, path: string): Readonly<Record<string, string>> => {
    if (headers === undefined) return {}
    if (!isRecord(headers)) {
      addFault(path, "expected an object of strings")
      return {}
    }
    const fields = fieldsOf(headers, path, addFault, expand)
    return Object.fromEntries(
      Object.keys(headers).flatMap((name) => {
        const value = fields.text(name)
        return value === undefined ? [] : [[name, value] as const]
      })
    )
  }

  const readModel = (provider: string, entry: unknown, path: string, isLimited = true): void => {
    if (!isRecord(entry)) {
      addFault(path, "expected an object")
      return
    }
    const fields = fieldsOf(entry, path, addFault, expand)
    for (const field of Object.keys(entry))
      if (!modelFields.has(field)) warnings.push(`${path}.${field}: ${unknownField(field, modelFields)}`)
    const model = fields.text("model_name")
    if (model === undefined || model === "") {
      if (entry["model_name"] === undefined || model === "") addFault(fields.at("model_name"), "is missing")
    } else if (models.some((other) => other.provider === provider && other.model === model)) {
      addFault(fields.at("model_name"), `"${model}" is defined already`)
    }
    const type = fields.text("type")
    const wire = type !== undefined && isProtocol(type) ? type : undefined
    if (type !== undefined && wire === undefined) {
      addFault(fields.at("type"), `expected one of ${protocols.map((protocol) => `"${protocol}"`).join(", ")}`)
    }
    const presetName = providerOf(fields.text("preset") ?? provider)
    const preset = isKnown(presetName) ? presetName : undefined
    if (entry["preset"] !== undefined && preset === undefined)
      addFault(fields.at("preset"), `no preset is called "${presetName}".${didYouMean(presetName, names)}`)
    const baseUrl = fields.text("base_url")
    if (baseUrl === undefined) {
      if (entry["base_url"] === undefined && (preset === undefined || !hasBaseUrl(preset, wire))) {
        const similar = preset === undefined ? nearest(provider, names) : undefined
        addFault(
          fields.at("base_url"),
          similar === undefined
            ? "is missing"
            : `is missing: no provider is called "${provider}". Did you mean ${similar}?`
        )
      }
    } else if (!/^https?:\/\/[^/]/i.test(baseUrl)) {
      addFault(fields.at("base_url"), "expected an http(s) URL")
    }
    for (const alias of Array.isArray(entry["aliases"]) ? entry["aliases"] : []) {
      if (typeof alias === "string") addAlias(alias, `${provider}/${model ?? ""}`, fields.at("aliases"))
      else addFault(fields.at("aliases"), "expected a list of strings")
    }
    models.push({
      provider,
      model: model ?? "",
      wire,
      preset,
      baseUrl,
      headers: readHeaders(entry["headers"], fields.at("headers")),
      keys: readKeys(entry["api_keys"], fields.at("api_keys")),
      attempts: fields.whole("max_retries") ?? 5,
      retryDelay: seconds(fields.notNegative("retry_delay")) ?? Duration.seconds(1),
      ...limitsOf(entry, fields, isLimited),
      contextWindow: fields.whole("context_window") ?? 200_000,
      ...optional("affinity", fields.flag("affinity")),
      timeout: seconds(fields.positive("timeout")),
      ...optional(
        "onDisconnect",
        readOnDisconnect(entry["on_disconnect"], fields.at("on_disconnect"), { addFault, addWarning, expand })
      ),
      ...optional(
        "onUnsupported",
        readChoice(["error", "drop"], entry["on_unsupported"], fields.at("on_unsupported"), addFault)
      ),
      ...optional(
        "onOwnerUnavailable",
        readChoice(["drop", "wait"], entry["on_owner_unavailable"], fields.at("on_owner_unavailable"), addFault)
      ),
      temperature: fields.notNegative("default_temperature"),
      weight: fields.positive("model_weight") ?? 1,
      ...optional("price", readPrice(entry["price"], fields.at("price"), { addFault, addWarning, expand }))
    })
  }

  const addAlias = (alias: string, target: string, path: string): void => {
    if (aliases[alias] !== undefined && aliases[alias] !== target)
      addFault(path, `"${alias}" is an alias of two models`)
    aliases[alias] = target
  }

  const readAliases = (section: unknown): void => {
    if (!isRecord(section)) {
      addFault("$aliases", 'expected an object such as { "fast": "openai/gpt-4o-mini" }')
      return
    }
    for (const [alias, target] of Object.entries(section)) {
      if (typeof target === "string") addAlias(alias, target, `$aliases.${alias}`)
      else addFault(`$aliases.${alias}`, 'expected a string such as "openai/gpt-4o"')
    }
  }

  let groups: ReadonlyArray<GroupEntry> = []
  const isGroup = (name: string): boolean => groups.some((group) => group.name === name)
  const isModel = (name: string): boolean => models.some(({ model, provider }) => `${provider}/${model}` === name)

  const listed = listedModels(json, addFault)
  if (listed !== undefined) {
    for (const { entry, path, provider } of listed.models) readModel(provider, entry, path, false)
  } else if (!isRecord(json)) {
    addFault("", "expected an object of providers, or a list of provider configurations")
  } else {
    for (const [provider, section] of Object.entries(json)) {
      if (provider.startsWith("$")) continue
      if (Array.isArray(section)) {
        for (const [index, entry] of section.entries()) readModel(provider, entry, `${provider}[${index}]`)
      } else {
        addFault(provider, "expected a list of models")
      }
    }
    if (json["$aliases"] !== undefined) readAliases(json["$aliases"])
    groups = readGroups(json["$groups"], { models, aliases, addFault, addWarning, expand })
    for (const [alias, target] of Object.entries(aliases)) {
      if (!isModel(target) && !isGroup(target)) addFault(`$aliases.${alias}`, unknownModel(target))
    }
  }
  const defaultField = isRecord(json) ? json["$default"] : undefined
  const defaultName = typeof defaultField === "string" ? defaultField : undefined
  const isDefined = (name: string): boolean => isModel(name) || isGroup(name) || aliases[name] !== undefined
  if (defaultField !== undefined && (defaultName === undefined || !isDefined(defaultName))) {
    addFault("$default", "is no model, no group and no alias of this file")
  }
  return {
    value: { models, groups, aliases, default: defaultName, warnings },
    faults: listed === undefined ? faults : faults.map(listed.renamed)
  }
}

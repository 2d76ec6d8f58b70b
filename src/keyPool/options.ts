/** Checked options of a pool. Each fault has its path, none has a secret. */
import { Predicate, Redacted } from "effect"
import * as ApiKeys from "../vocabulary/ApiKey.js"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import * as Backoffs from "../vocabulary/backoff.js"
import type { KeyInput, Options } from "./model.js"
import * as Checks from "../internal/optionChecks.js"
import type { CooldownSettings } from "./key.js"

/** The valid part of an input, and its faults. */
export interface Checked<A> {
  readonly value: A
  readonly faults: ReadonlyArray<string>
}

/** The durations of a pool, in milliseconds. */
export interface Settings extends CooldownSettings {
  readonly maxWait: number
  readonly maxQueueLength: number
  /** The bound of the load of a key that the affinity picks; undefined without affinity. */
  readonly affinityBound: number | undefined
}

/** The backoff of cooldowns after rate limits without a Retry-After. */
export const cooldownBackoff = { base: "1 second", max: "60 seconds" } as const

/** The default bound of the load of a key that the affinity picks. */
export const affinityBound = 1.25

export const settings = (options: Options): Checked<Settings> => {
  const checks = Checks.make()
  const { faults, millis } = checks
  const { cooldown = {} } = options
  const affinity = options.affinity === true ? {} : options.affinity
  const bound = affinity === false ? undefined : affinity && (affinity.bound ?? affinityBound)
  const value = {
    affinityBound: bound && checks.number("affinity.bound", bound, bound >= 1, "a number of at least 1"),
    maxWait: millis("maxWait", options.maxWait ?? "30 seconds", Checks.anyLength),
    maxQueueLength: Checks.queueLength(checks.number, options.maxQueueLength),
    ...Backoffs.growthOf(checks, "cooldown", cooldown, cooldownBackoff, Checks.positive),
    quota: millis("cooldown.quota", cooldown.quota ?? "1 hour", Checks.positive),
    refused: millis("cooldown.refused", cooldown.refused ?? "5 minutes", Checks.positive),
    keyHealth: {
      maxCooldown: millis("cooldown.maxCooldown", cooldown.maxCooldown ?? "1 hour", Checks.positive),
      maxFailures: checks.number(
        "cooldown.maxFailures",
        cooldown.maxFailures ?? 5,
        Checks.isWhole(cooldown.maxFailures ?? 5, 1),
        "a whole number of at least 1"
      )
    },
    latencyDecay: millis("latencyDecay", options.latencyDecay ?? "10 seconds", Checks.finite)
  }
  return { value, faults }
}

/** The keys of a new pool: at least one. */
export const allKeys = (inputs: ReadonlyArray<KeyInput>): Checked<ReadonlyArray<ApiKey>> => {
  if (!Array.isArray(inputs)) return { value: [], faults: ["keys: must be a list of keys"] }
  return inputs.length === 0
    ? { value: [], faults: ["keys: must have at least one key"] }
    : keys(inputs, [], (index) => `keys[${index}]`)
}

/** Keys to add to those `present`. `path` names the position of each. */
export const keys = (
  inputs: ReadonlyArray<KeyInput>,
  present: ReadonlyArray<ApiKey>,
  path: (index: number) => string
): Checked<ReadonlyArray<ApiKey>> => {
  const faults: Array<string> = []
  const accepted: Array<ApiKey> = []
  const bySecret = new Map(present.map((key) => [Redacted.value(key.value), `key "${key.id}"`]))
  const byId = new Map(present.map((key) => [key.id, `key "${key.id}"`]))
  for (const [index, input] of inputs.entries()) {
    const place = path(index)
    const key = read(input)
    if (key === undefined) {
      faults.push(`${place}: must be an API key; this is ${describeInput(input)}`)
      continue
    }
    const secret = Redacted.value(key.value)
    const duplicate = bySecret.get(secret)
    if (duplicate !== undefined) faults.push(`${place}: is the same secret as ${duplicate}`)
    bySecret.set(secret, place)
    const named = { ...key, id: freeId(key, byId) }
    const taken = byId.get(named.id)
    if (taken !== undefined && duplicate === undefined) faults.push(`${place}.id: is the id of ${taken} too`)
    byId.set(named.id, place)
    const headerProblem = headerFault(secret)
    if (headerProblem !== undefined) faults.push(`${place} ("${named.id}"): ${headerProblem}`)
    faults.push(...keyFaults(key).map((fault) => `${place}.${fault}`))
    accepted.push(named)
  }
  return { value: accepted, faults }
}

/** What the input is instead of a key. Plain JavaScript can pass anything, whatever the type. */
const describeInput = (input: unknown): string => {
  const secret = Predicate.hasProperty(input, "key")
    ? input.key
    : Predicate.hasProperty(input, "value")
      ? input.value
      : input
  const text = Redacted.isRedacted(secret) ? Redacted.value(secret) : secret
  if (Predicate.isNullable(text)) return "missing"
  return typeof text === "string" ? "empty" : `of the type ${typeof text}`
}

const read = (input: KeyInput): ApiKey | undefined => {
  if (typeof input === "string" || Redacted.isRedacted(input)) return keyOf(input)
  if (!Predicate.isObject(input)) return undefined
  if ("value" in input) return keyOf(input.value, input)
  const { key, ...options } = input
  return keyOf(key, options)
}

const keyOf = (secret: string | Redacted.Redacted<string>, options?: ApiKeys.Options): ApiKey | undefined =>
  isSecret(secret) ? ApiKeys.make(secret, options) : undefined

/** An environment variable that is not set is undefined, whatever the type. */
const isSecret = (secret: unknown): boolean => {
  const text = Redacted.isRedacted(secret) ? Redacted.value(secret) : secret
  return typeof text === "string" && text.trim() !== ""
}

/**
 * Characters that the value of a header must not have. RFC 9110, section 5.5, allows visible ASCII, spaces, tabs, and the bytes
 * above ASCII.
 */
const notInHeaders = /[^\t\x20-\x7e\x80-\xff]/u

/** Why no HTTP header can carry a secret, without the secret; undefined if one can. */
export const headerFault = (secret: string): string | undefined => {
  const match = notInHeaders.exec(secret.trim())
  if (match === null) return undefined
  const code = (match[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")
  return `must be a key that an HTTP header can carry; this contains the character U+${code}. Copy the key again`
}

/** Two secrets can have the same fingerprint; a given id stays as it is. */
const freeId = (key: ApiKey, taken: ReadonlyMap<string, string>): string => {
  if (key.id !== ApiKeys.fingerprint(key.value)) return key.id
  let id = key.id
  for (let copy = 2; taken.has(id); copy++) id = `${key.id}-${copy}`
  return id
}

export const isWeight = (weight: number): boolean => Number.isFinite(weight) && weight > 0

export const wrongWeight = "weight: must be a positive number"

const isName = (name: unknown): boolean => typeof name === "string" && name !== ""

const keyFaults = (key: ApiKey): ReadonlyArray<string> => {
  const { maxConcurrency, requestsPerSecond } = key
  const faults: Array<string> = []
  if (!isName(key.id)) faults.push("id: must not be empty")
  if (!isWeight(key.weight)) faults.push(wrongWeight)
  if (maxConcurrency !== undefined && !(Number.isSafeInteger(maxConcurrency) && maxConcurrency > 0)) {
    faults.push("maxConcurrency: must be a positive whole number")
  }
  if (requestsPerSecond !== undefined && !isWeight(requestsPerSecond)) {
    faults.push("requestsPerSecond: must be a positive number")
  }
  if (key.quotaGroup !== undefined && !isName(key.quotaGroup)) faults.push("quotaGroup: must not be empty")
  return faults
}

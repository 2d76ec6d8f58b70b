/** The limits of a configuration, in words: those that several workers without a shared store would multiply. */
import type { KeyOptions } from "../../../gateway/auth/model.js"
import type { ModelEntry, ProviderFile } from "../../../models/fileModel.js"

const list = (names: ReadonlyArray<string>): string => {
  const shown = names.slice(0, 3).join(", ")
  return names.length <= 3 ? shown : `${shown} and ${names.length - 3} more`
}

const line = (what: string, names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.length === 0 ? [] : [`${what} of ${list(names)}`]

const namesOf = (keys: ReadonlyArray<KeyOptions>): ReadonlyArray<string> =>
  keys.map(({ label }, index) => label ?? `client key ${index + 1}`)

const isLimited = ({ capacity, ...entry }: ModelEntry): boolean =>
  capacity !== Infinity ||
  [entry.tokensPerMinute, entry.requestsPerMinute, entry.requestsPerDay, entry.maxConcurrency].some(
    (limit) => limit !== undefined
  )

/** Each kind of limit, with what has it. */
export const describe = (
  { groups, models }: ProviderFile,
  keys: ReadonlyArray<KeyOptions>,
  hasAdmin: boolean
): ReadonlyArray<string> => [
  ...line(
    "the rate limits",
    models.filter(isLimited).map(({ model, provider }) => `${provider}/${model}`)
  ),
  ...line(
    "the limits of the API keys",
    models
      .filter(({ keys }) => keys.some((key) => key.maxConcurrency !== undefined || key.requestsPerSecond !== undefined))
      .map(({ model, provider }) => `${provider}/${model}`)
  ),
  ...line(
    "max_concurrency",
    groups
      .filter(({ members }) => members.some(({ maxConcurrency }) => maxConcurrency !== undefined))
      .map(({ name }) => name)
  ),
  ...line("the limits", namesOf(keys.filter(({ rateLimit }) => rateLimit !== undefined))),
  ...line("the budgets", namesOf(keys.filter(({ budget }) => budget !== undefined))),
  ...(hasAdmin ? ["the limits and budgets of the client keys that POST /admin/keys makes"] : [])
]

const bullets = (limits: ReadonlyArray<string>): string => limits.map((limit) => `  ${limit}`).join("\n")

/** Why several workers do not start without a shared store. */
export const refusal = (workers: number, limits: ReadonlyArray<string>): string =>
  `${workers} workers without REDIS_URL share no limits: each would apply them in full, ${workers} times as much in total.\n` +
  `${bullets(limits)}\n` +
  "A model without configured limits has rate_limit_capacity 10 and rate_limit_refill_rate 1.\n" +
  "Set REDIS_URL, so that the workers share them; or add --split-limits, so that each worker applies its part of every limit; " +
  "or serve with one worker."

export const divided = (workers: number, limits: ReadonlyArray<string>): string =>
  `--split-limits: each of the ${workers} workers applies its part of these limits:\n${bullets(limits)}`

/** The part of a key's limits and budget that one of several workers applies. */
import { Either } from "effect"
import type { Share } from "../workers/share.js"
import { indivisible, partOf } from "../workers/share.js"
import type { Budget, RateLimit, VirtualKey } from "../VirtualKey.js"

/** The limits of a key, with their names in JSON. */
const fields = [
  ["requestsPerMinute", "requestsPerMinute"],
  ["requestsPerDay", "requestsPerDay"],
  ["tokensPerMinute", "tokensPerMinute"],
  ["maxConcurrency", "maxConcurrent"]
] as const

const budgetPart = (budget: Budget, share: Share): Budget =>
  "dollars" in budget
    ? { ...budget, dollars: budget.dollars / share.of }
    : { ...budget, tokens: partOf(budget.tokens, share) }

const rateLimitPart = (rateLimit: RateLimit, share: Share): RateLimit => ({
  ...rateLimit,
  ...Object.fromEntries(
    fields.flatMap(([field]) => {
      const limit = rateLimit[field]
      return limit === undefined ? [] : [[field, partOf(limit, share)] as const]
    })
  )
})

const faultsOf = ({ budget, id, label, rateLimit }: VirtualKey, share: Share): ReadonlyArray<string> => {
  const limits = [
    ...fields.map(([field, name]) => [`rateLimit.${name}`, rateLimit?.[field]] as const),
    ["budget.tokens", budget !== undefined && "tokens" in budget ? budget.tokens : undefined] as const
  ]
  return limits.flatMap(([field, limit]) => {
    const fault = limit === undefined ? undefined : indivisible(limit, share)
    return fault === undefined ? [] : [`${field} of the key ${label ?? id}: ${fault}`]
  })
}

/** The key with its part of its limits; what cannot be divided otherwise. */
export const divide = (key: VirtualKey, share: Share): Either.Either<VirtualKey, ReadonlyArray<string>> => {
  if (share.of === 1) return Either.right(key)
  const faults = faultsOf(key, share)
  const { budget, rateLimit } = key
  return faults.length > 0
    ? Either.left(faults)
    : Either.right({
        ...key,
        ...(budget === undefined ? {} : { budget: budgetPart(budget, share) }),
        ...(rateLimit === undefined ? {} : { rateLimit: rateLimitPart(rateLimit, share) })
      })
}

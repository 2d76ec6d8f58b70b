/** What a model file without limits does to calls, in words. */
import type { ProviderFile } from "../../models/fileModel.js"

const remedy =
  'Set rate_limit_capacity and rate_limit_refill_rate, or requests_per_minute; "rate_limit_capacity": null is no limit.'

const listed = (names: ReadonlyArray<string>): string =>
  names.length <= 3 ? names.join(", ") : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`

/** For the models with these names, or for all; undefined when all of them have limits. */
export const noticeOf = ({ models }: ProviderFile, only?: string): string | undefined => {
  const names = models
    .filter(({ hasDefaultLimit }) => hasDefaultLimit === true)
    .map(({ model, provider }) => `${provider}/${model}`)
    .filter((name) => only === undefined || name === only)
  const [verb, own] = names.length === 1 ? ["has", "it starts"] : ["have", "each starts"]
  return names.length === 0
    ? undefined
    : `${listed(names)} ${verb} no rate limit in the file, so ${own} at most 10 calls at once and then one a second. ${remedy}`
}

/** Divides the limits of a model file among workers. */
import type { ModelEntry, ProviderFile } from "../../../models/fileModel.js"
import { ProviderFileError } from "../../../models/fileModel.js"
import type { Share } from "../../../gateway/workers/share.js"
import { indivisible, partOf } from "../../../gateway/workers/share.js"
import { Either } from "effect"
import * as ModelPaths from "../modelPaths.js"

interface Fault {
  readonly path: string
  readonly message: string
}

/** Divides limits and collects those that cannot be divided. */
const divider = (share: Share) => {
  const faults: Array<Fault> = []
  /** A limit on whole things. */
  const whole = (path: string, limit: number): number => {
    const message = indivisible(limit, share)
    if (message !== undefined) faults.push({ path, message })
    return partOf(limit, share)
  }
  return {
    faults,
    whole,
    /** An object with the part of a limit, or an empty one without the limit. */
    optional: <K extends string>(field: K, path: string, limit: number | undefined): { readonly [P in K]?: number } => {
      const result: { [P in K]?: number } = {}
      if (limit !== undefined) result[field] = whole(path, limit)
      return result
    },
    wholeOrNone: (path: string, limit: number | undefined): number | undefined =>
      limit === undefined ? undefined : whole(path, limit)
  }
}

type Divider = ReturnType<typeof divider>

const divideModel = (
  path: string,
  entry: ModelEntry,
  { of }: Share,
  { optional, whole, wholeOrNone }: Divider
): ModelEntry => ({
  ...entry,
  capacity: whole(`${path}.rate_limit_capacity`, entry.capacity),
  refillRate: entry.refillRate / of,
  tokensPerMinute: wholeOrNone(`${path}.tokens_per_minute`, entry.tokensPerMinute),
  requestsPerMinute: wholeOrNone(`${path}.requests_per_minute`, entry.requestsPerMinute),
  requestsPerDay: wholeOrNone(`${path}.requests_per_day`, entry.requestsPerDay),
  maxConcurrency: wholeOrNone(`${path}.max_concurrency`, entry.maxConcurrency),
  keys: entry.keys.map((key, index) => ({
    ...key,
    ...optional("maxConcurrency", `${path}.api_keys[${index}].max_concurrency`, key.maxConcurrency),
    ...(key.requestsPerSecond === undefined ? {} : { requestsPerSecond: key.requestsPerSecond / of })
  }))
})

const divideGroups = ({ groups }: ProviderFile, { optional }: Divider): ProviderFile["groups"] =>
  groups.map((group) => ({
    ...group,
    members: group.members.map((member) => ({
      ...member,
      ...optional("maxConcurrency", `$groups.${group.name}: max_concurrency of ${member.model}`, member.maxConcurrency)
    }))
  }))

/**
 * The part of the limits of a file that one worker applies. `all`: those of models and keys as well; without it only the caps of
 * groups, which no store shares. Fails with the limits that are too small.
 */
export const divide = (
  file: ProviderFile,
  path: string,
  share: Share,
  all: boolean
): Either.Either<ProviderFile, ProviderFileError> => {
  const limits = divider(share)
  const models = all
    ? ModelPaths.of(file.models).map(([path, entry]) => divideModel(path, entry, share, limits))
    : file.models
  const groups = divideGroups(file, limits)
  return limits.faults.length === 0
    ? Either.right({ ...file, models, groups })
    : Either.left(new ProviderFileError({ file: path, faults: limits.faults, warnings: file.warnings }))
}

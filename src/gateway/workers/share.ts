/** The part of every limit that one of several workers applies when the workers have no shared store. */
import { Context } from "effect"

/** Worker `index` (from 0) of `of` workers. */
export interface Share {
  readonly index: number
  readonly of: number
}

/** The share of this process: everything, unless it is one of several workers that divide the limits. */
export class CurrentShare extends Context.Reference<CurrentShare>()("effect-llm/gateway/Share", {
  defaultValue: (): Share => ({ index: 0, of: 1 })
}) {}

/** The part of a limit. Whole numbers have whole parts, which add up to the limit. */
export const partOf = (limit: number, { index, of }: Share): number =>
  Number.isInteger(limit) ? Math.floor(limit / of) + (index < limit % of ? 1 : 0) : limit / of

/** Why a limit on whole things, such as requests in flight, cannot be divided; undefined if it can be. */
export const indivisible = (limit: number, { of }: Share): string | undefined =>
  limit < of
    ? `${limit} cannot be divided among ${of} workers. Raise it, use fewer workers, or set REDIS_URL so that the workers share it`
    : undefined

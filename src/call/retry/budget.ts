/**
 * A token bucket for retries: each success adds a share of a token, each retry takes a token, and the balance decays exponentially to
 * its floor. So retries are limited to a share of the successful calls, and the effect of an earlier outage, or of earlier successes,
 * decays. Times are in milliseconds.
 */
import type { Checks } from "../../internal/optionChecks.js"
import * as OptionChecks from "../../internal/optionChecks.js"
import type { BudgetOptions } from "./model.js"

export interface Settings {
  readonly share: number
  readonly floor: number
  readonly max: number
}

/** The balance at a point in time. */
export interface Budget {
  readonly balance: number
  readonly at: number
}

/** The half-life of the difference between the balance and the floor. */
export const halfLife = 10_000

/** The largest accumulated rounding error of shares that are added. */
const roundingError = 1e-9

export const settingsOf = ({ number }: Checks, options: BudgetOptions): Settings => {
  const { floor = 10, share = 0.2 } = options
  const { max = Math.max(50, floor) } = options
  return {
    share: number("budget.share", share, OptionChecks.isShare(share), "a number from 0 to 1"),
    floor: number("budget.floor", floor, Number.isFinite(floor) && floor >= 0, "a finite number of at least 0"),
    max: number("budget.max", max, max >= floor, "a number of at least the floor")
  }
}

export const make = ({ floor }: Settings): Budget => ({ balance: floor, at: 0 })

/** The retries that are available now. */
export const available = ({ floor }: Settings, { at, balance }: Budget, now: number): number =>
  balance === floor ? floor : floor + (balance - floor) * 2 ** (Math.min(0, at - now) / halfLife)

/** Adds the share of a successful call. */
export const addSuccess = (settings: Settings, before: Budget, now: number): Budget => ({
  balance: Math.min(settings.max, available(settings, before, now) + settings.share),
  at: now
})

/** Takes a retry; undefined when there is none. */
export const takeRetry = (settings: Settings, before: Budget, now: number): Budget | undefined => {
  const balance = available(settings, before, now)
  return balance >= 1 - roundingError ? { balance: Math.max(0, balance - 1), at: now } : undefined
}

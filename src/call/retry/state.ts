/** The state of the retries of an `LLM`: its budget. */
import type { Clock } from "effect"
import { Effect } from "effect"
import * as MonotonicClock from "../../internal/clock.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import type { RetryStatus } from "../model.js"
import * as Budgets from "./budget.js"

/** The budget of one `LLM`. Changes are plain code, so that a successful call pays for no effect. */
export interface RetryBudget {
  readonly succeeded: (clock: Clock.Clock) => void
  /** Takes a retry, and returns whether there was one. */
  readonly take: (clock: Clock.Clock) => boolean
  readonly status: (clock: Clock.Clock) => RetryStatus
}

export const makeBudget = (settings: Budgets.Settings): RetryBudget => {
  let budget = Budgets.make(settings)
  let granted = 0
  let denied = 0
  return {
    succeeded: (clock) => {
      budget = Budgets.addSuccess(settings, budget, MonotonicClock.now(clock))
    },
    take: (clock) => {
      const after = Budgets.takeRetry(settings, budget, MonotonicClock.now(clock))
      if (after === undefined) {
        denied++
        return false
      }
      budget = after
      granted++
      return true
    },
    status: (clock) => ({
      available: Budgets.available(settings, budget, MonotonicClock.now(clock)),
      granted,
      denied
    })
  }
}

/** How an `LLM` retries with its own keys. */
export interface KeyRetries {
  /** Absent when retries are unlimited. */
  readonly budget: RetryBudget | undefined
  readonly when: (error: LLMError) => boolean
  /** Whether an error of the provider is followed by one try with another key. */
  readonly failsOver: boolean
}

/** Makes the state of an `LLM` with these settings of its retries. */
export const make = ({
  budget,
  failsOver,
  when
}: Pick<KeyRetries, "failsOver" | "when"> & { readonly budget: Budgets.Settings | undefined }): KeyRetries => ({
  budget: budget === undefined ? undefined : makeBudget(budget),
  when,
  failsOver
})

/** Adds the budget to a status. */
export const withStatus = <S extends object>(
  status: Effect.Effect<S>,
  budget: RetryBudget | undefined
): Effect.Effect<S & { readonly retries?: RetryStatus }> =>
  budget === undefined
    ? status
    : Effect.zipWith(status, Effect.clock, (current, clock) => ({ ...current, retries: budget.status(clock) }))

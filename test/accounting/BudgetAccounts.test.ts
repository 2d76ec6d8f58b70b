/** Compares accounts with a list of all spending and its times. */
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import * as FastCheck from "fast-check"
import * as Accounts from "../../src/accounting/budget/accounts.js"
import type { Period } from "../../src/accounting/budget/period.js"
import { sliceAt } from "../../src/accounting/budget/period.js"

const minute = 60_000

const step = FastCheck.record({
  pause: FastCheck.nat(25 * minute),
  amount: FastCheck.nat(40),
  spent: FastCheck.nat(60),
  isUnsettled: FastCheck.boolean()
})

const limit = 100

/** Every step reserves a claim, which is settled at once or after the last step. */
const run = (period: Period, steps: ReadonlyArray<typeof step extends FastCheck.Arbitrary<infer A> ? A : never>) => {
  let state = Accounts.empty
  let now = Date.UTC(2026, 0, 1)
  const spendings: Array<{ readonly at: number; readonly spent: number }> = []
  const unsettled: Array<Accounts.Settlement> = []
  const observed: Array<{ readonly now: number; readonly status: Accounts.AccountStatus }> = []
  const settle = (settlement: Accounts.Settlement) => {
    state = Accounts.settle(state, [settlement], now)[1]
    spendings.push({ at: now, spent: settlement.spent })
  }
  for (const { amount, isUnsettled, pause, spent } of steps) {
    now += pause
    const claim: Accounts.Claim = { account: "one", limit, period, amount }
    const before = Accounts.accountStatus(state, claim, now)
    const [refusal, next] = Accounts.reserve(state, [claim], now)
    state = next
    const full = before.spent + before.reserved
    expect(Option.isSome(refusal)).toBe(full >= limit || full + amount > limit)
    if (Option.isNone(refusal)) {
      if (isUnsettled) unsettled.push({ claim, spent, unpriced: 0 })
      else settle({ claim, spent, unpriced: 0 })
    }
    const status = Accounts.accountStatus(state, claim, now)
    expect(status.reserved).toBe(unsettled.reduce((sum, { claim }) => sum + claim.amount, 0))
    observed.push({ now, status })
  }
  unsettled.forEach(settle)
  const last = Accounts.accountStatus(state, { account: "one", limit }, now)
  expect(last.reserved).toBe(0)
  observed.push({ now, status: last })
  return {
    observed,
    spentBetween: (from: number, to: number) =>
      spendings.reduce((sum, { at, spent }) => (at >= from && at <= to ? sum + spent : sum), 0),
    spendings
  }
}

const steps = FastCheck.array(step, { maxLength: 30 })

describe("the spent amount of an account", () => {
  it.prop("counts all spending since the start of a calendar period", { steps }, ({ steps }) => {
    const { observed, spendings } = run("hour", steps)
    const last = observed[observed.length - 1]
    if (last === undefined) return
    const begun = Math.floor(last.now / (60 * minute)) * 60 * minute
    const spent = spendings.reduce((sum, { at, spent }) => (at >= begun ? sum + spent : sum), 0)
    expect(last.status.spent).toBe(spent)
  })

  it.prop(
    "counts all spending within a rolling period, and none that is older by more than a sixtieth of it",
    { steps },
    ({ steps }) => {
      const { observed, spentBetween } = run({ rolling: "1 hour" }, steps)
      const last = observed[observed.length - 1]
      if (last === undefined) return
      const { now, status } = last
      expect(status.spent).toBeGreaterThanOrEqual(spentBetween(now - 60 * minute, now))
      expect(status.spent).toBeLessThanOrEqual(spentBetween(now - 61 * minute, now))
    }
  )

  it.prop("counts all spending ever when the period is `forever`", { steps }, ({ steps }) => {
    const { observed, spentBetween } = run("forever", steps)
    expect(observed[observed.length - 1]?.status.spent).toBe(spentBetween(0, Infinity))
  })
})

describe("sliceAt", () => {
  it.prop(
    "returns a slice that contains the time, and whose spending counts at least until its end",
    {
      at: FastCheck.integer({ min: 0, max: Date.UTC(2100, 0, 1) }),
      period: FastCheck.constantFrom<Period>("minute", "hour", "day", "week", "month", "year", { rolling: "7 hours" })
    },
    ({ at, period }) => {
      const { end, start, until } = sliceAt(period, at)
      expect(start).toBeLessThanOrEqual(at)
      expect(end).toBeGreaterThan(at)
      expect(until).toBeGreaterThanOrEqual(end)
      expect(sliceAt(period, end - 1)).toEqual({ start, end, until })
      expect(sliceAt(period, end).start).toBe(end)
    }
  )
})

describe("idle accounts", () => {
  it("removes accounts without reservations or live spending, so that unbounded labels stay bounded in memory", () => {
    let state = Accounts.empty
    for (let index = 0; index < 20_000; index++) {
      const now = index * minute
      const claim: Accounts.Claim = { account: `label-${index}`, limit, period: "hour", amount: 1 }
      state = Accounts.reserve(state, [claim], now)[1]
      state = Accounts.settle(state, [{ claim, spent: 1, unpriced: 0 }], now)[1]
    }
    expect(Accounts.accountNames(state).length).toBeLessThan(2000)
  })
})

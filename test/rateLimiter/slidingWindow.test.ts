import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as SlidingWindow from "../../src/internal/slidingWindow.js"

const limit = 5
const duration = 100

const step = fc.record({
  /** The time since the step before. */
  after: fc.integer({ min: 0, max: 40 }),
  /** How far ahead the amount is taken. */
  ahead: fc.integer({ min: 0, max: 60 }),
  amount: fc.integer({ min: 1, max: 3 }),
  isGivenBack: fc.boolean()
})

describe("SlidingWindow", () => {
  it("holds its limit for amounts that are taken ahead, in any order of their times", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let now = 0
        let window = SlidingWindow.make(limit, duration, now)
        const taken: Array<{ readonly at: number; readonly amount: number }> = []
        for (const { after, ahead, amount, isGivenBack } of steps) {
          now += after
          window = SlidingWindow.expire(window, now)
          const opensAt = SlidingWindow.opensAt(window, amount)
          if (opensAt > now) {
            expect(SlidingWindow.expire(window, opensAt).used + amount).toBeLessThanOrEqual(limit)
            continue
          }
          window = SlidingWindow.take(window, amount, now + ahead)
          if (isGivenBack) window = SlidingWindow.giveBack(window, now + ahead, amount)
          else taken.push({ at: now + ahead, amount })
        }
        for (const { at } of taken) {
          const inWindow = taken.filter((other) => other.at >= at && other.at < at + duration)
          expect(inWindow.reduce((sum, { amount }) => sum + amount, 0)).toBeLessThanOrEqual(limit)
        }
      })
    )
  })
})

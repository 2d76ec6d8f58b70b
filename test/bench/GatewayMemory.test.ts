import { describe, expect, it } from "@effect/vitest"
import { slopeOf } from "../../bench/gateway/memory.js"

describe("the slope of memory", () => {
  it("is the kilobytes that each request adds, whatever the memory was before", () => {
    const samples = [0, 100, 200, 300].map((requests) => ({ requests, bytes: 50_000_000 + 2500 * requests }))
    expect(slopeOf(samples)).toBeCloseTo(2.5)
  })

  it("is zero for a sawtooth that returns to where it was", () => {
    const samples = [0, 1, 0, 0, 1, 0].map((peak, requests) => ({ requests, bytes: 1000 + 500 * peak }))
    expect(slopeOf(samples)).toBeCloseTo(0)
  })
})

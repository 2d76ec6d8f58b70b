import { describe, expect, it } from "@effect/vitest"
import { Duration } from "effect"
import { durationText } from "../../src/internal/durationText.js"

describe("the text of a duration", () => {
  it.each([
    [0, "0ms"],
    [0.3, "1ms"],
    [250, "250ms"],
    [1000, "1s"],
    [9999.989_99, "10s"],
    [59_777.919_922, "59s 778ms"],
    [59_999.5, "1m"],
    [60_000.1, "1m 1s"],
    [90_000, "1m 30s"],
    [86_400_000, "1d"],
    [Infinity, "forever"],
    [Number.MAX_VALUE, "forever"]
  ])("of %d milliseconds is %s: rounded up to milliseconds, and from a minute on to seconds", (millis, text) => {
    expect(durationText(millis)).toBe(text)
    expect(durationText(Duration.millis(millis))).toBe(text)
  })

  it("has no nanoseconds", () => {
    expect(durationText(Duration.nanos(59_777_919_922n))).toBe("59s 778ms")
  })
})

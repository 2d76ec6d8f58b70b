import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import * as FastCheck from "fast-check"
import * as Sketch from "../../src/vocabulary/quantileSketch.js"

const values = FastCheck.array(FastCheck.double({ min: 0.001, max: 1e6, noNaN: true }), {
  minLength: 1,
  maxLength: 300
})

const share = FastCheck.double({ min: 0, max: 1, noNaN: true })

const quantile = (self: Sketch.QuantileSketch, at: number): number => Option.getOrThrow(Sketch.quantile(self, at))

describe("QuantileSketch", () => {
  it.prop("quantile returns a value within 1 % of the exact quantile", [values, share], ([all, at]) => {
    const sorted = all.toSorted((a, b) => a - b)
    const exact = sorted[Math.floor(at * (sorted.length - 1))] ?? Number.NaN
    expect(Math.abs(quantile(Sketch.fromIterable(all), at) - exact)).toBeLessThanOrEqual(exact * 0.01 + 1e-9)
  })

  it.prop(
    "merge of three sketches equals the sketch of all their values",
    [values, values, values, share],
    ([a, b, c, at]) => {
      const [x, y, z] = [a, b, c].map(Sketch.fromIterable)
      if (x === undefined || y === undefined || z === undefined) throw new Error("there are three")
      const parts = Sketch.merge(z, Sketch.merge(y, x))
      const whole = Sketch.fromIterable([...a, ...b, ...c])
      expect({ ...parts, sum: 0 }).toEqual({ ...whole, sum: 0 })
      expect(parts.sum).toBeCloseTo(whole.sum, 3)
      expect(quantile(parts, at)).toBe(quantile(whole, at))
      expect(Sketch.merge(x, Sketch.empty)).toEqual(x)
    }
  )

  it.prop("QuantileSketch survives an encode and decode as JSON", [values], ([all]) => {
    const self = Sketch.fromIterable(all)
    const codec = Schema.parseJson(Sketch.QuantileSketch)
    expect(Schema.decodeSync(codec)(Schema.encodeSync(codec)(self))).toEqual(self)
  })

  it("keeps a recorder below 2,500 buckets after 200,000 values", () => {
    const recorder = Sketch.unsafeMake()
    for (let n = 0; n < 200_000; n++) recorder.unsafeRecord(((n * 7919) % 1_000_003) ** 2 / 1000)
    const snapshot = recorder.unsafeSnapshot()
    expect(snapshot.count).toBe(200_000)
    expect(snapshot.buckets.length).toBeLessThan(2_500)
  })

  it("leaves out NaN, negative and infinite values, and summarises an empty distribution as zeros", () => {
    const self = Sketch.fromIterable([Number.NaN, -1, Infinity])
    expect(self).toEqual(Sketch.empty)
    expect(Sketch.quantile(self, 0.5)).toEqual(Option.none())
    expect(Sketch.summary(self)).toMatchObject({ count: 0, mean: 0, p99: 0 })
    expect(Sketch.summary(Sketch.fromIterable([0, 10]))).toMatchObject({
      count: 2,
      mean: 5,
      min: 0,
      max: 10
    })
  })
})

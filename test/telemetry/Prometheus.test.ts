import { describe, expect, it } from "@effect/vitest"
import { Effect, Metric, MetricBoundaries, MetricLabel, Stream } from "effect"
import { spawnSync } from "node:child_process"
import * as Exposition from "../../src/telemetry/exposition.js"
import * as Prometheus from "../../src/telemetry/Prometheus.js"
import * as Series from "../../src/telemetry/series.js"
import * as Telemetry from "../../src/telemetry/Telemetry.js"
import type { Family } from "../support/exposition.js"
import { read } from "../support/exposition.js"
import { meteredCalls } from "../support/meteredCalls.js"
import { malformed, scripted } from "../support/scripted.js"

/** Renders and parses the metrics whose names have the prefix, because other tests of the process have metrics too. */
const readMetrics = (prefix: string) =>
  Effect.map(Series.snapshot, (all) => read(Exposition.render(all.filter(({ name }) => name.startsWith(prefix)))))

const family = (families: ReadonlyArray<Family>, name: string): Family => {
  const found = families.find((family) => family.name === name)
  if (found === undefined) throw new Error(`no family is called ${name}`)
  return found
}

describe("Prometheus.render", () => {
  it.effect("renders every kind of Effect metric as its Prometheus type", () =>
    Effect.gen(function* () {
      yield* Metric.incrementBy(Metric.counter("kinds_total", { incremental: true, description: "Up only" }), 3)
      yield* Metric.incrementBy(Metric.counter("kinds_balance"), -2)
      yield* Metric.incrementBy(Metric.counter("kinds_large", { bigint: true, incremental: true }), 2n ** 60n)
      yield* Metric.set(Metric.gauge("kinds_level"), Infinity)
      yield* Metric.update(Metric.frequency("kinds_words", { description: "Said" }), "hello")
      const histogram = Metric.histogram("kinds_seconds", MetricBoundaries.fromIterable([0.1, 1, 10]), "Took")
      for (const value of [0.05, 0.5, 5, 50]) yield* Metric.update(histogram, value)
      const summary = Metric.summary({
        name: "kinds_ms",
        maxAge: "1 day",
        maxSize: 10,
        error: 0,
        quantiles: [0.5, 0.9]
      })
      for (const value of [1, 2, 3]) yield* Metric.update(summary, value)

      const families = yield* readMetrics("kinds_")
      expect(families.map(({ name, type }) => [name, type]).toSorted()).toEqual([
        ["kinds_balance", "gauge"],
        ["kinds_large", "counter"],
        ["kinds_level", "gauge"],
        ["kinds_ms", "summary"],
        ["kinds_seconds", "histogram"],
        ["kinds_total", "counter"],
        ["kinds_words", "counter"]
      ])
      const samples = (name: string) => family(families, name).samples
      expect(family(families, "kinds_total").help).toBe("Up only")
      expect(samples("kinds_total")).toEqual([{ name: "kinds_total", labels: {}, value: 3 }])
      expect(samples("kinds_balance")[0]?.value).toBe(-2)
      expect(samples("kinds_level")[0]?.value).toBe(Infinity)
      expect(samples("kinds_words")).toEqual([{ name: "kinds_words", labels: { key: "hello" }, value: 1 }])
      expect(samples("kinds_seconds").map(({ labels, name, value }) => [name, labels["le"], value])).toEqual([
        ["kinds_seconds_bucket", "0.1", 1],
        ["kinds_seconds_bucket", "1", 2],
        ["kinds_seconds_bucket", "10", 3],
        ["kinds_seconds_bucket", "+Inf", 4],
        ["kinds_seconds_sum", undefined, 55.55],
        ["kinds_seconds_count", undefined, 4]
      ])
      expect(samples("kinds_ms").map(({ labels, name }) => [name, labels["quantile"]])).toEqual([
        ["kinds_ms", "0.5"],
        ["kinds_ms", "0.9"],
        ["kinds_ms_sum", undefined],
        ["kinds_ms_count", undefined]
      ])
    })
  )

  it.effect("escapes label values and help texts, and replaces invalid names and reserved labels", () =>
    Effect.gen(function* () {
      const odd = 'a "quoted" \\ back\\nslash\nand a line'
      const counter = Metric.counter("odd.name-1", { incremental: true, description: odd })
      yield* Metric.increment(
        Metric.taggedWithLabels(
          counter,
          Object.entries({ "model name": odd, __name: "x", "1st": "y", key: "own" }).map(([label, value]) =>
            MetricLabel.make(label, value)
          )
        )
      )
      yield* Metric.update(
        Metric.histogram("odd_histogram", MetricBoundaries.fromIterable([1])).pipe(Metric.tagged("le", "mine")),
        0
      )
      const families = yield* readMetrics("odd")
      expect(family(families, "odd_name_1").help).toBe(odd)
      expect(family(families, "odd_name_1").samples[0]?.labels).toEqual({
        model_name: odd,
        _name: "x",
        _1st: "y",
        key: "own"
      })
      expect(family(families, "odd_histogram").samples[0]?.labels).toEqual({ exported_le: "mine", le: "1" })
    })
  )

  it("adds the type to the name of a second metric of another type, and renders each series once", () => {
    const families = read(
      Exposition.render([
        { name: "twofold", labels: [], state: { _tag: "Counter", count: 1, incremental: true } },
        { name: "twofold", labels: [], state: { _tag: "Gauge", value: 7 } },
        { name: "labelled", labels: [["a.b", "x"]], state: { _tag: "Gauge", value: 1 } },
        { name: "labelled", labels: [["a_b", "x"]], state: { _tag: "Gauge", value: 2 } }
      ])
    )
    expect(families.map(({ name, samples, type }) => [name, type, samples.map(({ value }) => value)])).toEqual([
      ["twofold", "counter", [1]],
      ["twofold_gauge", "gauge", [7]],
      ["labelled", "gauge", [2]]
    ])
  })

  it("renders no metrics as an empty text", () => {
    expect(Prometheus.render([])).toBe("")
  })

  it.effect("renders the metrics of the process as readable text", () =>
    Effect.gen(function* () {
      const llm = yield* Effect.flatMap(scripted("Hello"), Telemetry.middleware())
      yield* llm.chat("?")
      const families = read(yield* Prometheus.text)
      expect(family(families, "llm_requests_total").type).toBe("counter")
      expect(family(families, "llm_request_duration_seconds").type).toBe("histogram")
    })
  )
})

/** Warnings of promtool about the text; `undefined` when promtool is not installed. */
const promtoolWarnings = (text: string): ReadonlyArray<string> | undefined => {
  const { error, stderr, stdout } = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" })
  return error === undefined ? `${stdout}${stderr}`.split("\n").filter((line) => line !== "") : undefined
}

describe("the metrics of calls as text", () => {
  it.effect("renders the metrics of calls without promtool warnings, except for the names of other libraries", () =>
    Effect.gen(function* () {
      yield* meteredCalls({ aliases: true })
      const text = yield* Effect.map(Metric.snapshot, (pairs) =>
        Prometheus.render(pairs.filter((pair) => Series.seriesOf(pair).some(({ name }) => name.startsWith("llm_"))))
      )
      expect(new Set(read(text).map(({ type }) => type))).toEqual(new Set(["counter", "gauge", "histogram", "summary"]))
      expect((promtoolWarnings(text) ?? []).filter((line) => !line.startsWith("llm_router_"))).toEqual([])
    })
  )
})

describe("Telemetry aliases", () => {
  it.effect("counts calls under the metric names of other libraries when `aliases` is on", () =>
    Effect.gen(function* () {
      const next = yield* scripted("Hello", "Hello", malformed, "Hello")
      const llm = yield* Telemetry.middleware({ aliases: true })({
        ...next,
        info: { ...next.info, provider: "aliased" }
      })
      yield* llm.chat("?")
      yield* Stream.runDrain(llm.chatStream("?"))
      yield* Effect.flip(llm.chat("?"))
      const families = yield* readMetrics("llm_")
      const of = (name: string) =>
        family(families, name).samples.filter(({ labels }) => labels["provider"] === "aliased")
      const value = (name: string) => of(name).map(({ value }) => value)
      expect(value("llm_router_requests_total")).toEqual([3])
      expect(value("llm_router_requests_success")).toEqual([2])
      expect(value("llm_router_requests_failed")).toEqual([1])
      expect(value("llm_router_success_rate")).toEqual([0.6667])
      expect(of("llm_router_tokens_total").map(({ labels, value }) => [labels["type"], value])).toEqual([
        ["prompt", 6],
        ["completion", 8],
        ["total", 14]
      ])
      for (const name of ["llm_router_latency_ms", "llm_requests_duration_seconds"]) {
        expect(of(name).map(({ labels }) => labels["quantile"])).toEqual(["0.5", "0.95", "0.99", undefined, undefined])
        expect(of(name).find((sample) => sample.name === `${name}_count`)?.value).toBe(3)
      }
      expect(of("llm_requests_total").map(({ labels, value }) => [labels["status"], labels["outcome"], value])).toEqual(
        [
          ["success", "ok", 2],
          ["error", "MalformedResponseError", 1]
        ]
      )
      expect(Object.keys(Telemetry.aliases)).toHaveLength(7)
    })
  )
})

import { describe, expect, it } from "@effect/vitest"
import { reference } from "../../bench/calibration.js"
import type { Group } from "../../bench/report.js"
import { figuresOf, reportOf, tableOf, verdictsOf } from "../../bench/report.js"

const group: Group = {
  title: "A chat",
  // This machine takes half of the time of the reference, so that scaled values are doubled.
  calibration: reference / 2,
  rows: [
    { name: "plain", values: { "CPU µs": 100, "wall µs": 200 } },
    { name: "ours", values: { "CPU µs": 25, "wall µs": 60, steps: 11 } },
    { name: "broken", values: {}, error: "Error: other side closed" }
  ],
  baselines: ["plain", "broken"],
  plain: "plain",
  aims: [
    { row: "ours", unit: "CPU µs", limit: 0.25, beside: { dividedBy: "plain" } },
    { row: "ours", unit: "steps", limit: 10 },
    { row: "ours", unit: "CPU µs", limit: 49 },
    { row: "plain", unit: "CPU µs", limit: 160, beside: { less: "ours" } },
    { row: "broken", unit: "CPU µs", limit: 1, beside: { dividedBy: "plain" } }
  ]
}

describe("the report of the benchmark", () => {
  it("has a figure for each value, with its ratios, its difference and what it is on the reference machine", () => {
    expect(figuresOf(group)).toEqual([
      { group: "A chat", name: "plain", unit: "CPU µs", value: 100, scaled: 200, ratios: [{ to: "plain", value: 1 }] },
      { group: "A chat", name: "plain", unit: "wall µs", value: 200 },
      {
        group: "A chat",
        name: "ours",
        unit: "CPU µs",
        value: 25,
        scaled: 50,
        ratios: [{ to: "plain", value: 0.25 }],
        added: { to: "plain", value: -75 }
      },
      { group: "A chat", name: "ours", unit: "wall µs", value: 60, added: { to: "plain", value: -140 } },
      { group: "A chat", name: "ours", unit: "steps", value: 11 },
      { group: "A chat", name: "broken", error: "Error: other side closed" }
    ])
  })

  it("says of each aim whether it is met, and of one that was not measured that it is not", () => {
    expect(verdictsOf(group).map(({ met, value }) => ({ met, value }))).toEqual([
      { met: true, value: 0.25 },
      { met: false, value: 11 },
      // Absolute aims are those of the reference machine.
      { met: false, value: 50 },
      { met: true, value: 150 },
      { met: false, value: undefined }
    ])
  })

  it("prints the failure of a row and the aims below the table", () => {
    const table = tableOf(group)
    expect(table).toContain("broken")
    expect(table).toContain("failed: Error: other side closed")
    expect(table).toContain("met  ours ÷ plain: at most 0.25 in CPU µs (0.25)")
    expect(table).toContain("MISSED  ours: at most 10 steps (11)")
    expect(table).toContain("not measured  broken ÷ plain")
  })

  it("names the machine, the version of Node and the reference of the calibration", () => {
    const report = reportOf([group])
    expect(report.node).toBe(process.version)
    expect(report.machine.calibrationReference).toBe(reference)
    expect(report.machine.processors).toBeGreaterThan(0)
    expect(report.figures).toEqual(figuresOf(group))
    expect(JSON.parse(JSON.stringify(report.aims))).toHaveLength(5)
  })

  it("divides the units that a group names, and says of an aim to reach something whether it is reached", () => {
    const gateways: Group = {
      title: "JSON",
      rows: [
        { name: "peer", values: { "CPU µs": 400, "requests/s": 100, "p50 ms": 8 } },
        { name: "ours", values: { "CPU µs": 100, "requests/s": 400, "p50 ms": 2 } }
      ],
      baselines: ["peer"],
      divided: ["CPU µs", "requests/s"],
      aims: [
        { row: "ours", unit: "requests/s", bound: "at least", limit: 4, beside: { dividedBy: "peer" } },
        { row: "ours", unit: "requests/s", bound: "at least", limit: 500 }
      ]
    }
    const ratios = figuresOf(gateways).filter(({ name }) => name === "ours")
    expect(ratios.map(({ ratios, unit }) => ({ unit, ratio: ratios?.[0]?.value }))).toEqual([
      { unit: "CPU µs", ratio: 0.25 },
      { unit: "requests/s", ratio: 4 },
      { unit: "p50 ms", ratio: undefined }
    ])
    expect(verdictsOf(gateways).map(({ met, value }) => ({ met, value }))).toEqual([
      { met: true, value: 4 },
      { met: false, value: 400 }
    ])
    const table = tableOf(gateways)
    expect(table).toContain("requests/s ÷ peer")
    expect(table).toContain("MISSED  ours: at least 500 requests/s (400)")
  })
})

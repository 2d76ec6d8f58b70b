import { describe, expect, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import type { Contestant } from "../../bench/measure.js"
import { compare } from "../../bench/measure.js"

const options = { rounds: 2, times: 1 }

const steady = (name: string): Contestant => ({ name, run: async (times) => times })

const message = "Error: other side closed (UND_ERR_SOCKET)"

/** Rejects in its nth run. */
const failing = (name: string, nth: number): Contestant & { readonly runs: () => number } => {
  let runs = 0
  return {
    name,
    run: async (times) => {
      runs++
      if (runs === nth) throw Object.assign(new Error("other side closed"), { code: "UND_ERR_SOCKET" })
      return times
    },
    runs: () => runs
  }
}

const measured = (name: string) => ({ name, cpu: expect.any(Number), wall: expect.any(Number) })

describe("a comparison of the benchmark", () => {
  it("gives the CPU and wall time of each contestant and of the calibration", async () => {
    const { calibration, results } = await compare([steady("one"), steady("two")], options)
    expect(results).toEqual([measured("one"), measured("two")])
    expect(calibration).toEqual(measured(calibration.name))
  })

  it("reports the failure of a contestant in its result, measures it no more, and measures the others", async () => {
    const failed = failing("failed", 2)
    const { results } = await compare([steady("one"), failed, steady("two")], options)
    expect(results).toEqual([measured("one"), { name: "failed", error: message }, measured("two")])
    expect(failed.runs()).toBe(2)
  })

  it("reports a contestant that fails before the first round", async () => {
    const failed = failing("failed", 1)
    const { results } = await compare([failed, steady("one")], options)
    expect(results).toEqual([{ name: "failed", error: message }, measured("one")])
    expect(failed.runs()).toBe(1)
  })

  it("goes on after an error event without a listener and after an unhandled rejection", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--import",
      "tsx",
      "test/support/failingContestants.ts"
    ])
    expect(JSON.parse(stdout)).toEqual([
      { name: "an error event without a listener", error: message },
      { name: "an unhandled rejection", error: message },
      measured("steady")
    ])
  })
})

/** Tests of how the dashboard page divides its work into tasks. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { inTasks, type Parts } from "../../src/gateway/dashboard/page/parts.js"
import { eventually } from "../support/eventually.js"

/** Takes more time than the parts of one task may. */
const work = (): void => {
  const end = performance.now() + 12
  while (performance.now() < end);
}

/** Work with parts of these names, which notes each in `done` after the number of the round. */
const noting = (done: Array<string>, names: ReadonlyArray<string>, onPart: (part: string) => void = () => {}) => {
  let round = 0
  const start = inTasks(function* (): Parts {
    const own = ++round
    for (const name of names) {
      work()
      done.push(`${own}${name}`)
      onPart(`${own}${name}`)
      yield
    }
  })
  return { start, rounds: () => round }
}

describe("work in parts", () => {
  it.live("begins at once, and leaves the task to others after a long part", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      noting(done, ["a", "b", "c"]).start()
      expect(done).toEqual(["1a"])
      yield* eventually(Effect.sync(() => done.length === 3))
      expect(done).toEqual(["1a", "1b", "1c"])
    })
  )

  it.live("finishes its parts before it does them once more for all calls in between", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const { rounds, start } = noting(done, ["a", "b"])
      for (let calls = 0; calls < 3; calls++) start()
      yield* eventually(Effect.sync(() => done.length === 4))
      // A round too many would begin in the next tasks.
      yield* Effect.sleep("50 millis")
      expect(done).toEqual(["1a", "1b", "2a", "2b"])
      expect(rounds()).toBe(2)
    })
  )

  it.live("is done once more after its end when a part asks for it", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const { start } = noting(done, ["a", "b"], (part) => {
        if (part === "1a") start()
      })
      start()
      yield* eventually(Effect.sync(() => done.length === 4))
      expect(done).toEqual(["1a", "1b", "2a", "2b"])
    })
  )

  it("works again after a part that throws", () => {
    let mustThrow = true
    const done: Array<string> = []
    const start = inTasks(function* (): Parts {
      if (mustThrow) throw new Error("a part")
      done.push("whole")
      yield
    })
    expect(start).toThrow("a part")
    mustThrow = false
    start()
    expect(done).toEqual(["whole"])
  })
})

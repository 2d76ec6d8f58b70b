import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { inTasks, type Parts } from "../../src/gateway/dashboard/page/parts.js"

/** Takes more time than the parts of one task may. */
const work = (): void => {
  const end = performance.now() + 12
  while (performance.now() < end);
}

/** Waits until the tasks of some parts are over. */
const settled = Effect.sleep("200 millis")

describe("work in parts", () => {
  it.live("begins at once, and leaves the task to others after a long part", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const start = inTasks(function* (): Parts {
        for (const name of ["a", "b", "c"]) {
          work()
          done.push(name)
          yield
        }
      })
      start()
      expect(done).toEqual(["a"])
      yield* settled
      expect(done).toEqual(["a", "b", "c"])
    })
  )

  it.live("finishes its parts before it does them once more for all calls in between", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      let round = 0
      const start = inTasks(function* (): Parts {
        const own = ++round
        for (const name of ["a", "b"]) {
          work()
          done.push(`${own}${name}`)
          yield
        }
      })
      start()
      start()
      start()
      yield* settled
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

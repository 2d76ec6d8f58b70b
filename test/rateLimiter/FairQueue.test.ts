import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as OrderedMap from "../../src/internal/orderedMap.js"
import * as Fair from "../../src/rateLimiter/fairQueue.js"

interface Call extends Fair.Placed {}

type Step =
  | { readonly _tag: "Join"; readonly client: string; readonly cost: number }
  | { readonly _tag: "Serve" }
  | { readonly _tag: "Leave"; readonly nth: number }

const steps = FastCheck.array(
  FastCheck.oneof(
    {
      weight: 5,
      arbitrary: FastCheck.record({
        _tag: FastCheck.constant("Join" as const),
        client: FastCheck.constantFrom("a", "b", "c"),
        cost: FastCheck.integer({ min: 1, max: 50 })
      })
    },
    { weight: 4, arbitrary: FastCheck.constant<Step>({ _tag: "Serve" }) },
    {
      weight: 1,
      arbitrary: FastCheck.record({ _tag: FastCheck.constant("Leave" as const), nth: FastCheck.nat(100) })
    }
  ),
  { minLength: 10, maxLength: 120 }
)

interface Moment {
  readonly queue: Fair.FairQueue<Call>
  /** The waiting calls, in order of arrival. */
  readonly waiting: ReadonlyArray<Call>
  readonly served: Call | undefined
}

/** The queue after each step. */
const history = (all: ReadonlyArray<Step>): ReadonlyArray<Moment> => {
  let queue = Fair.empty<Call>()
  let waiting: ReadonlyArray<Call> = []
  return all.map((step, index) => {
    let served: Call | undefined
    let gone: Call | undefined
    if (step._tag === "Join") {
      const call: Call = { place: { at: index, ticket: index, client: step.client, cost: step.cost } }
      queue = Fair.add(queue, call)
      waiting = [...waiting, call]
    } else if (step._tag === "Serve") {
      gone = served = Fair.head(queue)
      queue = Fair.serve(queue)
    } else {
      gone = waiting[step.nth % Math.max(1, waiting.length)]
      if (gone !== undefined) queue = Fair.remove(queue, gone)
    }
    waiting = waiting.filter((call) => call !== gone)
    return { queue, waiting, served }
  })
}

const isOf =
  (client: string) =>
  ({ place }: Call): boolean =>
    place.client === client

const largest = (all: ReadonlyArray<Step>, client: string): number =>
  Math.max(0, ...all.map((step) => (step._tag === "Join" && step.client === client ? step.cost : 0)))

const cost = (call: Call | undefined, client: string): number =>
  call !== undefined && isOf(client)(call) ? call.place.cost : 0

const inOrder = (queue: Fair.FairQueue<Call>): ReadonlyArray<Call> => {
  const calls: Array<Call> = []
  const walk = Fair.walk(queue)
  for (let call = walk.current(); call !== undefined; call = walk.current()) {
    calls.push(call)
    walk.serve()
  }
  return calls
}

describe("a fair queue", () => {
  it.prop(
    "serves two clients, while both wait, amounts that differ at most by the largest call of each, also when calls leave",
    [steps],
    ([all]) => {
      const moments = history(all)
      for (const [one, other] of [
        ["a", "b"],
        ["b", "c"],
        ["a", "c"]
      ] as const) {
        const bound = largest(all, one) + largest(all, other)
        for (let from = 0; from < moments.length; from++) {
          let difference = 0
          for (const { served, waiting } of moments.slice(from)) {
            difference += cost(served, one) - cost(served, other)
            expect(Math.abs(difference)).toBeLessThanOrEqual(bound)
            if (!waiting.some(isOf(one)) || !waiting.some(isOf(other))) break
          }
        }
      }
    },
    { fastCheck: { numRuns: 200 } }
  )

  it.prop(
    "serves the calls of each client in order of arrival, keeps every waiting call, and remembers only clients that wait",
    [steps],
    ([all]) => {
      let before: ReadonlyArray<Call> = []
      for (const { queue, served, waiting } of history(all)) {
        if (served !== undefined) expect(before.find(isOf(served.place.client))).toBe(served)
        expect(new Set(inOrder(queue))).toEqual(new Set(waiting))
        expect(queue.size).toBe(waiting.length)
        expect(new Set(Array.from(OrderedMap.values(queue.order), ({ first }) => first.place.client))).toEqual(
          new Set(waiting.map(({ place }) => place.client))
        )
        before = waiting
      }
    }
  )

  it.prop("walks through its calls in the order in which it serves them", [steps], ([all]) => {
    const last = history(all).at(-1)
    if (last === undefined) return
    let { queue } = last
    for (const call of inOrder(queue)) {
      expect(Fair.head(queue)).toBe(call)
      queue = Fair.serve(queue)
    }
    expect(queue.size).toBe(0)
  })

  it.prop("knows whether a call that joins is the last one", [steps], ([all]) => {
    const queue = history(all).at(-1)?.queue ?? Fair.empty<Call>()
    for (const client of ["a", "b", "d"]) {
      const call: Call = { place: { at: all.length, ticket: all.length, client, cost: 10 } }
      expect(Fair.isLast(queue, call.place)).toBe(inOrder(Fair.add(queue, call)).at(-1) === call)
    }
  })
})

import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Tournament from "../../src/keyPool/tournament.js"

interface Entry {
  readonly score: number
}

/** The lowest score wins, of equal ones the left; scores above 1,000 do not play. */
const rules: Tournament.Rules<Entry> = {
  plays: ({ score }) => score <= 1000,
  winner: (left, right) => (right.score < left.score ? right : left)
}

const change = FastCheck.record({
  slot: FastCheck.nat({ max: 70 }),
  score: FastCheck.option(FastCheck.integer({ min: -20, max: 1100 }), { nil: undefined, freq: 3 })
})

interface Change {
  readonly slot: number
  readonly score: number | undefined
}

interface Step {
  readonly heap: Tournament.Tournament<Entry>
  readonly model: ReadonlyMap<number, Entry>
}

const apply = ({ heap, model }: Step, { score, slot }: Change): Step => {
  const after = new Map(model)
  if (score === undefined) {
    after.delete(slot)
    return { heap: Tournament.remove(heap, slot), model: after }
  }
  const entry = { score }
  after.set(slot, entry)
  return { heap: Tournament.set(heap, slot, entry), model: after }
}

const start: Step = { heap: Tournament.empty(rules), model: new Map() }

const bySlot = (model: Step["model"]): ReadonlyArray<readonly [number, Entry]> =>
  [...model].sort(([left], [right]) => left - right)

const winnerOf = (model: Step["model"], without: ReadonlyArray<number> = []): Entry | undefined =>
  bySlot(model)
    .filter(([slot, entry]) => !without.includes(slot) && rules.plays(entry))
    .map(([, entry]) => entry)
    .reduce<Entry | undefined>(
      (best, entry) => (best === undefined || entry.score < best.score ? entry : best),
      undefined
    )

const expectAgreement = ({ heap, model }: Step): void => {
  expect(Tournament.winner(heap)).toBe(winnerOf(model))
  expect(Tournament.entries(heap)).toEqual(bySlot(model).map(([, entry]) => entry))
  for (let slot = 0; slot <= 300; slot++) expect(Tournament.get(heap, slot)).toBe(model.get(slot))
}

describe("contents of a tournament", () => {
  it.prop(
    "a tournament has the entries and the winner of a map after any sets and removals, and of equal entries the one in the lowest slot wins",
    [FastCheck.array(change, { maxLength: 200 })],
    ([changes]) => {
      expectAgreement(changes.reduce<Step>(apply, start))
    }
  )

  it.prop(
    "every tournament keeps its entries and its winner whatever is set and removed later, also where its matches are played last",
    [FastCheck.array(FastCheck.tuple(change, FastCheck.boolean()), { maxLength: 40 })],
    ([changes]) => {
      let step = start
      const steps = [start]
      for (const [each, isPlayed] of changes) {
        step = apply(step, each)
        steps.push(step)
        if (isPlayed) expect(Tournament.winner(step.heap)).toBe(winnerOf(step.model))
      }
      for (const each of steps) expectAgreement(each)
    }
  )

  it.prop(
    "the winner without some slots is that of the other entries, and the tournament stays as it was",
    [FastCheck.array(change, { maxLength: 60 }), FastCheck.array(FastCheck.nat({ max: 100 }), { maxLength: 6 })],
    ([changes, slots]) => {
      const step = changes.reduce<Step>(apply, start)
      expect(Tournament.winnerWithout(step.heap, slots)).toBe(winnerOf(step.model, slots))
      expectAgreement(step)
    }
  )

  it("an empty tournament has no winner and no entries", () => {
    expectAgreement(start)
    expect(Tournament.entries(Tournament.remove(start.heap, 3))).toEqual([])
  })
})

describe("matches of a tournament", () => {
  const counting = (size: number) => {
    let matches = 0
    let heap = Tournament.empty<Entry>({
      ...rules,
      winner: (left, right) => {
        matches++
        return rules.winner(left, right)
      }
    })
    for (let slot = 0; slot < size; slot++) heap = Tournament.set(heap, slot, { score: slot % 1000 })
    return { heap, matches: () => matches }
  }

  it.each([
    [3, 2],
    [100, 10],
    [10_000, 20]
  ])("after a change of one of %i entries the winner is known after %i matches", (size, matches) => {
    const { heap, matches: played } = counting(size)
    Tournament.winner(heap)
    const before = played()
    const changed = Tournament.set(heap, 0, { score: 5 })
    expect(played()).toBe(before)
    Tournament.winner(changed)
    expect(played() - before).toBe(matches)
    Tournament.winner(changed)
    expect(played() - before).toBe(matches)
  })

  it("a rule that throws once leaves the tournament as it was, and its winner is known the next time", () => {
    let isBroken = false
    let heap = Tournament.empty<Entry>({
      ...rules,
      winner: (left, right) => {
        if (isBroken) throw new Error("the rule is broken")
        return rules.winner(left, right)
      }
    })
    for (let slot = 0; slot < 20; slot++) heap = Tournament.set(heap, slot, { score: slot })
    isBroken = true
    expect(() => Tournament.winner(heap)).toThrow("the rule is broken")
    heap = Tournament.set(heap, 7, { score: -1 })
    isBroken = false
    expect(Tournament.winner(heap)).toEqual({ score: -1 })
  })
})

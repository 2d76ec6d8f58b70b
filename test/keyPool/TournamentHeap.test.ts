import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Tournament from "../../src/keyPool/tournament.js"

interface Entry {
  readonly score: number
}

const rules: Tournament.Rules<Entry, number> = {
  enter: (entry) => entry.score,
  play: Math.min
}

const change = FastCheck.record({
  slot: FastCheck.nat({ max: 40 }),
  score: FastCheck.option(FastCheck.integer(), { nil: undefined, freq: 3 })
})

const applyChanges = (changes: ReadonlyArray<{ readonly slot: number; readonly score: number | undefined }>) => {
  let heap = Tournament.empty(rules)
  const model = new Map<number, Entry>()
  for (const { score, slot } of changes) {
    if (score === undefined) {
      heap = Tournament.remove(heap, slot)
      model.delete(slot)
    } else {
      heap = Tournament.set(heap, slot, { score })
      model.set(slot, { score })
    }
  }
  return { heap, model }
}

describe("contents of a tournament heap", () => {
  it.prop(
    "a tournament heap has the entries and the outcome of a map after any sets and removals",
    [FastCheck.array(change, { maxLength: 200 })],
    ([changes]) => {
      const { heap, model } = applyChanges(changes)
      const scores = [...model.values()].map((entry) => entry.score)
      expect(Tournament.outcome(heap)).toBe(scores.length === 0 ? undefined : Math.min(...scores))
      expect(Tournament.entries(heap)).toEqual(
        [...model].sort(([left], [right]) => left - right).map(([, entry]) => entry)
      )
      for (let slot = 0; slot <= 70; slot++) expect(Tournament.get(heap, slot)).toEqual(model.get(slot))
    }
  )

  it.prop(
    "set and remove leave the previous heap unchanged",
    [FastCheck.array(change, { maxLength: 50 }), change],
    ([changes, last]) => {
      const { heap } = applyChanges(changes)
      const before = Tournament.entries(heap)
      const score = Tournament.outcome(heap)
      Tournament.set(Tournament.remove(heap, last.slot), last.slot + 1, { score: -1e9 })
      expect(Tournament.entries(heap)).toEqual(before)
      expect(Tournament.outcome(heap)).toBe(score)
    }
  )

  it("an empty tournament heap has no outcome and no entries", () => {
    const heap = Tournament.empty(rules)
    expect(Tournament.outcome(heap)).toBeUndefined()
    expect(Tournament.get(heap, 0)).toBeUndefined()
    expect(Tournament.entries(Tournament.remove(heap, 3))).toEqual([])
  })
})

describe("matches of a tournament heap", () => {
  it.each([
    [2, 1],
    [100, 7],
    [10_000, 14]
  ])("set in a heap of %i entries replays %i matches", (size, matches) => {
    let played = 0
    let heap = Tournament.empty<Entry, number>({
      ...rules,
      play: (left, right) => {
        played++
        return Math.min(left, right)
      }
    })
    for (let slot = 0; slot < size; slot++) heap = Tournament.set(heap, slot, { score: slot })
    played = 0
    heap = Tournament.set(heap, 0, { score: 5 })
    expect(played).toBe(matches)
    expect(Tournament.outcome(heap)).toBe(1)
  })

  it("matches keep the order of the slots, lower slots on the left", () => {
    const words: Tournament.Rules<string, string> = { enter: (word) => word, play: (left, right) => left + right }
    let heap = Tournament.empty(words)
    for (const slot of [4, 0, 3, 6, 1]) heap = Tournament.set(heap, slot, String(slot))
    expect(Tournament.outcome(heap)).toBe("01346")
  })
})

import { describe, expect, it } from "@effect/vitest"
import { Option, Order } from "effect"
import * as FastCheck from "fast-check"
import * as OrderedMap from "../../src/internal/orderedMap.js"

const change = FastCheck.record({ key: FastCheck.nat(40), isRemoval: FastCheck.boolean() })

/** The longest way from the root to an entry. */
const depthOf = (tree: OrderedMap.OrderedMap<number, string>["root"]): number =>
  tree === undefined ? 0 : 1 + Math.max(depthOf(tree.left), depthOf(tree.right))

describe("OrderedMap", () => {
  it.prop("it holds what a map holds, in the order of the keys", [FastCheck.array(change)], ([changes]) => {
    const expected = new Map<number, string>()
    let map = OrderedMap.empty<number, string>(Order.number)
    for (const [index, { isRemoval, key }] of changes.entries()) {
      const before = map
      const valuesBefore = [...OrderedMap.values(before)]
      if (isRemoval) {
        map = OrderedMap.remove(map, key)
        if (!expected.delete(key)) expect(map).toBe(before)
      } else {
        map = OrderedMap.set(map, key, `${key} at ${index}`)
        expected.set(key, `${key} at ${index}`)
      }
      expect([...OrderedMap.values(before)]).toEqual(valuesBefore)
    }
    const values = [...expected].sort(([key], [other]) => key - other).map(([, value]) => value)
    expect([...OrderedMap.values(map)]).toEqual(values)
    expect(OrderedMap.size(map)).toBe(expected.size)
    expect(OrderedMap.first(map)).toEqual(Option.fromNullable(values[0]))
    expect(OrderedMap.last(map)).toEqual(Option.fromNullable(values.at(-1)))
    for (let key = 0; key <= 40; key++) {
      expect(OrderedMap.has(map, key)).toBe(expected.has(key))
      expect(OrderedMap.get(map, key)).toEqual(Option.fromNullable(expected.get(key)))
    }
  })

  it("a thousand keys in order make no long path, nor does removing half of them", () => {
    let map = OrderedMap.empty<number, string>(Order.number)
    for (let key = 0; key < 1024; key++) map = OrderedMap.set(map, key, "")
    expect(depthOf(map.root)).toBeLessThan(16)
    for (let key = 0; key < 512; key++) map = OrderedMap.remove(map, key)
    expect(depthOf(map.root)).toBeLessThan(15)
  })
})

/**
 * Weighted rendezvous hashing: every key has an order of its own over all places, and the first of them gets the keys in
 * proportion to its weight. A place that goes away gives its keys to those that come next for each of them, and moves no other.
 */
import { Hash } from "effect"
import * as RandomDraw from "../../internal/random.js"

/** The hash of a key or of a place. The bits of a string's own hash are not independent enough of each other. */
export const hash = (text: string): number => Math.floor(RandomDraw.uniform(Hash.string(text)) * 2 ** 32) | 0

/** How high a key ranks a place. */
export const score = (key: number, place: number, weight: number): number =>
  weight / -Math.log(1 - RandomDraw.uniform(key ^ place))

/** A place as one key sees it. */
export interface Place {
  readonly hash: number
  readonly weight: number
  /** Calls that are there. */
  readonly load: number
}

/**
 * The place that the key ranks highest, of those which have less than their share of all calls times `bound` (at least 1):
 * there always is one, if there is any place.
 */
export const choose = <A>(
  key: number,
  places: ReadonlyArray<A>,
  see: (place: A) => Place,
  bound: number
): A | undefined => {
  let calls = 1
  let weights = 0
  for (const place of places) {
    const { load, weight } = see(place)
    calls += load
    weights += weight
  }
  let best: A | undefined
  let highest = -Infinity
  for (const place of places) {
    const { hash, load, weight } = see(place)
    const rank = score(key, hash, weight)
    if (load < Math.ceil((bound * calls * weight) / weights) && rank > highest) {
      best = place
      highest = rank
    }
  }
  return best
}

/**
 * Weighted rendezvous hashing: each key ranks all nodes in its own order, and each node is ranked first by a share of the keys in
 * proportion to its weight. The keys of a node that is removed move to the next node of their ranking, and no other key moves.
 */
import { Hash } from "effect"
import * as RandomDraw from "./random.js"

/** The hash of a key or of a node. The bits of Effect's string hash are not independent enough of each other. */
export const hash = (text: string): number => Math.floor(RandomDraw.uniform(Hash.string(text)) * 2 ** 32) | 0

/** The rank of a node for a key: the highest is first. */
const score = (key: number, node: number, weight: number): number =>
  weight / -Math.log(1 - RandomDraw.uniform(key ^ node))

export interface Node {
  readonly hash: number
  readonly weight: number
  /** Calls in flight. */
  readonly load: number
}

/**
 * The node that the key ranks highest, of those with at most `bound` (at least 1) times their share of all calls. One more than that is
 * allowed, so that few calls leave their node where there are fewer calls than nodes. There is always one if there is any node.
 */
export const choose = <A>(
  key: number,
  candidates: ReadonlyArray<A>,
  nodeOf: (candidate: A) => Node,
  bound: number
): A | undefined => {
  let calls = 1
  let weights = 0
  for (const candidate of candidates) {
    const { load, weight } = nodeOf(candidate)
    calls += load
    weights += weight
  }
  let best: A | undefined
  let highest = -Infinity
  for (const candidate of candidates) {
    const { hash, load, weight } = nodeOf(candidate)
    const rank = score(key, hash, weight)
    if (load <= Math.ceil((bound * calls * weight) / weights) && rank > highest) {
      best = candidate
      highest = rank
    }
  }
  return best
}

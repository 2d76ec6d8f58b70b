/**
 * A persistent tournament over numbered slots: each slot holds at most one entry, each inner node the outcome of the matches
 * below it. Reading the outcome of all entries is O(1). Changing one entry replays the matches on its path, so it costs O(log n)
 * and leaves the previous heap unchanged.
 */

/** The rules of a tournament. `play` must be associative; the left side has the lower slots. */
export interface Rules<A, Outcome> {
  /** The outcome of a single entry. */
  readonly enter: (entry: A) => Outcome
  readonly play: (left: Outcome, right: Outcome) => Outcome
}

interface Node<A, Outcome> {
  readonly outcome: Outcome
  readonly entry: A | undefined
  readonly left: Node<A, Outcome> | undefined
  readonly right: Node<A, Outcome> | undefined
}

export interface Tournament<A, Outcome> {
  readonly rules: Rules<A, Outcome>
  /** The number of matches between a slot and the root. */
  readonly height: number
  readonly root: Node<A, Outcome> | undefined
}

export const empty = <A, Outcome>(rules: Rules<A, Outcome>): Tournament<A, Outcome> => ({
  rules,
  height: 0,
  root: undefined
})

/** The outcome of all entries; undefined if there are none. */
export const outcome = <A, Outcome>(heap: Tournament<A, Outcome>): Outcome | undefined => heap.root?.outcome

export const get = <A, Outcome>(heap: Tournament<A, Outcome>, slot: number): A | undefined => {
  if (slot >>> heap.height !== 0) return undefined
  let node = heap.root
  for (let height = heap.height; height > 0 && node !== undefined; height--) {
    node = isRight(slot, height) ? node.right : node.left
  }
  return node?.entry
}

/** Puts an entry into a slot and replaces the one there. The heap grows as needed. */
export const set = <A, Outcome>(heap: Tournament<A, Outcome>, slot: number, entry: A): Tournament<A, Outcome> => {
  let { height, root } = heap
  for (; slot >>> height !== 0; height++) root = match(heap.rules, root, undefined)
  return { rules: heap.rules, height, root: replay(heap.rules, root, height, slot, entry) }
}

/** Empties a slot. */
export const remove = <A, Outcome>(heap: Tournament<A, Outcome>, slot: number): Tournament<A, Outcome> =>
  slot >= 2 ** heap.height
    ? heap
    : { rules: heap.rules, height: heap.height, root: replay(heap.rules, heap.root, heap.height, slot, undefined) }

/** The entries, by slot. */
export const entries = <A, Outcome>(heap: Tournament<A, Outcome>): ReadonlyArray<A> => {
  const result: Array<A> = []
  const visit = (node: Node<A, Outcome> | undefined): void => {
    if (node === undefined) return
    if (node.entry !== undefined) result.push(node.entry)
    visit(node.left)
    visit(node.right)
  }
  visit(heap.root)
  return result
}

const isRight = (slot: number, height: number): boolean => ((slot >>> (height - 1)) & 1) === 1

const match = <A, Outcome>(
  rules: Rules<A, Outcome>,
  left: Node<A, Outcome> | undefined,
  right: Node<A, Outcome> | undefined
): Node<A, Outcome> | undefined => {
  if (left === undefined)
    return right === undefined ? undefined : { outcome: right.outcome, entry: undefined, left, right }
  if (right === undefined) return { outcome: left.outcome, entry: undefined, left, right }
  return { outcome: rules.play(left.outcome, right.outcome), entry: undefined, left, right }
}

const replay = <A, Outcome>(
  rules: Rules<A, Outcome>,
  node: Node<A, Outcome> | undefined,
  height: number,
  slot: number,
  entry: A | undefined
): Node<A, Outcome> | undefined => {
  if (height === 0) {
    return entry === undefined ? undefined : { outcome: rules.enter(entry), entry, left: undefined, right: undefined }
  }
  return isRight(slot, height)
    ? match(rules, node?.left, replay(rules, node?.right, height - 1, slot, entry))
    : match(rules, replay(rules, node?.left, height - 1, slot, entry), node?.right)
}

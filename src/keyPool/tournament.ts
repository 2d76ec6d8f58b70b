/**
 * A persistent tournament over numbered slots: each slot holds at most one entry, and the entries that play have a winner. A change
 * of one entry copies the groups on its path, O(log n), and leaves the previous tournament unchanged. Matches are played when
 * the winner is asked for, once in each group that has changed, so a change itself calls no rule.
 */

export interface Rules<A> {
  /** Whether an entry can win. */
  readonly plays: (entry: A) => boolean
  /** The winner of a match. It must be associative; the left side has the lower slots. */
  readonly winner: (left: A, right: A) => A
}

/** Four sides: a group of two would make a path of twice as many groups, one of eight would play more than twice the matches. */
interface Sides<Side, A> {
  readonly first: Side | undefined
  readonly second: Side | undefined
  readonly third: Side | undefined
  readonly fourth: Side | undefined
  /** Whether `winner` is known. */
  isPlayed: boolean
  winner: A | undefined
}

interface Entries<A> extends Sides<A, A> {
  readonly isBottom: true
}

interface Groups<A> extends Sides<Group<A>, A> {
  readonly isBottom: false
}

type Group<A> = Entries<A> | Groups<A>

export interface Tournament<A> {
  readonly rules: Rules<A>
  /** Twice the number of groups between the root and a slot. */
  readonly bits: number
  readonly root: Group<A> | undefined
}

export const empty = <A>(rules: Rules<A>): Tournament<A> => ({ rules, bits: 2, root: undefined })

/** The winner among all entries that play; undefined if there are none. */
export const winner = <A>({ root, rules }: Tournament<A>): A | undefined => winnerOf(rules, root)

const winnerOf = <A>(rules: Rules<A>, group: Group<A> | undefined): A | undefined => {
  if (group === undefined) return undefined
  if (group.isPlayed) return group.winner
  const winner = group.isBottom
    ? final(
        rules,
        playing(rules, group.first),
        playing(rules, group.second),
        playing(rules, group.third),
        playing(rules, group.fourth)
      )
    : final(
        rules,
        winnerOf(rules, group.first),
        winnerOf(rules, group.second),
        winnerOf(rules, group.third),
        winnerOf(rules, group.fourth)
      )
  group.winner = winner
  group.isPlayed = true
  return winner
}

const playing = <A>({ plays }: Rules<A>, entry: A | undefined): A | undefined =>
  entry !== undefined && plays(entry) ? entry : undefined

const match = <A>({ winner }: Rules<A>, left: A | undefined, right: A | undefined): A | undefined =>
  left === undefined ? right : right === undefined ? left : winner(left, right)

const final = <A>(
  rules: Rules<A>,
  first: A | undefined,
  second: A | undefined,
  third: A | undefined,
  fourth: A | undefined
): A | undefined => match(rules, match(rules, first, second), match(rules, third, fourth))

/** The winner among the entries of all slots but these. */
export const winnerWithout = <A>(heap: Tournament<A>, slots: ReadonlyArray<number>): A | undefined =>
  slots.length === 0 ? winner(heap) : winnerOf(heap.rules, slots.reduce(remove, heap).root)

/** The first of the entries of all slots but these, in the order of the matches, that satisfies the predicate. */
export const firstWithout = <A extends { readonly slot: number }>(
  heap: Tournament<A>,
  slots: ReadonlyArray<number>,
  predicate: (entry: A) => boolean
): A | undefined => {
  let rest = slots.reduce(remove, heap)
  for (;;) {
    const first = winner(rest)
    if (first === undefined || predicate(first)) return first
    rest = remove(rest, first.slot)
  }
}

const sideOf = <Side, A>(sides: Sides<Side, A>, index: number): Side | undefined =>
  index === 0 ? sides.first : index === 1 ? sides.second : index === 2 ? sides.third : sides.fourth

export const get = <A>({ bits, root }: Tournament<A>, slot: number): A | undefined => {
  if (slot >>> bits !== 0) return undefined
  let group = root
  for (let shift = bits - 2; group !== undefined; shift -= 2) {
    if (group.isBottom) return sideOf(group, slot & 3)
    group = sideOf(group, (slot >>> shift) & 3)
  }
  return undefined
}

/** Puts an entry into a slot and replaces the one there. The tournament grows as needed. */
export const set = <A>(heap: Tournament<A>, slot: number, entry: A): Tournament<A> => {
  let { bits, root } = heap
  for (; slot >>> bits !== 0; bits += 2) {
    root = root === undefined ? undefined : { ...emptyGroups, first: root }
  }
  return { rules: heap.rules, bits, root: replace(root, bits - 2, slot, entry) }
}

/** Empties a slot. */
export const remove = <A>(heap: Tournament<A>, slot: number): Tournament<A> =>
  slot >>> heap.bits !== 0 || heap.root === undefined
    ? heap
    : { rules: heap.rules, bits: heap.bits, root: replace(heap.root, heap.bits - 2, slot, undefined) }

const emptyEntries: Entries<never> = {
  first: undefined,
  second: undefined,
  third: undefined,
  fourth: undefined,
  isPlayed: false,
  winner: undefined,
  isBottom: true
}

const emptyGroups: Groups<never> = { ...emptyEntries, isBottom: false }

const replace = <A>(group: Group<A> | undefined, shift: number, slot: number, entry: A | undefined): Group<A> => {
  const index = (slot >>> shift) & 3
  if (shift === 0) {
    const { first, fourth, second, third }: Entries<A> = group?.isBottom === true ? group : emptyEntries
    return {
      first: index === 0 ? entry : first,
      second: index === 1 ? entry : second,
      third: index === 2 ? entry : third,
      fourth: index === 3 ? entry : fourth,
      isPlayed: false,
      winner: undefined,
      isBottom: true
    }
  }
  const groups: Groups<A> = group?.isBottom === false ? group : emptyGroups
  const side = replace(sideOf(groups, index), shift - 2, slot, entry)
  return {
    first: index === 0 ? side : groups.first,
    second: index === 1 ? side : groups.second,
    third: index === 2 ? side : groups.third,
    fourth: index === 3 ? side : groups.fourth,
    isPlayed: false,
    winner: undefined,
    isBottom: false
  }
}

/** The entries, by slot. */
export const entries = <A>(heap: Tournament<A>): ReadonlyArray<A> => {
  const result: Array<A> = []
  const visit = (group: Group<A> | undefined): void => {
    if (group === undefined) return
    if (group.isBottom) {
      for (const entry of [group.first, group.second, group.third, group.fourth]) {
        if (entry !== undefined) result.push(entry)
      }
    } else for (const side of [group.first, group.second, group.third, group.fourth]) visit(side)
  }
  visit(heap.root)
  return result
}

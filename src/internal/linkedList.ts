/** An immutable linked list, undefined if empty. A pure module. */
export type LinkedList<A> = { readonly head: A; readonly tail: LinkedList<A> } | undefined

export function* items<A>(list: LinkedList<A>): Generator<A, void> {
  for (let rest = list; rest !== undefined; rest = rest.tail) yield rest.head
}

export const reverse = <A>(list: LinkedList<A>): LinkedList<A> => {
  let reversed: LinkedList<A>
  for (let rest = list; rest !== undefined; rest = rest.tail) reversed = { head: rest.head, tail: reversed }
  return reversed
}

export const fromArray = <A>(items: ReadonlyArray<A>): LinkedList<A> =>
  items.reduceRight<LinkedList<A>>((tail, head) => ({ head, tail }), undefined)

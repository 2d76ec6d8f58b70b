/**
 * An immutable map in the order of its keys, as a weight-balanced tree (Adams, 1993, with the balance of Hirai and Yamamoto, 2011). Effect
 * 4 has no `SortedMap`. A pure module.
 */
import type { Order } from "effect"
import { Option } from "effect"

interface Node<K, V> {
  readonly key: K
  readonly value: V
  readonly size: number
  readonly left: Tree<K, V>
  readonly right: Tree<K, V>
}

type Tree<K, V> = Node<K, V> | undefined

export interface OrderedMap<in out K, out V> {
  readonly order: Order.Order<K>
  readonly root: Tree<K, V>
}

export const empty = <K, V = never>(order: Order.Order<K>): OrderedMap<K, V> => ({ order, root: undefined })

const sizeOf = <K, V>(tree: Tree<K, V>): number => (tree === undefined ? 0 : tree.size)

export const size = <K, V>({ root }: OrderedMap<K, V>): number => sizeOf(root)

const node = <K, V>(key: K, value: V, left: Tree<K, V>, right: Tree<K, V>): Node<K, V> => ({
  key,
  value,
  size: sizeOf(left) + sizeOf(right) + 1,
  left,
  right
})

/** A side has at most three times the weight of the other one. */
const isHeavy = <K, V>(tree: Tree<K, V>, other: Tree<K, V>): tree is Node<K, V> =>
  sizeOf(tree) + 1 > 3 * (sizeOf(other) + 1)

/** Whether one rotation is enough: the inner child has less than twice the weight of the outer one. */
const isSingle = <K, V>(inner: Tree<K, V>, outer: Tree<K, V>): boolean => sizeOf(inner) + 1 < 2 * (sizeOf(outer) + 1)

/** A node whose sides differ from balanced ones by one entry at most. */
const balanced = <K, V>(key: K, value: V, left: Tree<K, V>, right: Tree<K, V>): Node<K, V> => {
  if (isHeavy(right, left)) {
    const { left: inner, right: outer } = right
    return inner === undefined || isSingle(inner, outer)
      ? node(right.key, right.value, node(key, value, left, inner), outer)
      : node(
          inner.key,
          inner.value,
          node(key, value, left, inner.left),
          node(right.key, right.value, inner.right, outer)
        )
  }
  if (isHeavy(left, right)) {
    const { left: outer, right: inner } = left
    return inner === undefined || isSingle(inner, outer)
      ? node(left.key, left.value, outer, node(key, value, inner, right))
      : node(
          inner.key,
          inner.value,
          node(left.key, left.value, outer, inner.left),
          node(key, value, inner.right, right)
        )
  }
  return node(key, value, left, right)
}

const find = <K, V>({ order, root }: OrderedMap<K, V>, key: K): Tree<K, V> => {
  let at = root
  while (at !== undefined) {
    const side = order(key, at.key)
    if (side === 0) return at
    at = side < 0 ? at.left : at.right
  }
  return undefined
}

const valueOf = <K, V>(tree: Tree<K, V>): Option.Option<V> =>
  tree === undefined ? Option.none() : Option.some(tree.value)

export const get = <K, V>(map: OrderedMap<K, V>, key: K): Option.Option<V> => valueOf(find(map, key))

export const has = <K, V>(map: OrderedMap<K, V>, key: K): boolean => find(map, key) !== undefined

const inserted = <K, V>(tree: Tree<K, V>, order: Order.Order<K>, key: K, value: V): Node<K, V> => {
  if (tree === undefined) return node(key, value, undefined, undefined)
  const side = order(key, tree.key)
  return side === 0
    ? node(key, value, tree.left, tree.right)
    : side < 0
      ? balanced(tree.key, tree.value, inserted(tree.left, order, key, value), tree.right)
      : balanced(tree.key, tree.value, tree.left, inserted(tree.right, order, key, value))
}

export const set = <K, V>({ order, root }: OrderedMap<K, V>, key: K, value: V): OrderedMap<K, V> => ({
  order,
  root: inserted(root, order, key, value)
})

const firstOf = <K, V>(tree: Node<K, V>): Node<K, V> => {
  let at = tree
  while (at.left !== undefined) at = at.left
  return at
}

const withoutFirst = <K, V>({ key, left, right, value }: Node<K, V>): Tree<K, V> =>
  left === undefined ? right : balanced(key, value, withoutFirst(left), right)

/** Answers the same tree if the key is not in it. */
const removed = <K, V>(tree: Tree<K, V>, order: Order.Order<K>, key: K): Tree<K, V> => {
  if (tree === undefined) return undefined
  const { left, right } = tree
  const side = order(key, tree.key)
  if (side < 0) {
    const rest = removed(left, order, key)
    return rest === left ? tree : balanced(tree.key, tree.value, rest, right)
  }
  if (side > 0) {
    const rest = removed(right, order, key)
    return rest === right ? tree : balanced(tree.key, tree.value, left, rest)
  }
  if (left === undefined) return right
  if (right === undefined) return left
  const next = firstOf(right)
  return balanced(next.key, next.value, left, withoutFirst(right))
}

/** Answers the same map if the key is not in it. */
export const remove = <K, V>(map: OrderedMap<K, V>, key: K): OrderedMap<K, V> => {
  const root = removed(map.root, map.order, key)
  return root === map.root ? map : { order: map.order, root }
}

/** The value of the lowest key. */
export const first = <K, V>({ root }: OrderedMap<K, V>): Option.Option<V> =>
  root === undefined ? Option.none() : valueOf(firstOf(root))

/** The value of the highest key. */
export const last = <K, V>({ root }: OrderedMap<K, V>): Option.Option<V> => {
  let at = root
  while (at?.right !== undefined) at = at.right
  return valueOf(at)
}

/** The values in the order of their keys. */
export function* values<K, V>({ root }: OrderedMap<K, V>): Generator<V, void> {
  const path: Array<Node<K, V>> = []
  let at = root
  while (at !== undefined || path.length > 0) {
    for (; at !== undefined; at = at.left) path.push(at)
    const next = path.pop()
    if (next === undefined) return
    yield next.value
    at = next.right
  }
}

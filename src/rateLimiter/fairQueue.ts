/**
 * A queue in which each client gets its share of what is served: self-clocked fair queueing (Golestani, 1994). The calls of one client
 * are served in order of arrival. The first of each has a virtual finish time, its client's virtual start plus its cost, and the lowest
 * is served first; it is then the virtual time of the queue, and the start of that client's next call. A client that had no waiting call
 * starts at the virtual time, so nothing has to be remembered of it. While two clients wait, what they get for their weights differs
 * at most by the largest call of each. A call that leaves unserved counts for nothing.
 *
 * A pure module. A change costs O(log n).
 */
import { HashMap, Option } from "effect"
import * as OrderedMap from "../internal/orderedMap.js"

/** An order by `at`, then by order of arrival. */
export interface Position {
  readonly at: number
  readonly ticket: number
}

export const before = (self: Position, that: Position): boolean =>
  self.at < that.at || (self.at === that.at && self.ticket < that.ticket)

export interface Place extends Position {
  readonly client: string
  /** What the call takes, divided by the weight of its client. Zero for one that was served before, which is served next. */
  readonly cost: number
}

export interface Placed {
  readonly place: Place
}

type Waiters<W> = OrderedMap.OrderedMap<Position, W>

/** The first waiting call of a client, and when it begins in virtual time. */
interface Start {
  readonly start: number
  readonly first: Placed
}

/** The waiting calls of one client; there is at least one. */
interface Flow<W extends Placed> extends Start {
  readonly first: W
  /** The costs of all its calls. */
  readonly cost: number
  readonly waiters: Waiters<W>
}

export interface FairQueue<W extends Placed> {
  readonly size: number
  /** The virtual time. */
  readonly time: number
  readonly flows: HashMap.HashMap<string, Flow<W>>
  /** The flows, the next one first. */
  readonly order: OrderedMap.OrderedMap<Start, Flow<W>>
}

const finishOf = ({ first, start }: Start): number => start + first.place.cost

const startsBefore = (self: Start, that: Start): boolean => {
  const difference = finishOf(self) - finishOf(that)
  return difference < 0 || (difference === 0 && before(self.first.place, that.first.place))
}

const comparing =
  <A>(isBefore: (self: A, that: A) => boolean) =>
  (self: A, that: A): -1 | 0 | 1 =>
    isBefore(self, that) ? -1 : isBefore(that, self) ? 1 : 0

export const empty = <W extends Placed>(): FairQueue<W> => ({
  size: 0,
  time: 0,
  flows: HashMap.empty(),
  order: OrderedMap.empty<Start, Flow<W>>(comparing(startsBefore))
})

const noWaiters = <W>(): Waiters<W> => OrderedMap.empty(comparing(before))

const flowOf = <W extends Placed>({ flows }: FairQueue<W>, client: string): Flow<W> | undefined =>
  Option.getOrUndefined(HashMap.get(flows, client))

const firstFlow = <W extends Placed>({ order }: FairQueue<W>): Flow<W> | undefined =>
  Option.getOrUndefined(OrderedMap.first(order))

/** Replaces the flow of a client. Without waiters it ends, and with the last flow the virtual time begins anew. */
const replace = <W extends Placed>(
  { flows, order, size, time }: FairQueue<W>,
  client: string,
  old: Flow<W> | undefined,
  start: number,
  cost: number,
  waiters: Waiters<W>
): FairQueue<W> => {
  const others = old === undefined ? order : OrderedMap.remove(order, old)
  const sizeAfter = size + OrderedMap.size(waiters) - (old === undefined ? 0 : OrderedMap.size(old.waiters))
  const head = Option.getOrUndefined(OrderedMap.first(waiters))
  if (head === undefined)
    return sizeAfter === 0 ? empty() : { size: sizeAfter, time, flows: HashMap.remove(flows, client), order: others }
  const flow = { start, first: head, cost, waiters }
  return { size: sizeAfter, time, flows: HashMap.set(flows, client, flow), order: OrderedMap.set(others, flow, flow) }
}

export const add = <W extends Placed>(queue: FairQueue<W>, waiter: W): FairQueue<W> => {
  const { place } = waiter
  const old = flowOf(queue, place.client)
  const { cost, start, waiters } = old ?? { cost: 0, start: queue.time, waiters: noWaiters<W>() }
  return replace(queue, place.client, old, start, cost + place.cost, OrderedMap.set(waiters, place, waiter))
}

/** Removes a call that is not served. */
export const remove = <W extends Placed>(queue: FairQueue<W>, { place }: W): FairQueue<W> => {
  const flow = flowOf(queue, place.client)
  return flow === undefined || !OrderedMap.has(flow.waiters, place)
    ? queue
    : replace(queue, place.client, flow, flow.start, flow.cost - place.cost, OrderedMap.remove(flow.waiters, place))
}

/** Removes the next call, which is served. */
export const serve = <W extends Placed>(queue: FairQueue<W>): FairQueue<W> => {
  const flow = firstFlow(queue)
  if (flow === undefined) return queue
  const { client, cost } = flow.first.place
  const finish = finishOf(flow)
  return replace(
    { ...queue, time: Math.max(queue.time, finish) },
    client,
    flow,
    finish,
    flow.cost - cost,
    OrderedMap.remove(flow.waiters, flow.first.place)
  )
}

export const has = <W extends Placed>(queue: FairQueue<W>, { place }: W): boolean => {
  const flow = flowOf(queue, place.client)
  return flow !== undefined && OrderedMap.has(flow.waiters, place)
}

/** The next call. */
export const head = <W extends Placed>(queue: FairQueue<W>): W | undefined => firstFlow(queue)?.first

/**
 * Whether a call can be served without joining: no other one waits, or the call was served before and would be the next one. Any other
 * call has to join, so that it counts.
 */
export const isNext = <W extends Placed>(queue: FairQueue<W>, place: Place): boolean => {
  const next = firstFlow(queue)
  if (next === undefined) return true
  if (place.cost > 0) return false
  const flow = flowOf(queue, place.client)
  if (flow !== undefined && before(flow.first.place, place)) return false
  return startsBefore({ start: flow?.start ?? queue.time, first: { place } }, next)
}

/** Whether a call that joins now would be the last one. */
export const isLast = <W extends Placed>(queue: FairQueue<W>, place: Place): boolean => {
  const own = flowOf(queue, place.client)
  const finish = (own === undefined ? queue.time : own.start + own.cost) + place.cost
  for (const flow of OrderedMap.values(queue.order)) if (flow !== own && flow.start + flow.cost > finish) return false
  return own === undefined || Option.exists(OrderedMap.last(own.waiters), (last) => before(last.place, place))
}

/** A walk through the calls in the order in which they are served. */
export interface Walk<W extends Placed> {
  readonly current: () => W | undefined
  /**
   * Whether the place of the current call is known. It is not where a larger call of its client was removed: the current one then moves
   * up among calls that the walk has passed.
   */
  readonly isPlaced: () => boolean
  /** Goes to the next call, as if the current one were served. */
  readonly serve: () => void
  /** Goes to the next call, as if the current one left unserved. */
  readonly remove: () => void
}

interface Cursor<W extends Placed> extends Start {
  readonly first: W
  readonly rest: Iterator<W, void>
}

const cursorAt = <W extends Placed>(start: number, rest: Cursor<W>["rest"]): Cursor<W> | undefined => {
  const next = rest.next()
  return next.done === true ? undefined : { start, first: next.value, rest }
}

export const walk = <W extends Placed>(queue: FairQueue<W>): Walk<W> => {
  /** One of each client, the next one last. */
  const cursors: Array<Cursor<W>> = []
  const insert = (cursor: Cursor<W> | undefined): void => {
    if (cursor === undefined) return
    let low = 0
    let high = cursors.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = cursors[middle]
      if (other !== undefined && startsBefore(cursor, other)) low = middle + 1
      else high = middle
    }
    cursors.splice(low, 0, cursor)
  }
  for (const { start, waiters } of OrderedMap.values(queue.order)) insert(cursorAt(start, OrderedMap.values(waiters)))
  const isSingle = cursors.length < 2
  let passed = -Infinity

  const advance = (isServed: boolean): void => {
    const cursor = cursors.pop()
    if (cursor === undefined) return
    const finish = finishOf(cursor)
    passed = Math.max(passed, finish)
    insert(cursorAt(isServed ? finish : cursor.start, cursor.rest))
  }

  const last = (): Cursor<W> | undefined => cursors[cursors.length - 1]

  return {
    current: () => last()?.first,
    isPlaced: () => {
      const cursor = last()
      return isSingle || cursor === undefined || finishOf(cursor) >= passed
    },
    serve: () => advance(true),
    remove: () => advance(false)
  }
}

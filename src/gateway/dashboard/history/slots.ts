/**
 * The rows of the history in bounded memory: minutes for a day, ten minutes for a week, and hours for the rest. A slot keeps its first
 * models apart and adds further ones up.
 */
import { Effect } from "effect"
import { isFailure } from "../series.js"
import type { Bucket } from "../snapshot.js"
import type { History, ModelHistory } from "./model.js"
import { maxModels, otherModels } from "./model.js"
import type { Figures, Row } from "./row.js"
import * as Rows from "./row.js"

const minute = 60_000

const day = 24 * 60 * minute

/** How long slots of each length, in minutes, are kept as such. The last ones are kept as long as the history. */
const tiers = [
  { minutes: 1, maxAge: day, next: 10 },
  { minutes: 10, maxAge: 7 * day, next: 60 },
  { minutes: 60, maxAge: Infinity, next: 60 }
] as const

/** The lengths of the steps of an answer, in minutes. Each is a multiple of the lengths of slots that are not longer. */
const steps = [1, 2, 5, 10, 20, 30, 60, 120, 180, 360, 480]

const longestStep = 720

/** The most steps of an answer. */
const maxSteps = 100

export interface Slots {
  /** Adds a row to its slot. Ignores those that are older than the history. */
  readonly unsafeAdd: (row: Row, now: number) => void
  /** Joins the slots that have become too old for their length, and removes those that are older than the history. */
  readonly unsafeAge: (now: number) => void
  /** All rows, the oldest first. */
  readonly unsafeRows: () => ReadonlyArray<Row>
  /** The figures from one time to another, in at most a hundred steps and the begun first one. */
  readonly query: (from: number, to: number, now: number) => Effect.Effect<History>
}

interface Slot {
  readonly at: number
  readonly minutes: number
  readonly models: Map<string, Figures>
}

/** The value of a model, or of the others if the map has no place for one more. */
const placeOf = (models: ReadonlyMap<string, unknown>, model: string): string =>
  models.has(model) || models.size < maxModels ? model : otherModels

const sumAt = <K>(sums: Map<K, Rows.Sum>, key: K): Rows.Sum => {
  const existing = sums.get(key)
  if (existing !== undefined) return existing
  const created = Rows.unsafeMakeSum()
  sums.set(key, created)
  return created
}

const bucketOf = (at: number, sum: Rows.Sum): Bucket => {
  const { times, ...figures } = sum.unsafeResult()
  return { at, ...figures, ...times }
}

const modelOf = (id: string, sum: Rows.Sum): ModelHistory => {
  const { outcomes, times, ...amounts } = sum.unsafeResult()
  const counts = Object.entries(outcomes)
  return {
    id,
    requests: counts.reduce((total, [, count]) => total + count, 0),
    failed: counts.reduce((total, [outcome, count]) => (isFailure(outcome) ? total + count : total), 0),
    ...amounts,
    ...times
  }
}

/** Lets other events of the process run, since a long history takes longer than a request should wait. */
export const nextTurn: Effect.Effect<void> = Effect.async((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** How many slots are summed up at a time. */
const slotsPerTurn = 25

/** Makes an empty history of the last `maxAge` milliseconds. */
export const unsafeMake = (maxAge: number): Slots => {
  // By the length and the start of the slot.
  const all = new Map<string, Slot>()

  /** The length of the slot for a time. Slots are joined when all that become one are too old. */
  const lengthAt = (at: number, atLeast: number, now: number): number =>
    tiers.find(
      ({ maxAge, minutes, next }) =>
        minutes >= atLeast && (Math.floor(at / (next * minute)) + 1) * next * minute > now - maxAge
    )?.minutes ?? 60

  const add = (row: Row, now: number): void => {
    if (row.at < now - maxAge) return
    const minutes = lengthAt(row.at, row.minutes, now)
    const at = Math.floor(row.at / (minutes * minute)) * minutes * minute
    const key = `${minutes} ${at}`
    let slot = all.get(key)
    if (slot === undefined) all.set(key, (slot = { at, minutes, models: new Map() }))
    const { at: _, minutes: __, model, ...figures } = row
    const place = placeOf(slot.models, model)
    const before = slot.models.get(place)
    slot.models.set(place, before === undefined ? figures : Rows.add(before, figures))
  }

  const rowsOf = ({ at, minutes, models }: Slot): ReadonlyArray<Row> =>
    Array.from(models, ([model, figures]) => ({ at, minutes, model, ...figures }))

  return {
    unsafeAdd: add,
    unsafeAge: (now) => {
      for (const [key, slot] of all) {
        const isTooOld = slot.at < now - maxAge
        if (!isTooOld && lengthAt(slot.at, slot.minutes, now) === slot.minutes) continue
        all.delete(key)
        for (const row of rowsOf(slot)) add(row, now)
      }
    },
    unsafeRows: () => [...all.values()].sort((a, b) => a.at - b.at).flatMap(rowsOf),
    query: (from, to, now) =>
      Effect.gen(function* () {
        const first = Math.max(from, now - maxAge)
        const shortest = Math.max((to - first) / minute / maxSteps, lengthAt(first, 1, now))
        const fitting = steps.find((minutes) => minutes >= shortest)
        const step = (fitting ?? Math.ceil(shortest / longestStep) * longestStep) * minute
        const start = Math.floor(first / step) * step
        const buckets = new Map<number, Rows.Sum>()
        const models = new Map<string, Rows.Sum>()
        const total = Rows.unsafeMakeSum()
        const slots = [...all.values()]
        const within = slots.filter(({ at }) => at >= start && at < to)
        for (const [index, slot] of within.entries()) {
          if (index % slotsPerTurn === slotsPerTurn - 1) yield* nextTurn
          const bucket = sumAt(buckets, Math.floor(slot.at / step) * step)
          for (const [model, figures] of slot.models) {
            bucket.unsafeAdd(figures)
            sumAt(models, placeOf(models, model)).unsafeAdd(figures)
            total.unsafeAdd(figures)
          }
        }
        return {
          from: start,
          to,
          step,
          ...(slots.length === 0 ? {} : { since: slots.reduce((since, { at }) => Math.min(since, at), Infinity) }),
          buckets: [...buckets].sort(([a], [b]) => a - b).map(([at, sum]) => bucketOf(at, sum)),
          ...total.unsafeResult().times,
          models: Array.from(models, ([id, sum]) => modelOf(id, sum)).sort(
            (a, b) => b.requests - a.requests || (a.id < b.id ? -1 : 1)
          )
        }
      })
  }
}

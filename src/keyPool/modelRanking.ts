/** The keys of a pool as the calls of one model see them. */
import { Array, Option } from "effect"
import type { PooledKey, View } from "./key.js"
import * as PooledKeys from "./key.js"
import type { Ranking } from "./ranking.js"
import * as Rankings from "./ranking.js"

/** The health of each key in the ranking is what is known of it with this model alone. */
export interface ModelRanking {
  readonly view: View
  readonly ranking: Ranking
  /** The number of keys of which something is known. */
  readonly known: number
}

/** By model. */
export type Models = ReadonlyMap<string, ModelRanking>

export const isIn = ({ keys }: View, key: PooledKey): boolean => keys === undefined || keys.has(key.id)

const knownOf = (key: PooledKey | undefined): number => Number(key !== undefined && PooledKeys.isKnown(key))

/** Adds a key, or replaces the one in its slot. `sequence` is that of the latest call. */
export const put = ({ known, ranking, view }: ModelRanking, seen: PooledKey, sequence: number): ModelRanking => ({
  view,
  ranking: Rankings.put(ranking, seen, sequence),
  known: known + knownOf(seen) - knownOf(Rankings.get(ranking, seen.slot))
})

/** A ranking for a view, which keeps what is `known` of the keys with the model. */
export const make = (
  view: View,
  all: Ranking,
  known: ModelRanking | undefined,
  now: number,
  sequence: number
): ModelRanking => {
  let model: ModelRanking = { view, ranking: Rankings.emptied(all), known: 0 }
  for (const key of Rankings.entries(all)) {
    if (!isIn(view, key)) continue
    const seen = known && Rankings.get(known.ranking, key.slot)
    model = put(model, PooledKeys.seenWith(key, seen ?? PooledKeys.asNew(key), now), sequence)
  }
  return model
}

/** What is known of a key with a model, after a change. */
export type ChangeSeen = (seen: PooledKey, model: string) => PooledKey

export const unchanged: ChangeSeen = (seen) => seen

/** A change of what is known with the model of a view. */
export const changeOf =
  (view: View | undefined, change: (seen: PooledKey) => PooledKey): ChangeSeen =>
  (seen, model) =>
    model === view?.model ? change(seen) : seen

/** A key as a model sees it, before and after a change. */
export interface Seen {
  readonly model: ModelRanking
  readonly before: PooledKey
  readonly after: PooledKey
}

/** A changed key as each model sees it. */
export const seenAfter = (models: Models, key: PooledKey, changeSeen: ChangeSeen, now: number): ReadonlyArray<Seen> =>
  Array.filterMap(models.values(), (model) => {
    const before = Rankings.get(model.ranking, key.slot)
    return before === undefined
      ? Option.none()
      : Option.some({ model, before, after: PooledKeys.seenWith(key, changeSeen(before, model.view.model), now) })
  })

/** The models after these changes. A ranking is kept while it differs from that of all keys. */
const withRankings = (models: Models, changed: ReadonlyArray<ModelRanking>): Models => {
  if (changed.length === 0) return models
  const after = new Map(models)
  for (const model of changed) {
    const { known, view } = model
    if (known === 0 && view.keys === undefined) after.delete(view.model)
    else after.set(view.model, model)
  }
  return after
}

export const putSeen = (models: Models, seen: ReadonlyArray<Seen>, sequence: number): Models =>
  withRankings(
    models,
    seen.map(({ after, model }) => put(model, after, sequence))
  )

/** The models after a key was added. */
export const add = (models: Models, key: PooledKey, sequence: number): Models =>
  withRankings(
    models,
    Array.filterMap(models.values(), (model) =>
      isIn(model.view, key) ? Option.some(put(model, key, sequence)) : Option.none()
    )
  )

/** The models after a key was removed. */
export const remove = (models: Models, slot: number): Models =>
  withRankings(
    models,
    Array.fromIterable(models.values()).map(({ known, ranking, view }) => ({
      view,
      ranking: Rankings.remove(ranking, slot),
      known: known - knownOf(Rankings.get(ranking, slot))
    }))
  )

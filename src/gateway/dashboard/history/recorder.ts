/** What this process has counted since it last handed it to the history. */
import * as Costs from "../../../vocabulary/cost.js"
import * as Sketch from "../../../vocabulary/quantileSketch.js"
import type { Call, Consumption } from "../series.js"
import { isMeasured } from "../series.js"
import type { Row } from "./row.js"
import * as Rows from "./row.js"

/** A mutable record. `now` is in milliseconds since the epoch. */
export interface Recorder {
  readonly unsafeRecordEnd: (call: Call, now: number) => void
  readonly unsafeRecordUsage: (consumption: Consumption, now: number) => void
  /** Removes and returns everything. */
  readonly unsafeTake: () => ReadonlyArray<Row>
}

const minute = 60_000

const emptySlot = () => ({
  outcomes: new Map<string, number>(),
  inputTokens: 0,
  outputTokens: 0,
  cost: 0,
  unpricedTokens: 0,
  latency: Sketch.unsafeMake(),
  firstEvent: Sketch.unsafeMake()
})

export const unsafeMake = (): Recorder => {
  let slots = new Map<number, Map<string, ReturnType<typeof emptySlot>>>()
  const slotOf = (model: string, now: number) => {
    const at = Math.floor(now / minute) * minute
    let models = slots.get(at)
    if (models === undefined) slots.set(at, (models = new Map()))
    let slot = models.get(model)
    if (slot === undefined) models.set(model, (slot = emptySlot()))
    return slot
  }
  return {
    unsafeRecordEnd: (call, now) => {
      const slot = slotOf(call.model, now)
      slot.outcomes.set(call.outcome, (slot.outcomes.get(call.outcome) ?? 0) + 1)
      if (!isMeasured(call)) return
      slot.latency.unsafeRecord(call.latency)
      if (call.timeToFirstEvent !== undefined) slot.firstEvent.unsafeRecord(call.timeToFirstEvent)
    },
    unsafeRecordUsage: ({ cost, inputTokens, model, outputTokens }, now) => {
      const slot = slotOf(model, now)
      slot.inputTokens += inputTokens
      slot.outputTokens += outputTokens
      if (cost === undefined) slot.unpricedTokens += inputTokens + outputTokens
      else slot.cost = Costs.addDollars(slot.cost, cost)
    },
    unsafeTake: () => {
      const taken = slots
      slots = new Map()
      return Array.from(taken, ([at, models]) =>
        Array.from(models, ([model, { firstEvent, latency, outcomes, ...amounts }]): Row => ({
          at,
          minutes: 1,
          model,
          ...amounts,
          outcomes: Object.fromEntries(outcomes),
          latency: Rows.histogramOf(latency.unsafeSnapshot()),
          firstEvent: Rows.histogramOf(firstEvent.unsafeSnapshot())
        }))
      ).flat()
    }
  }
}

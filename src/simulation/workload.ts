/** The calls of a workload, in the order of time. Only the next one is in memory. */
import type { Arrival } from "./model.js"
import type { WorkloadSettings } from "./options.js"
import * as Draws from "./random.js"

const minute = 60_000

/** The time at which the integral of the rate, from `from` on, has grown by `amount`; infinite after `end`. */
const advance = (rates: ReadonlyArray<number>, from: number, amount: number, end: number): number => {
  let [at, left] = [from, amount]
  while (at < end) {
    const rate = rates[Math.floor(at / minute) % rates.length] ?? 0
    const minuteEnd = rates.length === 1 ? Infinity : (Math.floor(at / minute) + 1) * minute
    const reached = rate === 0 ? Infinity : at + left / rate
    if (reached < minuteEnd) return reached < end ? reached : Infinity
    left -= rate * (minuteEnd - at)
    at = minuteEnd
  }
  return Infinity
}

export function* arrivals(workload: WorkloadSettings, seed: number): Generator<Arrival, void> {
  if (workload._tag === "Trace") return yield* workload.trace
  const { duration, inputTokens, isEven, outputTokens, rates } = workload
  const times = Draws.make(seed, "arrivals")
  const tokens = Draws.make(seed, "tokens")
  for (let at = 0; ;) {
    at = advance(rates, at, isEven ? 1 : times.exponential(), duration)
    if (at === Infinity) return
    yield {
      at,
      inputTokens: Math.round(tokens.logNormal(inputTokens)),
      outputTokens: Math.round(tokens.logNormal(outputTokens))
    }
  }
}

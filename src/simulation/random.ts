/** Draws from distributions by a seed. */
import * as Random from "../internal/random.js"

/** A log-normal distribution of numbers; constant where `sigma` is 0. */
export interface LogNormal {
  readonly median: number
  readonly sigma: number
}

/** The 95th percentile of the standard normal distribution. */
const normalP95 = 1.6448536269514722

export const logNormal = (p50: number, p95: number): LogNormal => ({
  median: p50,
  sigma: p50 > 0 ? Math.log(p95 / p50) / normalP95 : 0
})

export interface Draws {
  /** Uniform in [0, 1). */
  readonly uniform: () => number
  /** From the exponential distribution of mean 1. */
  readonly exponential: () => number
  readonly logNormal: (distribution: LogNormal) => number
}

/** Sequences of different names are independent. */
export const make = (seed: number, name: "arrivals" | "tokens" | "providers"): Draws => {
  let state = Math.imul(seed ^ { arrivals: 0x51ed270b, tokens: 0x2545f491, providers: 0x6c078965 }[name], 0x9e3779b1)
  const uniform = (): number => {
    state = Random.next(state)
    return Random.uniform(state)
  }
  return {
    uniform,
    exponential: () => -Math.log(1 - uniform()),
    logNormal: ({ median, sigma }) => {
      if (sigma === 0) return median
      // Box and Muller's method.
      const normal = Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
      return median * Math.exp(sigma * normal)
    }
  }
}

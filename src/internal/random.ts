/** Random numbers as pure functions of a 32-bit seed (the mulberry32 generator), so that a state can hold its own generator. */

/** The next seed. */
export const next = (seed: number): number => (seed + 0x6d2b79f5) | 0

/** Uniform in [0, 1). */
export const uniform = (seed: number): number => {
  let bits = Math.imul(seed ^ (seed >>> 15), seed | 1)
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
  return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
}

/** The time to the next arrival of a Poisson process of rate 1. */
export const exponential = (seed: number): number => -Math.log(1 - uniform(seed))

/** Virtual time for the timers and the clocks of the machine, so that calls under the live clock have exact times and take none. */
import { Cause, Effect, Exit } from "effect"
import { vi } from "vitest"

/** The time at which every run starts, in milliseconds since the epoch. */
const startOfTime = 1_700_000_000_000

const faked = ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "Date"] as const

/**
 * Runs an effect in virtual time: the next timer runs as soon as nothing else can. Nothing else may run in the process meanwhile. Fails
 * when the effect waits for nothing that can come.
 */
export const runInVirtualTime = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
  const immediate = setImmediate
  vi.useFakeTimers({ toFake: [...faked], now: startOfTime })
  // Effect keeps `process.hrtime` itself, but reads `bigint` from it each time.
  const { hrtime } = process
  const monotonic = vi.spyOn(hrtime, "bigint").mockImplementation(() => BigInt(Date.now() - startOfTime) * 1_000_000n)
  try {
    let exit: Exit.Exit<A, E> | undefined
    Effect.runCallback(effect, { onExit: (ended) => void (exit = ended) })
    for (;;) {
      await new Promise((resolve) => immediate(resolve))
      if (exit !== undefined)
        return Exit.getOrElse(exit, (cause) => {
          throw Cause.squash(cause)
        })
      if (vi.getTimerCount() === 0) throw new Error("The effect waits for nothing that can come.")
      vi.advanceTimersToNextTimer()
    }
  } finally {
    monotonic.mockRestore()
    vi.useRealTimers()
  }
}

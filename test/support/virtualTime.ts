/** Virtual time for the timers and the clocks of the machine, so that calls under the live clock have exact times and take none. */
import { Cause, Effect, Exit } from "effect"
import { vi } from "vitest"

/** The time at which every run starts, in milliseconds since the epoch. */
const startOfTime = 1_700_000_000_000

const faked = ["setTimeout", "clearTimeout", "Date"] as const

/** Immediates take no virtual time, unlike those of fake timers: the scheduler of Effect 4 runs fibers in them. */
const watchImmediates = () => {
  const { clearImmediate: clear, setImmediate: set } = globalThis
  const pending = new Set<NodeJS.Immediate>()
  const setting = vi.spyOn(globalThis, "setImmediate").mockImplementation((run: () => void) => {
    const immediate = set(() => {
      pending.delete(immediate)
      run()
    })
    pending.add(immediate)
    return immediate
  })
  const clearing = vi.spyOn(globalThis, "clearImmediate").mockImplementation((immediate) => {
    if (immediate !== undefined) pending.delete(immediate)
    clear(immediate)
  })
  return {
    /** Waits until no immediate is pending. */
    drain: async (): Promise<void> => {
      do await new Promise<void>((resolve) => set(resolve))
      while (pending.size > 0)
    },
    restore: (): void => {
      setting.mockRestore()
      clearing.mockRestore()
    }
  }
}

/**
 * Runs an effect in virtual time: the next timer runs as soon as nothing else can. Nothing else may run in the process meanwhile. Fails
 * when the effect waits for nothing that can come.
 */
export const runInVirtualTime = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
  const immediates = watchImmediates()
  vi.useFakeTimers({ toFake: [...faked], now: startOfTime })
  // Effect keeps `process.hrtime` itself, but reads `bigint` from it each time.
  const { hrtime } = process
  const monotonic = vi.spyOn(hrtime, "bigint").mockImplementation(() => BigInt(Date.now() - startOfTime) * 1_000_000n)
  try {
    let exit: Exit.Exit<A, E> | undefined
    Effect.runCallback(effect, { onExit: (ended) => void (exit = ended) })
    for (;;) {
      await immediates.drain()
      if (exit !== undefined)
        return Exit.getOrElse(exit, (cause) => {
          throw Cause.squash(cause)
        })
      if (vi.getTimerCount() === 0) throw new Error("The effect waits for nothing that can come.")
      vi.advanceTimersToNextTimer()
    }
  } finally {
    monotonic.mockRestore()
    immediates.restore()
    vi.useRealTimers()
  }
}

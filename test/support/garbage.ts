/** Collects garbage, also in a process that was started without `--expose-gc`. */
import { Effect } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

/**
 * Runs in new tasks, since a `WeakRef` keeps its target until the task in which it was made or read is over, and some time apart: on a busy
 * machine a compilation in the background keeps what it has seen for a moment longer.
 */
export const collectGarbage: Effect.Effect<void> = Effect.repeatN(
  Effect.async<void>((resume) => {
    setTimeout(() => {
      collect()
      resume(Effect.void)
    }, 20)
  }),
  2
)

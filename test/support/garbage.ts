/** Collects garbage, also in a process that was started without `--expose-gc`. */
import { Effect } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

/** Runs in a new task, since a `WeakRef` keeps its target until the task in which it was made or read is over. */
export const collectGarbage: Effect.Effect<void> = Effect.async((resume) => {
  setImmediate(() => {
    collect()
    resume(Effect.void)
  })
})

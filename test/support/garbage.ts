/** Collects garbage now, in a process that was started without `--expose-gc` too. */
import { Effect } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

/** A `WeakRef` keeps its target until the task in which it was made or read is over: a task of its own comes before the collection. */
export const collectGarbage: Effect.Effect<void> = Effect.async((resume) => {
  setImmediate(() => {
    collect()
    resume(Effect.void)
  })
})

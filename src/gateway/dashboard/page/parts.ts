/** Work in parts: a page that does all of it in one task does not react to its user meanwhile. */

/** Each step of the iterator does a part. */
export type Parts = Iterable<undefined>

/** Milliseconds of parts in one task. A frame has 16. */
const maxTask = 8

/**
 * Returns a function that does the work, and begins at once. After `maxTask` the next parts follow in a new task. Called before
 * the end, it does the work once more after it.
 */
export const inTasks = (work: () => Parts): (() => void) => {
  let rest: Iterator<undefined> | undefined
  let isWanted = false
  // Timers are slower: browsers delay nested ones by four milliseconds.
  const { port1, port2 } = new MessageChannel()
  const go = (parts: Iterator<undefined>): void => {
    const end = performance.now() + maxTask
    // Absent while the parts run, so that a part that throws ends its work and not all that follows.
    rest = undefined
    do {
      if (parts.next().done !== true) continue
      if (!isWanted) return
      isWanted = false
      parts = work()[Symbol.iterator]()
    } while (performance.now() < end)
    rest = parts
    port2.postMessage(undefined)
  }
  port1.addEventListener("message", () => {
    if (rest !== undefined) go(rest)
  })
  port1.start()
  return () => {
    if (rest === undefined) go(work()[Symbol.iterator]())
    else isWanted = true
  }
}

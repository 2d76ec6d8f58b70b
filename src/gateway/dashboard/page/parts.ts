/** Work in parts: a page that does all of it in one task does not react to its user meanwhile. */

/** Each step of the iterator does a part. */
export type Parts = Iterable<undefined>

/** Milliseconds of parts in one task. A frame has 16. */
const maxTask = 8

/**
 * Returns a function that does the work, and begins at once. After `maxTask` the next parts follow in a new task. Called before
 * the end, also by a part, it does the work once more after it. A part that throws ends the work.
 */
export const inTasks = (work: () => Parts): (() => void) => {
  let rest: Iterator<undefined> | undefined
  let isWanted = false
  // Timers are slower: browsers delay nested ones by four milliseconds.
  const { port1, port2 } = new MessageChannel()
  const begin = (): Iterator<undefined> => {
    isWanted = false
    return work()[Symbol.iterator]()
  }
  const go = (): void => {
    const end = performance.now() + maxTask
    try {
      do {
        if (rest?.next().done === true) rest = isWanted ? begin() : undefined
      } while (rest !== undefined && performance.now() < end)
    } catch (error) {
      rest = undefined
      throw error
    }
    if (rest !== undefined) port2.postMessage(undefined)
  }
  port1.addEventListener("message", go)
  port1.start()
  return () => {
    if (rest !== undefined) {
      isWanted = true
      return
    }
    rest = begin()
    go()
  }
}

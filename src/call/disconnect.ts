/** What happens to the request of a stream whose consumer leaves before its end. */

/**
 * How much of a stream is read after its consumer has left.
 *
 * @since 0.2.0
 * @category model
 */
export interface Drain {
  /** The most output tokens that are read, by an estimate. */
  readonly maxTokens: number
  /** The longest time of reading, in milliseconds. */
  readonly maxMillis: number
}

/**
 * What happens to the request of a stream whose consumer leaves after the first events: its fiber is interrupted, it stops pulling, or
 * the client of a gateway disconnects.
 *
 * - `"cancel"`: the request is aborted, and the usage is estimated from what had arrived.
 * - `{ drain }`: the stream is read on in the background, so that the usage which the provider reports at the end is booked. At a bound the
 *   request is aborted, and the usage is estimated.
 * - `"detach"`: the same without bounds other than the time limits of the call.
 *
 * @since 0.2.0
 * @category model
 */
export type OnDisconnect = "cancel" | "detach" | { readonly drain: Drain }

/** The bounds of the reading in the background; undefined for "cancel". */
export const drainOf = (onDisconnect: OnDisconnect): Drain | undefined => {
  if (onDisconnect === "cancel") return undefined
  return onDisconnect === "detach" ? { maxTokens: Infinity, maxMillis: Infinity } : onDisconnect.drain
}

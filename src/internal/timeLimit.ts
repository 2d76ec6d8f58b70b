/** Limits of time over effects that may not be interruptible: one module, since Effect 4 has others. */
import { Effect } from "effect"

/** Interrupted, it continues in the background, and nobody waits for its end. */
export const disconnect = Effect.disconnect

/** Fails when the time is over. */
export const timeoutFail = Effect.timeoutFail

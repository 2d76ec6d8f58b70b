/** Limits of time over effects that cannot be interrupted: one module, since Effect 4 has others. */
import { Effect } from "effect"

/** Interrupted, the effect continues in the background, and its end is not waited for. */
export const disconnect = Effect.disconnect

/** Fails when the time is over. */
export const timeoutFail = Effect.timeoutFail

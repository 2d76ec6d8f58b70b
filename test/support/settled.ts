/** Waits until all fibers that can run have run, including those that wait for Web Crypto. */
import { Effect } from "effect"

const turn = Effect.zipRight(
  // Queued behind the pending digests.
  Effect.promise(() => crypto.subtle.digest("SHA-256", new Uint8Array(1024))),
  Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
)

export const settled: Effect.Effect<void> = Effect.asVoid(Effect.repeatN(turn, 15))

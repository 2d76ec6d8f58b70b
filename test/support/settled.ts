/** Lets everything run that can, also what waits for Web Crypto. */
import { Effect } from "effect"

const turn = Effect.zipRight(
  // Behind the digests that others wait for.
  Effect.promise(() => crypto.subtle.digest("SHA-256", new Uint8Array(1024))),
  Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
)

export const settled: Effect.Effect<void> = Effect.asVoid(Effect.repeatN(turn, 15))

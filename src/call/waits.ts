/** Observation of the waits of calls for permits and keys, for simulations. Calls that do not wait pay nothing for it. */
import { Context, type Effect } from "effect"
import type { Service as Pool } from "../keyPool/model.js"
import type { Service as Limiter } from "../rateLimiter/model.js"

/** What a call waits for. */
export interface Wait {
  readonly source: "limiter" | "pool"
  readonly limiter: Limiter
  readonly pool: Pool
  readonly model: string
  /** The estimated tokens; 0 where tokens are not limited. */
  readonly tokens: number
}

/** Put around each wait. A wait can end at once. */
export type WaitObserver = <A, E>(wait: Wait, effect: Effect.Effect<A, E>) => Effect.Effect<A, E>

export class CurrentWaitObserver extends Context.Reference<CurrentWaitObserver>()("effect-llm/WaitObserver", {
  defaultValue: (): WaitObserver | undefined => undefined
}) {}

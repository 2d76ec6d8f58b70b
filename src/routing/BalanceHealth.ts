/**
 * What balances tell each other of their deployments: one that finds a deployment out of order tells the others, so that they
 * leave it alone before their own calls have failed there, and of all of them one at a time finds out whether it is good again.
 *
 * A balance takes this from the context when it is made, and without it keeps what it knows to itself. Deployments are known by
 * their `Deployment.id`: the same id is the same deployment, in whatever balance and process. `effect-llm/redis` has it for
 * many processes (`RedisBalanceHealth`); `layerMemory` joins the balances of one.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Balance, BalanceHealth, LLM } from "effect-llm"
 *
 * declare const Virginia: Layer.Layer<LLM.LLM>
 * declare const Ireland: Layer.Layer<LLM.LLM>
 *
 * const Balanced = Balance.layer([
 *   { llm: Virginia, id: "virginia" },
 *   { llm: Ireland, id: "ireland" }
 * ]).pipe(Layer.provide(BalanceHealth.layerMemory))
 * ```
 *
 * @since 0.1.0
 */
import type { Duration } from "effect"
import { Context, Effect, Layer, Ref } from "effect"
import * as Healths from "./balance/memoryHealth.js"

/**
 * What was last said of a deployment.
 *
 * - `Open`: too many of its calls failed. It rests until then, and has to prove itself after that.
 * - `Cooling`: it said that it has too much to do, and rests until then.
 * - `Closed`: it works again.
 *
 * @since 0.1.0
 * @category model
 */
export interface Notice {
  readonly state: "Open" | "Cooling" | "Closed"
  /** Until when it rests, in milliseconds of `Clock.currentTimeNanos`; of no meaning where it is `Closed`. */
  readonly until: number
  /** How often its circuit has been opened without a success between: each rest is longer than the last. */
  readonly openings: number
  /** Which balance said so, which need not hear it; empty where several did. */
  readonly author: string
}

/**
 * Whether a call may find out if a deployment is good again. `Refused`: another balance is about to, or has just failed to, and it
 * may be asked again after so long.
 *
 * @since 0.1.0
 * @category model
 */
export type Permission = { readonly _tag: "Granted" } | { readonly _tag: "Refused"; readonly again: Duration.Duration }

/**
 * Nothing of it fails a call or keeps it waiting for long: what cannot be told or heard is left out, and each balance goes by
 * what it knows itself.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** By id. It is read at every call, and is the same map, with the same notices, as long as there is nothing new. */
  readonly notices: Effect.Effect<ReadonlyMap<string, Notice>>
  /** Tells the others. */
  readonly tell: (id: string, notice: Notice) => Effect.Effect<void>
  /** Asked for the one call that finds out. Who is granted it has it until `proved`, or until its process is gone. */
  readonly probe: (id: string, author: string) => Effect.Effect<Permission>
  /** The call that was granted is over; what it found out, if anything, is told in the same step. */
  readonly proved: (id: string, author: string, notice: Notice | undefined) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class BalanceHealth extends Context.Tag("effect-llm/BalanceHealth")<BalanceHealth, Service>() {}

/**
 * For the balances of one process, such as groups with the same deployments in them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const memory: Effect.Effect<Service> = Effect.map(Ref.make(Healths.nothing), (known): Service => ({
  notices: Effect.map(Ref.get(known), ({ notices }) => notices),
  tell: (id, notice) => Ref.update(known, (before) => Healths.told(before, id, notice)),
  probe: (id, author) =>
    Effect.clockWith((clock) => Ref.modify(known, (before) => Healths.probed(before, id, author, clock))),
  proved: (id, author, notice) => Ref.update(known, (before) => Healths.proved(before, id, author, notice))
}))

/**
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<BalanceHealth> = Layer.effect(BalanceHealth, memory)

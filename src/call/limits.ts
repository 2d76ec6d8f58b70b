/**
 * The time limits of a call, set by the modules above and respected by those below: `Timeouts` sets the deadline, `Fallback`
 * the maxWait.
 */
import type { Duration } from "effect"
import { Context, Effect } from "effect"
import { toMillis } from "effect/Duration"

export interface Limits {
  /** The deadline of the whole call, in milliseconds since the epoch. */
  readonly deadline: number
  /** The longest sleep while another member of a fallback is available, in milliseconds. */
  readonly maxWait: number
  /** The longest time between two events of a stream, in milliseconds. */
  readonly idle: number
}

const unlimited: Limits = { deadline: Infinity, maxWait: Infinity, idle: Infinity }

export class CallLimits extends Context.Reference<CallLimits>()("effect-llm/CallLimits", {
  defaultValue: (): Limits => unlimited
}) {}

/** Narrows the limits for an effect. A wider limit than the current one has no effect. */
export const narrow = <A, E, R>(effect: Effect.Effect<A, E, R>, limits: Partial<Limits>): Effect.Effect<A, E, R> =>
  Effect.flatMap(CallLimits, (outer) =>
    Effect.provideService(effect, CallLimits, {
      deadline: Math.min(outer.deadline, limits.deadline ?? Infinity),
      maxWait: Math.min(outer.maxWait, limits.maxWait ?? Infinity),
      idle: Math.min(outer.idle, limits.idle ?? Infinity)
    })
  )

/** The longest allowed sleep from now, in milliseconds; infinite without limits. */
export const longestSleep = Effect.map(Effect.all([CallLimits, Effect.clock]), ([limits, clock]) =>
  Math.max(0, Math.min(limits.maxWait, limits.deadline - clock.unsafeCurrentTimeMillis()))
)

/** The shorter of an allowed wait and the longest sleep, in milliseconds. */
export const atMost = (allowed: Duration.DurationInput, longest: number): number => Math.min(toMillis(allowed), longest)

/**
 * What those above a call have promised on its behalf, so that nobody below sleeps in vain: `Timeouts` sets the deadline,
 * `Fallback` the patience.
 */
import type { Duration } from "effect"
import { Context, Effect } from "effect"
import { toMillis } from "effect/Duration"

export interface Limits {
  /** When the call as a whole is given up, in milliseconds since the epoch. */
  readonly deadline: number
  /** The longest that anything may sleep while another member of a fallback stands ready, in milliseconds. */
  readonly patience: number
  /** How long a stream may be silent before it is given up, in milliseconds. */
  readonly idle: number
}

const unlimited: Limits = { deadline: Infinity, patience: Infinity, idle: Infinity }

export class CallLimits extends Context.Reference<CallLimits>()("effect-llm/CallLimits", {
  defaultValue: (): Limits => unlimited
}) {}

/** Narrows the limits for an effect; a wider limit than the one in force changes nothing. */
export const narrow = <A, E, R>(effect: Effect.Effect<A, E, R>, limits: Partial<Limits>): Effect.Effect<A, E, R> =>
  Effect.flatMap(CallLimits, (outer) =>
    Effect.provideService(effect, CallLimits, {
      deadline: Math.min(outer.deadline, limits.deadline ?? Infinity),
      patience: Math.min(outer.patience, limits.patience ?? Infinity),
      idle: Math.min(outer.idle, limits.idle ?? Infinity)
    })
  )

/** The longest that a sleep starting now may take, in milliseconds; infinite where nobody set a limit. */
export const longestSleep = Effect.map(Effect.all([CallLimits, Effect.clock]), ([limits, clock]) =>
  Math.max(0, Math.min(limits.patience, limits.deadline - clock.unsafeCurrentTimeMillis()))
)

/** The smaller of a wait that is allowed and what is left for sleeping. */
export const atMost = (allowed: Duration.DurationInput, longest: number): number => Math.min(toMillis(allowed), longest)

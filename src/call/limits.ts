/**
 * The limits of a call, set by the modules above and respected by those below: `Timeouts` sets the deadline, `Fallback` the maxWait,
 * and policies that send a call again the number of requests.
 */
import type { Clock, Duration } from "effect"
import { Context, Effect } from "effect"
import { toMillis } from "effect/Duration"
import { clockOf, wholeNow } from "../internal/clock.js"
import { changed } from "../internal/context.js"
import * as OptionChecks from "../internal/optionChecks.js"
import type { RequestLimit } from "./requestLimit.js"

export interface Limits {
  /** The deadline of the whole call, in milliseconds of the monotonic clock. */
  readonly deadline: number
  /** The longest sleep while another member of a fallback is available, in milliseconds. */
  readonly maxWait: number
  /** The longest backoff before a request is sent again, where the provider asks for no wait, in milliseconds. */
  readonly maxBackoff: number
  /** The longest time between two events of a stream, in milliseconds. */
  readonly idle: number
  /** Absent when no policy around the call limits its requests. */
  readonly requests?: RequestLimit | undefined
}

const unlimited: Limits = { deadline: Infinity, maxWait: Infinity, maxBackoff: Infinity, idle: Infinity }

export class CallLimits extends Context.Reference<CallLimits>()("effect-llm/CallLimits", {
  defaultValue: (): Limits => unlimited
}) {}

/** Narrower limits. A longer time than the outer one has no effect. */
export const narrowed = (outer: Limits, limits: Partial<Limits>): Limits => ({
  deadline: Math.min(outer.deadline, limits.deadline ?? Infinity),
  maxWait: Math.min(outer.maxWait, limits.maxWait ?? Infinity),
  maxBackoff: Math.min(outer.maxBackoff, limits.maxBackoff ?? Infinity),
  idle: Math.min(outer.idle, limits.idle ?? Infinity),
  requests: limits.requests ?? outer.requests
})

/** How long a member of a policy can wait while another one can take the call. */
export type FailoverLimits = Pick<Limits, "maxWait" | "maxBackoff">

/**
 * By default a member waits for a key, a permit or a Retry-After for a second, and not at all to try again what another one can do at
 * once.
 */
export const failoverLimits = (
  { millis }: OptionChecks.Checks,
  failoverAfter: Duration.DurationInput | undefined
): FailoverLimits => {
  const maxWait = millis("failoverAfter", failoverAfter ?? "1 second", OptionChecks.anyLength)
  return { maxWait, maxBackoff: failoverAfter === undefined ? 0 : maxWait }
}

/** The limits of a member; without another one that can take the call they are those of the call. */
export const memberLimits = (limits: Limits, failover: FailoverLimits | undefined): FailoverLimits => ({
  maxWait: Math.min(limits.maxWait, failover?.maxWait ?? Infinity),
  maxBackoff: Math.min(limits.maxBackoff, failover?.maxBackoff ?? Infinity)
})

/** Narrows the limits for an effect. */
export const narrow = <A, E, R>(effect: Effect.Effect<A, E, R>, limits: Partial<Limits>): Effect.Effect<A, E, R> =>
  changed(effect, (context) => Context.add(context, CallLimits, narrowed(Context.get(context, CallLimits), limits)))

/** The longest allowed sleep from now, in milliseconds; infinite without limits. */
export const longestSleepOf = ({ deadline, maxWait }: Limits, clock: Clock.Clock): number =>
  Math.max(0, Math.min(maxWait, deadline - wholeNow(clock)))

/** The longest allowed sleep from now, in milliseconds; infinite without limits. */
export const longestSleep: Effect.Effect<number> = Effect.withFiberRuntime((fiber) =>
  Effect.succeed(longestSleepOf(Context.get(fiber.currentContext, CallLimits), clockOf(fiber)))
)

/** The shorter of an allowed wait and the longest sleep, in milliseconds. */
export const atMost = (allowed: Duration.DurationInput, longest: number): number => Math.min(toMillis(allowed), longest)

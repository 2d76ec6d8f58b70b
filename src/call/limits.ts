/**
 * The limits of a call, set by the modules above and respected by those below: `Timeouts` sets the deadline, `Fallback` the maxWait,
 * and policies that send a call again the number of requests.
 */
import type { Clock, Duration } from "effect"
import { Context, Effect } from "effect"
import { toMillis } from "effect/Duration"
import { clockOf, wholeNow } from "../internal/clock.js"
import { changed } from "../internal/context.js"
import type { RequestLimit } from "./requestLimit.js"

export interface Limits {
  /** The deadline of the whole call, in milliseconds of the monotonic clock. */
  readonly deadline: number
  /** The longest sleep while another member of a fallback is available, in milliseconds. */
  readonly maxWait: number
  /** The longest time between two events of a stream, in milliseconds. */
  readonly idle: number
  /** Absent when no policy around the call limits its requests. */
  readonly requests?: RequestLimit | undefined
}

const unlimited: Limits = { deadline: Infinity, maxWait: Infinity, idle: Infinity }

export class CallLimits extends Context.Reference<CallLimits>()("effect-llm/CallLimits", {
  defaultValue: (): Limits => unlimited
}) {}

/** Narrower limits. A longer time than the outer one has no effect. */
export const narrowed = (outer: Limits, limits: Partial<Limits>): Limits => ({
  deadline: Math.min(outer.deadline, limits.deadline ?? Infinity),
  maxWait: Math.min(outer.maxWait, limits.maxWait ?? Infinity),
  idle: Math.min(outer.idle, limits.idle ?? Infinity),
  requests: limits.requests ?? outer.requests
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

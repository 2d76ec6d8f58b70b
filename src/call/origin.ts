/**
 * The beginning of a call that the call plan has sent and that did not succeed. The effects of the same `LLM` take over from there:
 * time limits and telemetry count from its start, and its failed attempt is the first one of failover and retries.
 */
import type { Tracer } from "effect"
import { Context } from "effect"
import type { Attempt } from "../vocabulary/attempt.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { ModelInfo } from "./model.js"

export interface Failed {
  /** Contains the failed attempt. */
  readonly error: LLMError
  /** The key of the attempt. */
  readonly keyId: string
  /** In milliseconds since the epoch. */
  readonly startedAt: number
}

export interface Origin {
  /** The `LLM` that the call belongs to: calls of others within it, as for a token, have an origin of their own. */
  readonly info: ModelInfo
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  /** The same time in milliseconds of the monotonic clock. */
  readonly monotonicStart: number
  /** Absent when the call is not traced. */
  readonly span: Tracer.Span | undefined
  /** The failure of the first attempt, until it is taken. */
  failed: Failed | undefined
  /** Whether the telemetry of the effects has taken the call over, and records its end. */
  isTakenOver: boolean
}

export class CallOrigin extends Context.Reference<CallOrigin>()("effect-llm/CallOrigin", {
  defaultValue: (): Origin | undefined => undefined
}) {}

/** The origin of a call of this `LLM` whose first failure is not taken yet. */
const untaken = (context: Context.Context<never>, info: ModelInfo): Origin | undefined => {
  const origin = Context.get(context, CallOrigin)
  return origin?.info === info && origin.failed !== undefined ? origin : undefined
}

/** Takes over the telemetry of a call of this `LLM`: from now on the caller records its end. */
export const takeOver = (context: Context.Context<never>, info: ModelInfo): Origin | undefined => {
  const origin = untaken(context, info)
  if (origin?.isTakenOver !== false) return undefined
  origin.isTakenOver = true
  return origin
}

/** The start of a call of this `LLM` whose first failure is not taken yet, else now. In milliseconds of the monotonic clock. */
export const startOf = (context: Context.Context<never>, info: ModelInfo, now: number): number =>
  untaken(context, info)?.monotonicStart ?? now

/** The failed attempt of a call of this `LLM` whose first failure is not taken yet. */
export const attemptsOf = (context: Context.Context<never>, info: ModelInfo): ReadonlyArray<Attempt> =>
  untaken(context, info)?.failed?.error.attempts ?? []

/** Takes the first failure of a call of this `LLM`. */
export const takeFailed = (context: Context.Context<never>, info: ModelInfo): Failed | undefined => {
  const origin = Context.get(context, CallOrigin)
  if (origin?.info !== info) return undefined
  const { failed } = origin
  origin.failed = undefined
  return failed
}

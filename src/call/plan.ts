/**
 * The call plan: the straight way of a chat as plain code, without an effect for each of its steps.
 *
 * A call takes it when its permit and its key are there at once, no tracer is installed and the clock is the live one. Everything
 * else is the way of effects (`effects`): a call that must wait, a tracer, a test clock, and, after a failure, failover and retries.
 * A failed call goes on there with its `Origin`: the start of the call, and its first attempt.
 *
 * What is taken is given back exactly once. From the permit to the wait for the answer a call cannot be interrupted, and whatever
 * ends the wait ends in the same place: the answer, an error, a time limit or an interruption.
 */
import type { Clock, Fiber } from "effect"
import { Context, DefaultServices, Effect, FiberRef, Tracer } from "effect"
import { clockOf, liveClock } from "../internal/clock.js"
import type { Verdict } from "../keyPool/model.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Usage } from "../vocabulary/Usage.js"
import type { RateLimits } from "../wire/headers/rateLimits.js"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { AttemptWatch } from "./attemptWatch.js"
import * as Watches from "./attemptWatch.js"
import { unsafeTryAcquire } from "./acquire.js"
import type { Dependencies } from "./attempts.js"
import { chatAttempt, withFailedAttempt } from "./attempts.js"
import type { Limits } from "./limits.js"
import { CallLimits } from "./limits.js"
import type { Service } from "./model.js"
import type { CallRecorder, Outcome } from "./observer.js"
import { CallOrigin } from "./origin.js"
import { WantsRawResponse } from "./passthrough.js"
import { inputTokensOf } from "./request.js"
import type { CountText } from "../tokens/request.js"
import { limitFor } from "./requestLimit.js"
import type { Added } from "./innerChat.js"
import { succeededAtOnce } from "./retry/state.js"
import type { Listeners, UsageObserver } from "./usageListeners.js"
import type { Millis } from "./timeLimits.js"

/** Effect's default tracer, which exports nothing. */
const defaultTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

export interface Plan {
  readonly deps: Dependencies
  readonly limits: Millis
  /** The metrics of calls; absent when telemetry is off. */
  readonly recorder: CallRecorder | undefined
  /** Whether calls have spans where a tracer is installed. */
  readonly hasSpans: boolean
  readonly usageObserver: UsageObserver
  readonly estimateText: CountText
  /** The same calls as effects. */
  readonly effects: Pick<Service, "chat" | "chatStream">
}

export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** A call with its permit and key. */
export interface Call {
  readonly clock: Clock.Clock
  readonly key: ApiKey
  readonly model: string
  readonly request: ChatRequest
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  readonly limits: Limits
  /** The wire whose raw answer the caller wants beside the decoded one. */
  readonly rawProtocol: string | undefined
  /** The listeners that were added to the call. */
  readonly listeners: Listeners
  readonly watch: AttemptWatch
  readonly onRateLimits: (limits: RateLimits) => void
  /** Gives permit and key back and records the attempt. Only the first call has an effect; the result reports the usage. */
  readonly settle: (verdict: Verdict, outcome: Outcome, usage?: Usage, answeredBy?: string) => Effect.Effect<void>
  /** Records the end of the call. */
  readonly record: (outcome: Outcome, usage: Usage | undefined) => void
  /** Records the first events of a stream. */
  readonly recordOpened: () => void
}

const none: ReadonlySet<string> = new Set()

/** Takes a permit and a key, if both are there at once and the call needs no effect. */
export const begin = (
  plan: Plan,
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  request: ChatRequest,
  model: string,
  added: Added
): Call | undefined => {
  const { client, countsTokens, feedback, info, instruments, limiter, pool } = plan.deps
  const clock = clockOf(fiber)
  if (clock !== liveClock || (plan.hasSpans && fiber.currentTracer !== defaultTracer)) return undefined
  const context = fiber.currentContext
  const limits = Context.get(context, CallLimits)
  // A call that is sent again by a policy around it takes another key than before.
  const isRepeated = (limitFor(limits.requests, info)?.earlier.length ?? 0) > 0
  if (isRepeated) return undefined
  const labels = fiber.getFiberRef(FiberRef.currentMetricLabels)
  const notify = plan.usageObserver(context, added.listeners)
  const subject = chatAttempt(
    request,
    model,
    (request === added.request ? added.inputTokens : undefined) ?? inputTokensOf(request, plan.estimateText)
  )
  const tokens = countsTokens ? subject.estimate() : 0
  const acquired = unsafeTryAcquire(clock, { limiter, pool }, { model, tokens, tried: none, avoid: none })
  if (acquired === undefined) return undefined
  const { lease, reservation } = acquired
  const { key } = lease
  const startedAt = clock.unsafeCurrentTimeMillis()
  const watch: AttemptWatch = {
    outer: Context.get(context, Watches.CurrentWatch),
    isExpired: false,
    failed: [],
    running: undefined
  }
  Watches.recordStart(watch, { provider: client.provider, model, keyId: key.id, startedAt })
  instruments.recorder?.started(key, labels)
  let isSettled = false
  return {
    clock,
    key,
    model,
    request,
    startedAt,
    watch,
    limits,
    rawProtocol: Context.get(context, WantsRawResponse),
    listeners: added.listeners,
    onRateLimits: (rateLimits) => {
      const { remainingRequests, resetRequests } = rateLimits
      if (remainingRequests === 0 && resetRequests !== undefined) pool.unsafeRest?.(clock, key.id, resetRequests)
      feedback?.unsafe?.headers(clock, model, rateLimits)
    },
    settle: (verdict, outcome, usage, answeredBy) => {
      if (isSettled) return Effect.void
      isSettled = true
      Watches.recordEnd(watch)
      instruments.recorder?.ended(key, outcome, verdict, labels)
      const endedAt = clock.unsafeCurrentTimeMillis()
      // A strategy or a listener of the program can throw. A stream settles in a callback, where that would end the process.
      try {
        reservation.unsafeSettle(clock, usage?.totalTokens ?? tokens)
        feedback?.unsafe?.ended(clock, model, verdict, endedAt - startedAt)
        lease.unsafeSettle(clock, verdict)
        return notify === undefined
          ? Effect.void
          : notify({ subject, key, outcome, usage, answeredBy, startedAt, endedAt })
      } catch (defect) {
        return Effect.die(defect)
      }
    },
    record: (outcome, usage) => {
      const now = clock.unsafeCurrentTimeMillis()
      const { retries } = plan.deps
      if (outcome === "ok" && retries !== undefined) succeededAtOnce(retries, clock, key.id)
      plan.recorder?.ended(outcome, now - startedAt, usage, labels, now)
    },
    recordOpened: () => plan.recorder?.opened(clock.unsafeCurrentTimeMillis() - startedAt, labels)
  }
}

/** The error of a call with its failed attempt. That of a time limit has it already. */
export const withAttempt = ({ deps }: Plan, call: Call, error: LLMError): LLMError =>
  call.watch.isExpired
    ? error
    : withFailedAttempt(
        deps,
        { ...call, call: { model: call.model, key: call.key } },
        call.clock.unsafeCurrentTimeMillis(),
        error
      )

/** Continues a failed call with effects. */
export const continueWith = <A, R>(
  plan: Plan,
  { key, startedAt }: Call,
  error: LLMError,
  effect: Effect.Effect<A, LLMError, R>
): Effect.Effect<A, LLMError, R> =>
  Effect.provideService(effect, CallOrigin, {
    info: plan.deps.info,
    startedAt,
    failed: { error, keyId: key.id, startedAt }
  })

/** Runs an effect after another one, which costs nothing when there is nothing to run. */
export const after = <A, E, R>(first: Effect.Effect<void>, next: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  first === Effect.void ? next : Effect.zipRight(first, next)

/** Continues after an effect, at once when there is nothing to run. */
export const continueAfter = <A, E, R>(
  first: Effect.Effect<void>,
  next: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => (first === Effect.void ? next() : Effect.flatMap(first, next))

/**
 * The call plan: the straight way of a chat as plain code, without an effect for each of its steps.
 *
 * A call takes it when its permit and its key are there at once and the clock is the live one. Everything else is the way of effects
 * (`effects`): a call that must wait, a test clock, and, after a failure, failover and retries. A failed call goes on there with its
 * `Origin`: the start and the span of the call, and its first attempt.
 *
 * Permit and key are settled exactly once. A call is interruptible only while it waits for the answer, and every end of this wait (an
 * answer, an error, a time limit, an interruption) is handled in one place. What a tracer, a strategy or a listener of the program
 * throws becomes a defect of the call, after everything has been given back.
 */
import type { Clock, Fiber } from "effect"
import { Context, Effect, Exit, FiberRef, Tracer } from "effect"
import { clockOf, liveClock, wholeNow } from "../internal/clock.js"
import { whileChanged } from "../internal/context.js"
import { Label } from "../internal/label.js"
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
import { affinityOf, chatAttempt, keysFor, reservedTokens, usedTokens, withFailedAttempt } from "./attempts.js"
import * as KeyOwner from "./keyOwner.js"
import type { Limits } from "./limits.js"
import type { Service } from "./model.js"
import type { CallRecorder, Outcome, SpanAnswer, Spans, Subject } from "./observer.js"
import { outcomeOf } from "./observer.js"
import type { Origin } from "./origin.js"
import { CallOrigin } from "./origin.js"
import { WantsRawResponse } from "./passthrough.js"
import { inputTokensOf } from "./request.js"
import type { CountText } from "../tokens/request.js"
import { limitFor } from "./requestLimit.js"
import type { Added } from "./added.js"
import type { Listeners, UsageObserver } from "./usageListeners.js"
import type { Millis } from "./timeLimits.js"

export interface Plan {
  readonly deps: Dependencies
  readonly limits: Millis
  /** Whether the calls have a time limit of their own. Without one the deadline of a middleware is left to that middleware. */
  readonly hasLimits: boolean
  /** The metrics of calls; absent when telemetry is off. */
  readonly recorder: CallRecorder | undefined
  /** The spans of calls and attempts; absent when they are off. */
  readonly spans: Spans | undefined
  readonly usageObserver: UsageObserver
  readonly estimateText: CountText
  /** The same calls as effects. */
  readonly effects: Pick<Service, "chat" | "chatStream">
}

export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

interface CallSpans {
  readonly call: Tracer.Span
  readonly attempt: Tracer.Span
}

/** A call with its permit and key. */
export interface Call {
  readonly clock: Clock.Clock
  readonly key: ApiKey
  /** What the requests of the conversation have in common. */
  readonly affinity?: string
  /** The other keys of its account, where the request has an owner. */
  readonly kin?: ReadonlyArray<string>
  readonly model: string
  readonly request: ChatRequest
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  /** The same time in milliseconds of the monotonic clock, from which time limits count. */
  readonly monotonicStart: number
  readonly limits: Limits
  /** The wire whose raw answer is returned beside the decoded one. */
  readonly rawProtocol: string | undefined
  /** The listeners that were added to the call. */
  readonly listeners: Listeners
  readonly watch: AttemptWatch
  /** Absent when the call is not traced. */
  readonly spans: CallSpans | undefined
  readonly onRateLimits: (limits: RateLimits) => void
  /**
   * Gives permit and key back and records the attempt. Only the first call has an effect; the result reports the usage, and dies of what
   * code of the program has thrown.
   */
  readonly settle: (verdict: Verdict, outcome: Outcome, usage?: Usage, answeredBy?: string) => Effect.Effect<void>
  /** Reports to the pool that the provider has accepted the call: the first events of a stream have come, after this time in milliseconds. */
  readonly accept: (latency: number) => void
  /** Counts a success for the retries: an answer, or the first events of a stream. */
  readonly recordSuccess: () => void
  /** Records the end of the call. The result dies of what the tracer has thrown. */
  readonly record: (
    exit: Exit.Exit<unknown, LLMError>,
    usage: Usage | undefined,
    answer?: SpanAnswer
  ) => Effect.Effect<void>
  /** Records the first events of a stream. */
  readonly recordOpened: () => void
}

/** Runs code of the program. What it throws becomes a defect: a callback that throws would end the process. */
const caught = (run: () => Effect.Effect<void> | void): Effect.Effect<void> => {
  try {
    return run() ?? Effect.void
  } catch (defect) {
    return Effect.die(defect)
  }
}

/** Starts the spans of a call and its attempt. `onThrow` gets the span of the call when that of the attempt cannot be made. */
const startSpans = (
  { startAttempt, startCall }: Spans,
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  subject: Subject,
  key: ApiKey,
  onThrow: (call: Tracer.Span, defect: unknown) => void
): CallSpans | undefined => {
  const call = startCall(fiber, subject)
  if (call === undefined) return undefined
  try {
    const attempt = startAttempt(fiber, key, subject, call)
    return attempt && { call, attempt }
  } catch (defect) {
    onThrow(call, defect)
    throw defect
  }
}

/** Takes a permit and a key, if both are there at once and the call needs no effect. */
export const begin = (
  plan: Plan,
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  request: ChatRequest,
  model: string,
  streamed: boolean,
  limits: Limits,
  added: Added
): Call | undefined => {
  const { client, feedback, info, instruments, limiter, pool, retries } = plan.deps
  const clock = clockOf(fiber)
  if (clock !== liveClock) return undefined
  const context = fiber.currentContext
  // A call that is sent again by a policy around it takes another key than before.
  const isRepeated = (limitFor(limits.requests, info)?.earlier.length ?? 0) > 0
  if (isRepeated) return undefined
  const labels = fiber.getFiberRef(FiberRef.currentMetricLabels)
  const caller = Context.get(context, Label)
  const notify = plan.usageObserver(context, added.listeners)
  const subject = chatAttempt(
    request,
    model,
    streamed,
    (request === added.request ? added.inputTokens : undefined) ?? inputTokensOf(request, plan.estimateText)
  )
  const tokens = reservedTokens(plan.deps, subject)
  const affinity = affinityOf(plan.deps, subject, context)
  const owner = KeyOwner.ownerOf(client.provider, request, context)
  const keys = owner === undefined ? [] : pool.unsafeKeys?.()
  if (keys === undefined) return undefined
  const restriction = KeyOwner.restrictionOf(client.provider, owner, info.onOwnerUnavailable, keys)
  const acquired = unsafeTryAcquire(
    clock,
    { limiter, pool },
    { ...keysFor(restriction), model, tokens, failover: false, isRepeated: false, affinity }
  )
  if (acquired === undefined) return undefined
  const { lease, reservation } = acquired
  const { key } = lease
  const startedAt = clock.unsafeCurrentTimeMillis()
  const monotonicStart = wholeNow(clock)
  let firstChunk: number | undefined

  const recordEnd = (
    span: Tracer.Span | undefined,
    exit: Exit.Exit<unknown, LLMError>,
    usage: Usage | undefined,
    answer: SpanAnswer | undefined
  ): Effect.Effect<void> => {
    const now = clock.unsafeCurrentTimeMillis()
    plan.recorder?.ended({
      operation: "chat",
      model,
      answeredBy: answer?.model,
      outcome: outcomeOf(exit),
      millis: now - startedAt,
      usage,
      caller,
      labels,
      now
    })
    return span === undefined ? Effect.void : caught(() => plan.spans?.endCall(span, clock, exit, answer, firstChunk))
  }

  let spans: CallSpans | undefined
  try {
    spans =
      plan.spans &&
      startSpans(plan.spans, fiber, subject, key, (call, defect) =>
        recordEnd(call, Exit.die(defect), undefined, undefined)
      )
  } catch (defect) {
    lease.unsafeGiveBack(clock)
    reservation.unsafeGiveBack(clock)
    throw defect
  }
  const watch = Watches.make(Context.get(context, Watches.CurrentWatch))
  Watches.recordStart(watch, { provider: client.provider, model, keyId: key.id, startedAt })
  instruments.recorder?.started(key, labels)
  let isSettled = false
  return {
    clock,
    key,
    ...(affinity === undefined ? {} : { affinity }),
    ...(owner === undefined ? {} : { kin: KeyOwner.kinOf(key, keys) }),
    model,
    request,
    startedAt,
    monotonicStart,
    watch,
    limits,
    spans,
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
      const settled = caught(() => {
        // The pace of an adaptive limiter changes before tokens are given back at it.
        feedback?.unsafe?.ended(clock, model, verdict, endedAt - startedAt)
        reservation.unsafeSettle(clock, usedTokens(plan.deps, subject, tokens, outcome, usage, labels))
        lease.unsafeSettle(clock, verdict)
        return notify?.({ subject, key, outcome, usage, answeredBy, startedAt, endedAt })
      })
      const span = spans?.attempt
      if (span === undefined) return settled
      const ended = caught(() => plan.spans?.endAttempt(span, clock, outcome, usage, firstChunk))
      return ended === Effect.void ? settled : Effect.ensuring(settled, ended)
    },
    accept: (latency) => {
      firstChunk = latency
      lease.unsafeAccept(clock)
    },
    recordSuccess: () => retries?.budget?.succeeded(clock),
    record: (exit, usage, answer) => recordEnd(spans?.call, exit, usage, answer),
    recordOpened: () => plan.recorder?.opened(clock.unsafeCurrentTimeMillis() - startedAt, labels)
  }
}

/** Runs an effect within the span of the attempt, where `tracer.context` finds it. Must run uninterruptibly. */
export const inAttempt = <A, E, R>({ spans }: Call, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  spans === undefined ? effect : whileChanged(effect, Context.add(Tracer.ParentSpan, spans.attempt))

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

/** Continues a failed call with effects, which record its end unless they are interrupted before they have taken it over. */
export const continueWith = <A, R>(
  plan: Plan,
  call: Call,
  error: LLMError,
  restore: Restore,
  effect: Effect.Effect<A, LLMError, R>
): Effect.Effect<A, LLMError, R> => {
  const { monotonicStart, key, spans, startedAt } = call
  const origin: Origin = {
    info: plan.deps.info,
    startedAt,
    monotonicStart,
    span: spans?.call,
    failed: { error, keyId: key.id, startedAt },
    isTakenOver: false
  }
  return Effect.matchCauseEffect(restore(Effect.provideService(effect, CallOrigin, origin)), {
    onSuccess: Effect.succeed,
    onFailure: (cause) =>
      after(origin.isTakenOver ? Effect.void : call.record(Exit.failCause(cause), undefined), Effect.failCause(cause))
  })
}

/** Runs an effect after another one, which costs nothing when there is nothing to run. */
export const after = <A, E, R>(first: Effect.Effect<void>, next: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  first === Effect.void ? next : Effect.zipRight(first, next)

/** Continues after an effect, at once when there is nothing to run. */
export const continueAfter = <A, E, R>(
  first: Effect.Effect<void>,
  next: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => (first === Effect.void ? next() : Effect.flatMap(first, next))

/**
 * Ends a call whose attempt has been settled, or goes on with it. When the settlement dies of a listener or the tracer, the call does,
 * too.
 */
export const continueSettled = <A, E extends LLMError, R>(
  call: Call,
  settled: Effect.Effect<void>,
  next: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  settled === Effect.void
    ? next()
    : Effect.matchCauseEffect(settled, {
        onSuccess: next,
        onFailure: (cause) => after(call.record(Exit.failCause(cause), undefined), Effect.failCause(cause))
      })

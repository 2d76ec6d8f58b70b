/**
 * Chats on the straight way of the call plan whose answer is streamed. The events of a network read are kept until the consumer
 * pulls; the socket is not read while several reads wait. Permit and key are given back when the last event arrives.
 */
import type { Cause } from "effect"
import { Cause as Causes, Chunk, Context, Effect, Exit, FiberId, Option } from "effect"
import { longestTimer, wholeNow, timerDelay } from "../internal/clock.js"
import { whileChanged } from "../internal/context.js"
import { Verdict, verdictOf } from "../keyPool/model.js"
import type { ChatRequest, FinishReason } from "../vocabulary/Chat.js"
import type { ChatEvent, Start } from "../vocabulary/ChatEvent.js"
import type { LLMError, TimeoutError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import { consumedNothing, plausibleUsage } from "./attempts.js"
import * as Watches from "./attemptWatch.js"
import type { AnswerSoFar } from "./collector.js"
import type { DirectClient, DirectStream } from "./directClient.js"
import type { Finalizers } from "./finalizers.js"
import { CallLimits, narrowed } from "./limits.js"
import type { Forward, Open, OpenStream, Pull } from "./openStream.js"
import { end, fromStream, openChat } from "./openStream.js"
import type { Call, Plan, Restore } from "./plan.js"
import { after, begin, continueAfter, continueSettled, continueWith, inAttempt, withAttempt } from "./plan.js"
import * as StreamFiber from "./streamFiber.js"
import type { EffectiveLimit } from "./timeLimits.js"
import { expired, shorterLimit } from "./timeLimits.js"
import { nothing } from "./added.js"
import { estimateInput } from "./request.js"
import type { Listeners } from "./usageListeners.js"
import { withListeners } from "./usageListeners.js"

/** The bytes whose events are kept for a consumer that is busy, before the socket is paused: as many as one read of a socket has. */
const maxBytes = 64 * 1024

/** The same in pulls of a client's stream, whose elements can be of any size. */
const maxPulls = 2

const isStartOrFinish = ({ _tag }: ChatEvent): boolean => _tag === "Start" || _tag === "Finish"

type PullFailure = Option.Option<LLMError>

/** A stream in flight, from its request to its end. */
const make = (plan: Plan, call: Call, direct: DirectClient | undefined, finalizers: Finalizers) => {
  const { monotonicStart, clock, limits, request, startedAt, watch } = call
  const { hasLimits } = plan
  const { client, info } = plan.deps
  const maxUnread = direct === undefined ? maxPulls : maxBytes
  const { firstEvent, idle, total } = plan.limits
  const deadline = Math.min(limits.deadline, monotonicStart + total)

  let reads: Array<ReadonlyArray<ChatEvent>> = []
  /** The size of the reads since all had been taken, in the unit of `maxUnread`. */
  let unread = 0
  /** How the stream ended. It is reported when the reads have been pulled. */
  let over: Pull | undefined
  /** Continues the fiber that waits for events. */
  let wake: (() => void) | undefined
  /** Gets the events while the fiber waits, instead of waking it. False: no more for now. */
  let accept: ((events: Chunk.Chunk<ChatEvent>) => boolean) | undefined
  /** Reports the usage to its listeners, or the defects of code of the program; the next pull runs it, or the end of the stream. */
  let report: Effect.Effect<void> = Effect.void
  let isOpen = false
  /** Whether the consumer has got the first events. */
  let isDelivered = false
  let isPaused = false
  let isClosed = false
  let isSettled = false
  let hasRecorded = false
  let answer: AnswerSoFar | undefined
  let start: Start | undefined
  let latency = 0
  /** The start of the current wait for the provider; undefined while the consumer is busy. */
  let waitingSince: number | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let stream: DirectStream | undefined
  /** Waits until an aborted stream has released everything: until then its key is in use. */
  let closed: Effect.Effect<void> = Effect.void

  const generatedTokens = (): number => answer?.generatedTokens() ?? 0

  /** The usage of a stream that ends without a `Finish`: asked for at its end, by several, and estimated once. */
  let estimated: Usage.Usage | undefined
  const usageSoFar = (): Usage.Usage =>
    (estimated ??= Usage.make({
      inputTokens: estimateInput(request),
      outputTokens: generatedTokens(),
      estimated: true
    }))

  const reportLater = (reported: Effect.Effect<void>): void => {
    if (reported !== Effect.void) report = after(report, reported)
  }

  const record = (
    exit: Exit.Exit<unknown, LLMError>,
    usage: Usage.Usage | undefined,
    finishReason?: FinishReason
  ): void => {
    if (hasRecorded) return
    hasRecorded = true
    const answered = start && usage && { id: start.id, model: start.model, attempts: start.attempts, usage }
    reportLater(call.record(exit, usage, answered && (finishReason ? { ...answered, finishReason } : answered)))
  }

  /** The events of all reads; of the first one where each belongs to the frames of its read. */
  const takeEvents = (): ReadonlyArray<ChatEvent> | undefined => {
    if (reads.length < 2 || call.rawProtocol !== undefined) return reads.shift()
    const events = reads.flat()
    reads = []
    return events
  }

  const takeChunk = (): Chunk.Chunk<ChatEvent> => {
    const events = takeEvents() ?? []
    if (reads.length === 0) {
      unread = 0
      if (isPaused) {
        isPaused = false
        stream?.resume()
      }
    }
    return Chunk.unsafeFromArray(events)
  }

  /** The result of the next pull, if there is one already. */
  const take = (): Pull | undefined => {
    if (reads.length === 0) return over === undefined ? undefined : withReport(over)
    const next = Effect.succeed(takeChunk())
    return reads.length === 0 ? withReport(next) : next
  }

  const takeReport = (): Effect.Effect<void> => {
    const taken = report
    report = Effect.void
    return taken
  }

  /** Takes the report when it runs. If the pull is interrupted before, the end of the stream runs the report. */
  const runReport = Effect.uninterruptible(Effect.suspend(takeReport))

  const withReport = (next: Pull): Pull => (report === Effect.void ? next : Effect.zipRight(runReport, next))

  /** Continues a pull that waits. It takes all reads that have arrived when its fiber runs: one turn of the event loop can bring several. */
  const notify = (): void => {
    const resume = wake
    wake = undefined
    accept = undefined
    resume?.()
  }

  /** Ends the stream for its consumer. */
  const finish = (pull: Pull): void => {
    if (over !== undefined) return
    over = pull
    clearTimeout(timer)
    notify()
  }

  const settle = (verdict: Verdict, outcome: string, usage?: Usage.Usage): void => {
    isSettled = true
    reportLater(call.settle(verdict, outcome, usage, start?.model))
  }

  /** The usage of a `Finish` is replaced where it is not plausible. */
  const checked = (event: ChatEvent): ChatEvent => {
    if (event._tag === "Start") start = event
    if (event._tag !== "Finish") return event
    const usage = plausibleUsage(plan.deps, request, event.usage, generatedTokens)
    settle(Verdict.Served({ latency }), "ok", usage)
    record(finalizers.isAbandoned() ? Exit.interrupt(FiberId.none) : Exit.void, usage, event.reason)
    return usage === event.usage ? event : { ...event, usage }
  }

  /** Passes events on while the fiber waits. */
  const passOn = (accepts: NonNullable<typeof accept>, events: ReadonlyArray<ChatEvent>, at: number): void => {
    try {
      if (accepts(Chunk.unsafeFromArray(events))) {
        waitingSince = at
        return
      }
      waitingSince = undefined
      isPaused = true
      stream?.pause()
      notify()
    } catch (defect) {
      settle(Verdict.Neutral(), "interrupted")
      finish(Effect.die(defect))
    }
  }

  const onEvents = (events: ReadonlyArray<ChatEvent>, soFar: AnswerSoFar, size: number, at: number): void => {
    answer = soFar
    if (!isOpen) {
      isOpen = true
      latency = clock.unsafeCurrentTimeMillis() - startedAt
      call.accept(latency)
    }
    const isPlain = !events.some(isStartOrFinish)
    if (isPlain && accept !== undefined) return passOn(accept, events, at)
    waitingSince = undefined
    reads.push(isPlain ? events : events.map(checked))
    unread += size
    notify()
    if (unread >= maxUnread && !isPaused) {
      isPaused = true
      stream?.pause()
    }
  }

  const onError = (error: LLMError): void => {
    const failed = isOpen ? error : withAttempt(plan, call, error)
    if (isOpen) {
      settle(verdictOf(error), error._tag, usageSoFar())
      record(Exit.fail(error), usageSoFar())
    } else settle(verdictOf(error), error._tag, consumedNothing(error) ? Usage.empty : undefined)
    finish(Effect.fail(Option.some(failed)))
  }

  /** Ends the stream because a limit has expired. Called by a timer: an exception would end the process. */
  const expire = (limit: EffectiveLimit<TimeoutError["phase"]>): void => {
    stream?.abort()
    try {
      const error = expired(info, limit, clock.unsafeCurrentTimeMillis(), watch, answer)
      if (closed === Effect.void) settle(Verdict.Failed(), "TimeoutError", isOpen ? usageSoFar() : undefined)
      if (isOpen) record(Exit.fail(error), usageSoFar())
      finish(Effect.fail(Option.some(error)))
    } catch (defect) {
      settle(Verdict.Neutral(), "interrupted")
      finish(Effect.die(defect))
    }
  }

  /** Ends the stream when no event has come in time, or looks again when one is due. */
  const checkLimits = (): void => {
    const now = wholeNow(clock)
    const idleUntil = (waitingSince ?? now) + idle
    if (now >= deadline) return expire({ phase: "total", millis: deadline - monotonicStart })
    if (now >= idleUntil) return expire({ phase: "idle", millis: idle })
    const millis = Math.min(idleUntil, deadline) - now
    if (millis < Infinity) timer = setTimeout(checkLimits, timerDelay(millis))
  }

  const taken: Pull = Effect.suspend(() => take() ?? pull)

  /** Leaves a `Finish` that has come since the wake-up to the next pull: its usage is reported before the consumer sees it. */
  const takenChunk: Pull = Effect.sync(() => {
    const last = report === Effect.void || reads.length < 2 ? undefined : reads.pop()
    const chunk = takeChunk()
    if (last !== undefined) reads.push(last)
    return chunk
  })

  const pull: Pull = Effect.async<Chunk.Chunk<ChatEvent>, PullFailure>((resume) => {
    const ready = take()
    if (ready !== undefined) return resume(ready)
    waitingSince = wholeNow(clock)
    // That of a forwarding that was interrupted.
    accept = undefined
    wake = () => resume(reads.length > 0 && report === Effect.void ? takenChunk : taken)
  })

  const forward: Forward = (accepts) => {
    const waiting = Effect.async<void, PullFailure>((resume) => {
      waitingSince = wholeNow(clock)
      accept = accepts
      wake = () => resume(reads.length === 0 && over === undefined ? Effect.void : proceed)
      if (isPaused) {
        isPaused = false
        stream?.resume()
      }
    })
    const proceed: Effect.Effect<void, PullFailure> = Effect.suspend(() => {
      // One turn of the event loop can bring many reads. A report belongs to the last one.
      while (reads.length > 1 || (reads.length === 1 && report === Effect.void)) {
        if (!accepts(takeChunk())) return Effect.void
      }
      const next = take()
      return next === undefined ? waiting : Effect.flatMap(next, (events) => (accepts(events) ? proceed : Effect.void))
    })
    return proceed
  }

  /** Settles what has no end of its own: a stream that was interrupted, abandoned, or ended by a limit. */
  const settleAborted = (): void => settle(...Watches.verdictOfInterruption(watch), isOpen ? usageSoFar() : undefined)

  const closeWith = (exit: Exit.Exit<never, LLMError>): Effect.Effect<void> => {
    isClosed = true
    wake = undefined
    accept = undefined
    stream?.abort()
    clearTimeout(timer)
    return continueAfter(closed, () => {
      if (!isSettled) settleAborted()
      if (!hasRecorded) record(exit, isDelivered ? usageSoFar() : undefined)
      over ??= end
      return takeReport()
    })
  }

  const failedOpening = (cause: Cause.Cause<PullFailure>, restore: Restore): Effect.Effect<OpenStream, LLMError> => {
    const failure = Causes.failureOption(cause)
    if (Option.isNone(failure)) {
      const exit = Exit.failCause(Causes.flatMap(cause, () => Causes.empty))
      return after(closeWith(exit), exit)
    }
    const error = Option.getOrUndefined(failure.value)
    if (error === undefined) return Effect.succeed({ first: Chunk.empty(), pull: end })
    // The effects of the same call record its end.
    hasRecorded = true
    return continueAfter(closed, () => {
      if (!isSettled) settleAborted()
      return continueSettled(call, takeReport(), () =>
        continueWith(plan, call, error, restore, openChat(plan.effects, request, call.listeners)(finalizers))
      )
    })
  }

  /** Sends the request by the client's plain functions. */
  const sendDirectly = (direct: DirectClient): void => {
    try {
      stream = direct.chatStream(
        request,
        { ...call, limits: { deadline, idle: Math.min(limits.idle, idle) } },
        { onEvents, onError, onEnd: () => finish(end) }
      )
    } catch (defect) {
      finish(Effect.die(defect))
    }
  }

  const onExit = (exit: Exit.Exit<void, LLMError>): void => {
    closed = Effect.void
    if (Exit.isSuccess(exit)) return finish(end)
    const error = Option.getOrUndefined(Causes.failureOption(exit.cause))
    if (error !== undefined) return onError(error)
    finish(Effect.failCause(Causes.flatMap(exit.cause, () => Causes.empty)))
  }

  /** Sends the request by the client's effects. */
  const sendInFiber = Effect.suspend(() => {
    const { affinity, key, kin, model, onRateLimits } = call
    const open: Open = (finalizers) =>
      fromStream(
        client.chatStream(request, {
          model,
          key,
          ...(affinity === undefined ? {} : { affinity }),
          ...(kin === undefined ? {} : { kin }),
          resends: true,
          onRateLimits: (rateLimits) => Effect.sync(() => onRateLimits(rateLimits))
        })
      )(finalizers)
    return Effect.map(
      whileChanged(
        StreamFiber.start(open, { onEvents: (events, soFar) => onEvents(events, soFar, 1, wholeNow(clock)), onExit }),
        (context) =>
          withListeners(call.listeners)(Context.add(context, CallLimits, narrowed(limits, { deadline, idle })))
      ),
      (started) => {
        stream = started
        closed = started.closed
      }
    )
  })

  const opened = (restore: Restore): Effect.Effect<OpenStream, LLMError> => {
    if (hasLimits && over === undefined && !isOpen) {
      const opening = shorterLimit("first-event", firstEvent, deadline - monotonicStart)
      if (opening.millis <= longestTimer) timer = setTimeout(() => expire(opening), opening.millis)
    }
    return Effect.matchCauseEffect(restore(pull), {
      onSuccess: (first) => {
        clearTimeout(timer)
        call.recordSuccess()
        isDelivered = true
        call.recordOpened()
        if (hasLimits && over === undefined) checkLimits()
        const restart = (): Pull => {
          reads.unshift(Chunk.toReadonlyArray(first))
          return pull
        }
        return Effect.succeed({ first, pull, forward, restart })
      },
      onFailure: (cause) => failedOpening(cause, restore)
    })
  }

  const open = (restore: Restore): Effect.Effect<OpenStream, LLMError> => {
    if (isClosed) return Effect.interrupt
    if (direct !== undefined && call.spans === undefined) {
      sendDirectly(direct)
      return opened(restore)
    }
    const sent = direct === undefined ? sendInFiber : Effect.sync(() => sendDirectly(direct))
    return Effect.flatMap(inAttempt(call, sent), () => (isClosed ? Effect.interrupt : opened(restore)))
  }

  return { close: () => closeWith(Exit.interrupt(FiberId.none)), open }
}

/** Sends a chat and opens its stream. The key is in use until the stream ends or its consumer stops. */
export const open =
  (plan: Plan, direct: DirectClient | undefined, request: ChatRequest, model: string, listeners: Listeners): Open =>
  (finalizers) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiberRuntime<OpenStream, LLMError>((fiber) => {
        const limits = Context.get(fiber.currentContext, CallLimits)
        const call = begin(plan, fiber, request, model, true, limits, { ...nothing, listeners })
        if (call === undefined) return restore(openChat(plan.effects, request, listeners)(finalizers))
        const stream = make(plan, call, direct, finalizers)
        return finalizers.add(stream.close, () => stream.open(restore))
      })
    )

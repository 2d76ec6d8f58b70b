/**
 * Listeners for the usage of attempts. Middlewares add a listener to the context of a call; every attempt of the call, on any
 * model, notifies each listener exactly once when it ends: answered, failed or interrupted.
 */
import { Clock, Context, Effect } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { Price } from "../vocabulary/price.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Instruments, Outcome, Subject, UsageObserver } from "../call/observer.js"
import { clockOf } from "../internal/clock.js"
import { changed } from "../internal/context.js"
import { Label } from "../internal/label.js"

/** An ended attempt. */
export interface EndedAttempt {
  readonly operation: Subject["operation"]
  readonly provider: string
  /** The requested model. */
  readonly model: string
  /** The model that answered; the requested one when the provider names none. */
  readonly answeredBy: string
  readonly keyId: string
  readonly label: string
  readonly outcome: Outcome
  /** Usage as the provider reported it, else estimated. */
  readonly usage: Usage.Usage
  /** Price in the configuration of the requested model. */
  readonly price?: Price
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  readonly endedAt: number
}

export interface Listener {
  /** Identity of the listener's owner, which is notified of an attempt only once. */
  readonly owner: object
  readonly onUsage: (attempt: EndedAttempt) => Effect.Effect<void>
}

const none: ReadonlyArray<Listener> = []

export class UsageListeners extends Context.Reference<UsageListeners>()("effect-llm/UsageListeners", {
  defaultValue: (): ReadonlyArray<Listener> => none
}) {}

export const isListening = (context: Context.Context<never>, owner: object): boolean =>
  Context.get(context, UsageListeners).some((listener) => listener.owner === owner)

/** The context with one more listener, unless there is one of the same owner. */
export const withListener =
  (listener: Listener) =>
  <R>(context: Context.Context<R>): Context.Context<R> =>
    isListening(context, listener.owner)
      ? context
      : Context.add(context, UsageListeners, [...Context.get(context, UsageListeners), listener])

/** Notifies a listener of the attempts of an effect. */
export const withUsageListener = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  listener: Listener
): Effect.Effect<A, E, R> => changed(effect, withListener(listener))

const notifyAll = (listeners: ReadonlyArray<Listener>, attempt: EndedAttempt): Effect.Effect<void> => {
  const [first, ...others] = listeners
  return first !== undefined && others.length === 0
    ? first.onUsage(attempt)
    : Effect.forEach(listeners, (listener) => listener.onUsage(attempt), { discard: true })
}

/** Notifies the listeners of usage without an attempt, such as a cache hit. */
export const notifyUsage = (attempt: Omit<EndedAttempt, "label" | "startedAt" | "endedAt">): Effect.Effect<void> =>
  Effect.flatMap(UsageListeners, (listeners) =>
    listeners.length === 0
      ? Effect.void
      : Effect.flatMap(Effect.zip(Label, Clock.currentTimeMillis), ([label, now]) =>
          notifyAll(listeners, { ...attempt, label, startedAt: now, endedAt: now })
        )
  )

/**
 * Outcomes without reported usage after which a provider can still charge for the input. It does not for refused requests,
 * failures on its side and connections that broke before an answer began.
 */
const inputChargedOutcomes: ReadonlySet<Outcome> = new Set([
  "interrupted",
  "TimeoutError",
  "StreamInterruptedError",
  "MalformedResponseError"
])

const usageOf = (usage: Usage.Usage | undefined, outcome: Outcome, subject: Subject): Usage.Usage =>
  usage ??
  (inputChargedOutcomes.has(outcome)
    ? Usage.make({ inputTokens: subject.inputTokens(), estimated: true })
    : Usage.empty)

/** Reports the attempts of the call plan to the listeners. */
export const observerOf =
  ({ model, price, provider }: ModelInfo): UsageObserver =>
  (context) => {
    const listeners = Context.get(context, UsageListeners)
    if (listeners.length === 0) return undefined
    const label = Context.get(context, Label)
    return ({ answeredBy, endedAt, key, outcome, startedAt, subject, usage }) =>
      notifyAll(listeners, {
        operation: subject.operation,
        provider,
        model: subject.model,
        answeredBy: answeredBy ?? subject.model,
        keyId: key.id,
        label,
        outcome,
        usage: usageOf(usage, outcome, subject),
        ...(price === undefined || subject.model !== model ? {} : { price }),
        startedAt,
        endedAt
      })
  }

/** Instruments that also notify the listeners of the call. */
export const onUsage = (instruments: Instruments, info: ModelInfo): Instruments => {
  const observer = observerOf(info)
  return {
    ...instruments,
    attempt: (key, subject) =>
      Effect.withFiberRuntime((fiber) => {
        const notify = observer(fiber.currentContext)
        const clock = clockOf(fiber)
        return notify === undefined
          ? instruments.attempt(key, subject)
          : Effect.map(instruments.attempt(key, subject), (probe) => {
              const startedAt = clock.unsafeCurrentTimeMillis()
              return {
                around: probe.around,
                end: (verdict, outcome, usage, answeredBy) =>
                  Effect.zipRight(
                    probe.end(verdict, outcome, usage, answeredBy),
                    Effect.suspend(() => {
                      const endedAt = clock.unsafeCurrentTimeMillis()
                      return notify({ subject, key, outcome, usage, answeredBy, startedAt, endedAt })
                    })
                  )
              }
            })
      })
  }
}

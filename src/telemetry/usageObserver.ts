/** Notifies the listeners of the usage of attempts. */
import { Context, Effect } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { Instruments, Outcome, Subject } from "../call/observer.js"
import type { EndedAttempt, Listener, Listeners, UsageObserver } from "../call/usageListeners.js"
import { listenersOf, noListeners } from "../call/usageListeners.js"
import { clockOf } from "../internal/clock.js"
import { Label } from "../internal/label.js"
import * as Usage from "../vocabulary/Usage.js"

/** Notifies a listener. What it throws, such as the price list of a program, becomes a defect, and the other listeners are notified. */
const notify = ({ onUsage }: Listener, attempt: EndedAttempt, context: Context.Context<never>): Effect.Effect<void> => {
  try {
    return onUsage(attempt, context)
  } catch (defect) {
    return Effect.die(defect)
  }
}

const notifyAll = (
  listeners: Listeners,
  attempt: EndedAttempt,
  context: Context.Context<never>
): Effect.Effect<void> => {
  let left: Effect.Effect<void> = Effect.void
  for (const listener of listeners) {
    const next = notify(listener, attempt, context)
    // A budget is settled also where a listener before it dies.
    left = left === Effect.void ? next : next === Effect.void ? left : Effect.ensuring(left, next)
  }
  return left
}

/** Notifies the listeners of usage without an attempt, such as a cache hit. */
export const notifyUsage = (attempt: Omit<EndedAttempt, "label" | "startedAt" | "endedAt">): Effect.Effect<void> =>
  Effect.withFiberRuntime((fiber) => {
    const context = fiber.currentContext
    const listeners = listenersOf(context, noListeners)
    if (listeners.length === 0) return Effect.void
    const now = clockOf(fiber).unsafeCurrentTimeMillis()
    const label = Context.get(context, Label)
    return Effect.uninterruptible(notifyAll(listeners, { ...attempt, label, startedAt: now, endedAt: now }, context))
  })

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
  (context, added) => {
    const listeners = listenersOf(context, added)
    if (listeners.length === 0) return undefined
    const label = Context.get(context, Label)
    return ({ answeredBy, endedAt, key, outcome, startedAt, subject, usage }) => {
      const attempt: EndedAttempt = {
        operation: subject.operation,
        provider,
        model: subject.model,
        answeredBy: answeredBy ?? subject.model,
        keyId: key.id,
        label,
        outcome,
        usage: usageOf(usage, outcome, subject),
        startedAt,
        endedAt
      }
      return notifyAll(
        listeners,
        price === undefined || subject.model !== model ? attempt : { ...attempt, price },
        context
      )
    }
  }

/** Instruments that also notify the listeners of the call. */
export const onUsage = (instruments: Instruments, info: ModelInfo): Instruments => {
  const observer = observerOf(info)
  return {
    ...instruments,
    attempt: (key, subject) =>
      Effect.withFiberRuntime((fiber) => {
        const notify = observer(fiber.currentContext, noListeners)
        const clock = clockOf(fiber)
        return notify === undefined
          ? instruments.attempt(key, subject)
          : Effect.map(instruments.attempt(key, subject), (probe) => {
              const startedAt = clock.unsafeCurrentTimeMillis()
              return {
                around: probe.around,
                end: (verdict, outcome, usage, answeredBy, firstChunk) =>
                  // A tracer can die: the usage is reported all the same.
                  Effect.ensuring(
                    probe.end(verdict, outcome, usage, answeredBy, firstChunk),
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

/**
 * Who wants to know what attempts consume. Middlewares put a listener into the context of a call; every attempt that is made for
 * it, on whatever model, tells each of them exactly once when it ends: with its answer, its failure, or because it was given up.
 */
import { Clock, Context, Effect } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { Price } from "../vocabulary/price.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Instruments, Outcome, Subject } from "../call/observer.js"
import { Label } from "../internal/label.js"

/** An attempt that is over. */
export interface Ended {
  readonly operation: Subject["operation"]
  readonly provider: string
  /** The model that was asked. */
  readonly model: string
  /** The model that says it answered. */
  readonly answeredBy: string
  readonly keyId: string
  readonly label: string
  readonly outcome: Outcome
  /** What it consumed: as the provider told, else estimated. */
  readonly usage: Usage.Usage
  /** What the model that was asked costs, where its configuration says so. */
  readonly price?: Price
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  readonly endedAt: number
}

export interface Listener {
  /** Whose listener it is: nobody hears an attempt twice. */
  readonly owner: object
  readonly onUsage: (attempt: Ended) => Effect.Effect<void>
}

const none: ReadonlyArray<Listener> = []

export class UsageListeners extends Context.Reference<UsageListeners>()("effect-llm/UsageListeners", {
  defaultValue: (): ReadonlyArray<Listener> => none
}) {}

export const isListening = (owner: object): Effect.Effect<boolean> =>
  Effect.map(UsageListeners, (listeners) => listeners.some((listener) => listener.owner === owner))

/** Lets a listener hear the attempts of an effect. */
export const withUsageListener = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  listener: Listener
): Effect.Effect<A, E, R> =>
  Effect.flatMap(UsageListeners, (listeners) =>
    listeners.some(({ owner }) => owner === listener.owner)
      ? effect
      : Effect.provideService(effect, UsageListeners, [...listeners, listener])
  )

const tell = (listeners: ReadonlyArray<Listener>, attempt: Ended): Effect.Effect<void> => {
  const [first, ...rest] = listeners
  return first !== undefined && rest.length === 0
    ? first.onUsage(attempt)
    : Effect.forEach(listeners, (listener) => listener.onUsage(attempt), { discard: true })
}

/** Tells of something that was answered without asking anybody. */
export const tellOf = (attempt: Omit<Ended, "label" | "startedAt" | "endedAt">): Effect.Effect<void> =>
  Effect.flatMap(UsageListeners, (listeners) =>
    listeners.length === 0
      ? Effect.void
      : Effect.flatMap(Effect.zip(Label, Clock.currentTimeMillis), ([label, now]) =>
          tell(listeners, { ...attempt, label, startedAt: now, endedAt: now })
        )
  )

/**
 * Ends after which a provider may well take money for what it read, although it told no counts. Of what was refused, of what
 * failed on the provider's side and of connections that broke before an answer began, none does.
 */
const readAtLeast: ReadonlySet<Outcome> = new Set([
  "interrupted",
  "TimeoutError",
  "StreamInterruptedError",
  "MalformedResponseError"
])

const consumed = (usage: Usage.Usage | undefined, outcome: Outcome, subject: Subject): Usage.Usage =>
  usage ??
  (readAtLeast.has(outcome) ? Usage.make({ inputTokens: subject.inputTokens(), estimated: true }) : Usage.empty)

/** Instruments that also tell the listeners of the call. */
export const onUsage = (instruments: Instruments, { model, price, provider }: ModelInfo): Instruments => ({
  ...instruments,
  attempt: (key, subject) =>
    Effect.flatMap(UsageListeners, (listeners) =>
      listeners.length === 0
        ? instruments.attempt(key, subject)
        : Effect.zipWith(
            instruments.attempt(key, subject),
            Effect.zip(Label, Effect.clock),
            (probe, [label, clock]) => {
              const startedAt = clock.unsafeCurrentTimeMillis()
              return {
                around: probe.around,
                end: (verdict, outcome, usage, answeredBy) =>
                  Effect.zipRight(
                    probe.end(verdict, outcome, usage, answeredBy),
                    Effect.suspend(() =>
                      tell(listeners, {
                        operation: subject.operation,
                        provider,
                        model: subject.model,
                        answeredBy: answeredBy ?? subject.model,
                        keyId: key.id,
                        label,
                        outcome,
                        usage: consumed(usage, outcome, subject),
                        ...(price === undefined || subject.model !== model ? {} : { price }),
                        startedAt,
                        endedAt: clock.unsafeCurrentTimeMillis()
                      })
                    )
                  )
              }
            }
          )
    )
})

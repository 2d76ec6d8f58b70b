/**
 * Listeners for the usage of attempts. Middlewares add a listener to a call; every attempt of the call, on any model, notifies each
 * listener exactly once when it ends: answered, failed or interrupted.
 */
import type { Effect } from "effect"
import { Context } from "effect"
import { changed } from "../internal/context.js"
import type { Price } from "../vocabulary/price.js"
import type { Usage } from "../vocabulary/Usage.js"
import type { AttemptEnd, Outcome, Subject } from "./observer.js"

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
  readonly usage: Usage
  /** Price in the configuration of the requested model. */
  readonly price?: Price
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  readonly endedAt: number
}

export interface Listener {
  /** Identity of the listener's owner, which is notified of an attempt only once. */
  readonly owner: object
  /** Called within an uninterruptible region, which runs the result. The context is that of the call. */
  readonly onUsage: (attempt: EndedAttempt, context: Context.Context<never>) => Effect.Effect<void>
}

export type Listeners = ReadonlyArray<Listener>

export const noListeners: Listeners = []

export class UsageListeners extends Context.Reference<UsageListeners>()("effect-llm/UsageListeners", {
  defaultValue: (): Listeners => noListeners
}) {}

const has = (listeners: Listeners, owner: object): boolean => listeners.some((listener) => listener.owner === owner)

/** The listeners with one more, unless its owner listens already. */
export const add = (listeners: Listeners, listener: Listener): Listeners =>
  has(listeners, listener.owner) ? listeners : [...listeners, listener]

/** The listeners of a call: those in its context, and those that were added to it (`Added` in `added.ts`). */
export const listenersOf = (context: Context.Context<never>, added: Listeners): Listeners => {
  const outer = Context.get(context, UsageListeners)
  return added.length === 0 ? outer : outer.length === 0 ? added : added.reduce(add, outer)
}

/**
 * What reports the usage of the attempts of a call to the listeners in its context and to those that were added to it; undefined when
 * there are none.
 */
export type UsageObserver = (
  context: Context.Context<never>,
  added: Listeners
) => ((end: AttemptEnd) => Effect.Effect<void>) | undefined

/** Whether an owner is notified of the attempts of a call. */
export const isListening = (context: Context.Context<never>, added: Listeners, owner: object): boolean =>
  has(added, owner) || has(Context.get(context, UsageListeners), owner)

/** The context with more listeners. */
export const withListeners =
  (listeners: Listeners) =>
  <R>(context: Context.Context<R>): Context.Context<R> =>
    Context.add(context, UsageListeners, listenersOf(context, listeners))

/** Notifies listeners of the attempts of an effect. */
export const notifying = <A, E, R>(effect: Effect.Effect<A, E, R>, listeners: Listeners): Effect.Effect<A, E, R> =>
  listeners.length === 0 ? effect : changed(effect, withListeners(listeners))

/** Many limiters as one: each call goes to the limiter of its model. */
import type { Clock } from "effect"
import { Effect } from "effect"
import type { LimiterStatus, Service, Signal, TryReserveOptions } from "./model.js"

export const make = (models: ReadonlyMap<string, Service>, others: Service): Service => {
  const of = (model: string | undefined): Service => (model === undefined ? undefined : models.get(model)) ?? others
  const all = [...models.values(), others]
  return {
    take: (n, options) => of(options?.model).take(n, options),
    tryTake: (n) => others.tryTake(n),
    withPermits: (n, options) => of(options?.model).withPermits(n, options),
    withPermitsIfAvailable: (n) => others.withPermitsIfAvailable(n),
    available: others.available,
    reserve: (tokens, options) => of(options?.model).reserve(tokens, options),
    status: Effect.map(
      Effect.all({
        others: others.status,
        models: Effect.forEach(models, ([model, limiter]) =>
          Effect.map(limiter.status, (status) => [model, status] as const)
        )
      }),
      (status): LimiterStatus => ({
        ...status.others,
        waiting: status.models.reduce((sum, [, { waiting }]) => sum + waiting, status.others.waiting),
        models: Object.fromEntries(status.models)
      })
    ),
    reset: Effect.forEach(all, (limiter) => limiter.reset, { discard: true }),
    lower: (remaining) => others.lower(remaining),
    ...(all.every(({ unsafeTryReserve }) => unsafeTryReserve !== undefined)
      ? {
          unsafeTryReserve: (clock: Clock.Clock, tokens: number, options?: TryReserveOptions) =>
            of(options?.model).unsafeTryReserve?.(clock, tokens, options)
        }
      : {}),
    ...(all.every(({ observe, unsafeObserve }) => (observe === undefined) === (unsafeObserve === undefined)) &&
    all.some(({ unsafeObserve }) => unsafeObserve !== undefined)
      ? {
          unsafeObserve: (clock: Clock.Clock, signal: Signal, model?: string) =>
            of(model).unsafeObserve?.(clock, signal, model)
        }
      : {}),
    ...(all.some(({ observe }) => observe !== undefined)
      ? { observe: (signal: Signal, model?: string) => of(model).observe?.(signal, model) ?? Effect.void }
      : {})
  }
}

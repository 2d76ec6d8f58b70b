/** Counts the requests in flight, and ends them when the gateway shuts down. */
import type { Duration, Scope } from "effect"
import { Deferred, Effect } from "effect"
import * as HttpErrors from "./error.js"

export interface ActiveRequests {
  /**
   * Counts a request until the resulting function is called, once. `expire` is called at the shutdown deadline, unless the request has
   * left by then. Undefined while the gateway is shutting down.
   */
  readonly enter: (expire: () => void) => (() => void) | undefined
  /** The same for what remains of a request that was counted, also while the gateway is shutting down. */
  readonly hold: (expire: () => void) => () => void
  /** Counts the request while its scope is open. Fails while the gateway is shutting down. */
  readonly admit: Effect.Effect<void, HttpErrors.HttpError, Scope.Scope>
  readonly status: Effect.Effect<{ readonly inFlight: number; readonly shuttingDown: boolean }>
  /**
   * Refuses new requests, and waits for those in flight until `grace` has passed. Then it ends them, and waits briefly for their
   * last writes.
   */
  readonly drain: (grace: Duration.DurationInput) => Effect.Effect<void>
}

/** How long requests that were ended at the deadline can take to send their errors. */
const closingTimeout = "1500 millis"

const ignore = (): void => {}

export const make: Effect.Effect<ActiveRequests> = Effect.map(Deferred.make<void>(), (idle) => {
  /** What ends each request in flight. */
  const expirations = new Set<{ readonly expire: () => void }>()
  let shuttingDown = false

  const finishWhenIdle = (): void => {
    if (shuttingDown && expirations.size === 0) Deferred.unsafeDone(idle, Effect.void)
  }

  const hold: ActiveRequests["hold"] = (expire) => {
    const request = { expire }
    expirations.add(request)
    return () => {
      expirations.delete(request)
      finishWhenIdle()
    }
  }

  const enter: ActiveRequests["enter"] = (expire) => (shuttingDown ? undefined : hold(expire))

  /** Interruptible, because finalizers run uninterruptible, where a timeout has no effect. */
  const wait = (timeout: Duration.DurationInput) =>
    Effect.timeoutOption(Effect.interruptible(Deferred.await(idle)), timeout)

  return {
    enter,
    hold,
    admit: Effect.acquireRelease(
      Effect.suspend(() => {
        const leave = enter(ignore)
        return leave === undefined ? Effect.fail(HttpErrors.shuttingDown) : Effect.succeed(leave)
      }),
      Effect.sync
    ).pipe(Effect.asVoid),
    status: Effect.sync(() => ({ inFlight: expirations.size, shuttingDown })),
    drain: (grace) =>
      Effect.suspend(() => {
        shuttingDown = true
        finishWhenIdle()
        return wait(grace)
      }).pipe(
        Effect.flatMap((idle) => {
          if (idle._tag === "Some") return Effect.void
          // A request that ends at once holds what remains of it, which can still be sent.
          const requests = Array.from(expirations)
          requests.forEach(({ expire }) => expire())
          return Effect.asVoid(wait(closingTimeout))
        })
      )
  }
})

/** The members of a limiter that hold permits while an effect runs. */
import { Effect, Option } from "effect"
import type { LimitError, Reservation, Service, WaitOptions } from "./model.js"

/** Takes `n` permits and counts a call in flight, which `settle(0)` ends. */
export interface PermitReservations {
  /** Interruptible only while it waits. */
  readonly reservePermits: (n: number, options?: WaitOptions) => Effect.Effect<Reservation, LimitError>
  /** None if it would have to wait. */
  readonly tryReservePermits: (n: number) => Effect.Effect<Option.Option<Reservation>>
}

export const make = ({
  reservePermits,
  tryReservePermits
}: PermitReservations): Pick<Service, "withPermits" | "withPermitsIfAvailable"> => ({
  withPermits: (n, options) => (effect) =>
    Effect.acquireUseRelease(
      reservePermits(n, options),
      () => effect,
      (reservation) => reservation.settle(0)
    ),
  withPermitsIfAvailable: (n) => (effect) =>
    Effect.acquireUseRelease(
      tryReservePermits(n),
      Option.match({ onNone: () => Effect.succeedNone, onSome: () => Effect.asSome(effect) }),
      Option.match({ onNone: () => Effect.void, onSome: (reservation) => reservation.settle(0) })
    )
})

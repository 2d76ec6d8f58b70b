/** The leases of this process, and its messages that Redis has not received yet. */
import { Chunk, Effect, HashMap, Ref } from "effect"
import { retryAfterMillis } from "../../keyPool/key.js"
import type { Verdict } from "../../keyPool/model.js"
import type { RedisError } from "../model.js"
import type { SharedPool } from "./shared.js"
import type { Grant, Settlement, UnavailableKey } from "./scripts.js"
import { finite } from "./scripts.js"

export interface Leases {
  readonly add: (grant: Grant) => Effect.Effect<void>
  /** Gives a key back. Never fails: while Redis is away, the message is sent later or the lease expires. */
  readonly settle: (grant: Grant, verdict: Verdict) => Effect.Effect<void>
  /** Gives back a key that was granted to a call that has ended. */
  readonly withdraw: (grant: Grant) => Effect.Effect<void>
  /** Gives back keys that may have been granted in a reply that was lost. */
  readonly withdrawUnconfirmed: (leases: ReadonlyArray<string>) => Effect.Effect<void>
  /** Sends a message, or enqueues it when Redis is away. */
  readonly send: (message: Effect.Effect<unknown, RedisError>) => Effect.Effect<void>
  /** Sends pending messages, then renews the leases. Returns the keys that are unavailable in Redis. */
  readonly flushAndRenew: Effect.Effect<ReadonlyArray<UnavailableKey>, RedisError>
}

/** The greatest number of pending messages while Redis is away. Leases of dropped messages expire in Redis. */
const maxPending = 10_000

/** The greatest number of leases that one script renews, because Redis is blocked while a script runs. */
const renewBatchSize = 500

const memberOf = ({ key, lease, sequence }: Grant): string => `${lease}:${sequence}:${key}`

const settlementOf = (grant: Grant, verdict: Verdict): Settlement => {
  const retryAfter =
    verdict._tag === "RateLimited" || verdict._tag === "OutOfQuota" ? finite(retryAfterMillis(verdict)) : undefined
  return {
    ...grant,
    verdict: verdict._tag,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(verdict._tag === "Served" && verdict.latency !== undefined && verdict.latency >= 0
      ? { latency: finite(verdict.latency) }
      : {})
  }
}

export const make = (pool: SharedPool): Effect.Effect<Leases> =>
  Effect.gen(function* () {
    const grants = yield* Ref.make(HashMap.empty<string, Grant>())
    const pending = yield* Ref.make(Chunk.empty<Effect.Effect<unknown, RedisError>>())

    const enqueue = (messages: Chunk.Chunk<Effect.Effect<unknown, RedisError>>): Effect.Effect<void> =>
      Ref.update(pending, (earlier) => Chunk.takeRight(Chunk.appendAll(earlier, messages), maxPending))

    const send: Leases["send"] = (message) =>
      Effect.catchAll(Effect.asVoid(message), (error) =>
        error.reason === "script"
          ? Effect.logWarning(`A key pool dropped a message that Redis rejected: ${error.message}`)
          : enqueue(Chunk.of(message))
      )

    const settleLease = (settlement: Settlement): Effect.Effect<void> =>
      Effect.zipRight(Ref.update(grants, HashMap.remove(settlement.lease)), send(pool.settle([settlement])))

    /** Sends pending messages in order; those that cannot be sent stay ahead of newer ones. */
    const flush = Effect.uninterruptible(
      Effect.flatMap(Ref.getAndSet(pending, Chunk.empty()), (messages) => {
        const from = (index: number): Effect.Effect<void, RedisError> => {
          const message = Chunk.get(messages, index)
          return message._tag === "None"
            ? Effect.void
            : Effect.matchEffect(message.value, {
                onSuccess: () => from(index + 1),
                onFailure: (error) =>
                  error.reason === "script"
                    ? from(index + 1)
                    : Effect.zipRight(
                        Ref.update(pending, (newer) => Chunk.appendAll(Chunk.drop(messages, index), newer)),
                        Effect.fail(error)
                      )
              })
        }
        return from(0)
      })
    )

    const renew = Effect.flatMap(Ref.get(grants), (grants) => {
      const members = Chunk.fromIterable(HashMap.values(grants)).pipe(
        Chunk.map(memberOf),
        Chunk.chunksOf(renewBatchSize)
      )
      const chunks = Chunk.isEmpty(members) ? [[]] : Array.from(members, (chunk) => Chunk.toReadonlyArray(chunk))
      return Effect.map(Effect.forEach(chunks, pool.renew), (unavailableKeys) => unavailableKeys.at(-1) ?? [])
    })

    return {
      add: (grant) => Ref.update(grants, HashMap.set(grant.lease, grant)),
      settle: (grant, verdict) => settleLease(settlementOf(grant, verdict)),
      withdraw: (grant) => settleLease({ ...grant, verdict: "Withdrawn" }),
      withdrawUnconfirmed: (leases) =>
        enqueue(Chunk.of(pool.settle(leases.map((lease) => ({ lease, verdict: "Withdrawn" }))))),
      send,
      flushAndRenew: Effect.zipRight(flush, renew)
    }
  })

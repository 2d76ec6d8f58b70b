/** What this process holds of the pool, and what it still has to tell Redis. */
import { Chunk, Effect, HashMap, Ref } from "effect"
import { retryAfterMillis } from "../../keyPool/key.js"
import type { Verdict } from "../../keyPool/model.js"
import type { RedisError } from "../model.js"
import type { Shared } from "./shared.js"
import type { Ending, Grant, Resting } from "./scripts.js"
import { finite } from "./scripts.js"

export interface Leases {
  readonly hold: (grant: Grant) => Effect.Effect<void>
  /** Gives a key back. It never fails: where Redis is away, it is told later, or gives the lease up by itself. */
  readonly end: (grant: Grant, verdict: Verdict) => Effect.Effect<void>
  /** Gives back what was granted to a call that is gone. */
  readonly withdraw: (grant: Grant) => Effect.Effect<void>
  /** Gives back what may have been granted: the reply is lost. */
  readonly disown: (leases: ReadonlyArray<string>) => Effect.Effect<void>
  /** Tells something, and where that cannot be done, tells it later. */
  readonly tell: (message: Effect.Effect<unknown, RedisError>) => Effect.Effect<void>
  /** Tells what is still to be told, and that the calls which have keys go on. */
  readonly report: Effect.Effect<ReadonlyArray<Resting>, RedisError>
}

/** The most that is remembered while Redis is away. What is older than that expires there by itself. */
const memory = 10_000

/** The most leases that are renewed in one step, which holds Redis up for others. */
const renewals = 500

const memberOf = ({ key, lease, sequence }: Grant): string => `${lease}:${sequence}:${key}`

const endingOf = (grant: Grant, verdict: Verdict): Ending => {
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

export const make = (shared: Shared): Effect.Effect<Leases> =>
  Effect.gen(function* () {
    const held = yield* Ref.make(HashMap.empty<string, Grant>())
    const untold = yield* Ref.make(Chunk.empty<Effect.Effect<unknown, RedisError>>())

    const later = (messages: Chunk.Chunk<Effect.Effect<unknown, RedisError>>): Effect.Effect<void> =>
      Ref.update(untold, (before) => Chunk.takeRight(Chunk.appendAll(before, messages), memory))

    const tell: Leases["tell"] = (message) =>
      Effect.catchAll(Effect.asVoid(message), (error) =>
        error.reason === "script"
          ? Effect.logWarning(`A key pool could not be told something: ${error.message}`)
          : later(Chunk.of(message))
      )

    const give = (ending: Ending): Effect.Effect<void> =>
      Effect.zipRight(Ref.update(held, HashMap.remove(ending.lease)), tell(shared.settle([ending])))

    /** In their order; what cannot be told now is told before anything newer. */
    const tellAll = Effect.uninterruptible(
      Effect.flatMap(Ref.getAndSet(untold, Chunk.empty()), (messages) => {
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
                        Ref.update(untold, (newer) => Chunk.appendAll(Chunk.drop(messages, index), newer)),
                        Effect.fail(error)
                      )
              })
        }
        return from(0)
      })
    )

    const renewed = Effect.flatMap(Ref.get(held), (held) => {
      const members = Chunk.fromIterable(HashMap.values(held)).pipe(Chunk.map(memberOf), Chunk.chunksOf(renewals))
      const chunks = Chunk.isEmpty(members) ? [[]] : Array.from(members, (chunk) => Chunk.toReadonlyArray(chunk))
      return Effect.map(Effect.forEach(chunks, shared.renew), (resting) => resting.at(-1) ?? [])
    })

    return {
      hold: (grant) => Ref.update(held, HashMap.set(grant.lease, grant)),
      end: (grant, verdict) => give(endingOf(grant, verdict)),
      withdraw: (grant) => give({ ...grant, verdict: "Withdrawn" }),
      disown: (leases) => later(Chunk.of(shared.settle(leases.map((lease) => ({ lease, verdict: "Withdrawn" }))))),
      tell,
      report: Effect.zipRight(tellAll, renewed)
    }
  })

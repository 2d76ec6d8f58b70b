/**
 * One fiber exchanges messages with Redis for all balances of a process: at once when there is a change, else at each poll. Calls
 * wait for Redis only when they request a probe.
 */
import type { Scope } from "effect"
import { Chunk, Duration, Effect, HashMap, Option, Ref, Schema } from "effect"
import { inBackground } from "../../internal/background.js"
import type { HealthStore, Notice, Permission } from "../../routing/balance/health.js"
import * as MonotonicClock from "../../internal/clock.js"
import type * as Redis from "../model.js"
import type { Message, ProbeLease, Scripts } from "./scripts.js"
import { StoredNotice } from "./scripts.js"

interface NoticeCache {
  readonly revision: string
  readonly notices: ReadonlyMap<string, Notice>
  /** The notices as stored in Redis. */
  readonly texts: Readonly<Record<string, string>>
}

/** A message that has not been sent, with times of this process. */
interface PendingMessage {
  readonly id: string
  readonly author: string
  readonly isOver: boolean
  readonly notice: Notice | undefined
  readonly at: number
}

interface Dependencies {
  readonly scripts: Scripts
  /** In milliseconds. */
  readonly pollInterval: number
}

/** The greatest number of pending messages while Redis is away. */
const maxPending = 1000

/** Stands for an infinite time, which JSON cannot represent: 30,000 years. */
const forever = 1e15

const decode = Schema.decodeUnknownOption(StoredNotice)

const messageOf = ({ at, author, id, isOver, notice }: PendingMessage, now: number): Message => ({
  id,
  author,
  isOver,
  ...(notice === undefined
    ? {}
    : {
        notice: {
          state: notice.state,
          rest: notice.state === "Closed" ? 0 : Math.min(notice.until - now, forever),
          openings: notice.openings,
          age: now - at
        }
      })
})

/**
 * Adds the notices of a reply. An unchanged notice stays the same value, and one that Redis has lost stays. `offset` is the clock
 * of this process minus Redis's clock.
 */
const updatedCache = (
  previous: NoticeCache,
  revision: string,
  texts: Readonly<Record<string, string>>,
  offset: number
): NoticeCache => ({
  revision,
  texts,
  notices: new Map([
    ...previous.notices,
    ...Object.entries(texts).flatMap(([id, text]): ReadonlyArray<readonly [string, Notice]> => {
      if (previous.texts[id] === text) return []
      // Ignores a notice that another version of this library stored in a different format.
      return Option.match(decode(text), {
        onNone: () => [],
        onSome: ({ till, ...notice }) => [[id, { ...notice, until: till + offset }]]
      })
    })
  ])
})

const granted: Permission = { _tag: "Granted" }

export const make = ({ pollInterval, scripts }: Dependencies): Effect.Effect<HealthStore, never, Scope.Scope> =>
  Effect.gen(function* () {
    const cache = yield* Ref.make<NoticeCache>({ revision: "", notices: new Map(), texts: {} })
    const pending = yield* Ref.make(Chunk.empty<PendingMessage>())
    const leases = yield* Ref.make(HashMap.empty<string, ProbeLease>())
    const wakeup = yield* Effect.makeLatch(false)
    const isWarned = yield* Ref.make(false)

    /** The connection logs that Redis is away; a failing script fails each time, so it is logged once. */
    const warn = (error: Redis.RedisError): Effect.Effect<void> =>
      error.reason === "script"
        ? Effect.flatMap(Ref.getAndSet(isWarned, true), (wasWarned) =>
            wasWarned
              ? Effect.void
              : Effect.logError(`Balances cannot share the health of deployments: ${error.message}`)
          )
        : Effect.void

    const exchange = Effect.gen(function* () {
      const clock = yield* Effect.clock
      const unsent = yield* Ref.getAndSet(pending, Chunk.empty())
      const { revision } = yield* Ref.get(cache)
      const probes = HashMap.toValues(yield* Ref.get(leases))
      const startedAt = MonotonicClock.now(clock)
      const messages = Chunk.toReadonlyArray(unsent).map((message) => messageOf(message, startedAt))
      const reply = yield* Effect.tapError(scripts.exchange(revision, messages, probes), (error) =>
        // Messages are idempotent: a repeated one changes nothing.
        error.reason === "script"
          ? Effect.void
          : Ref.update(pending, (later) => Chunk.takeRight(Chunk.appendAll(unsent, later), maxPending))
      )
      const { notices: texts } = reply
      if (texts !== undefined) {
        const offset = MonotonicClock.now(clock) - reply.now
        yield* Ref.update(cache, (previous) => updatedCache(previous, reply.revision, texts, offset))
      }
    }).pipe(Effect.catchAll(warn), Effect.uninterruptible)

    const send = (id: string, author: string, notice: Notice | undefined, isOver: boolean): Effect.Effect<void> =>
      Effect.clockWith((clock) =>
        Effect.zipRight(
          Ref.update(pending, (previous) =>
            Chunk.takeRight(
              Chunk.append(previous, { id, author, isOver, notice, at: MonotonicClock.now(clock) }),
              maxPending
            )
          ),
          wakeup.open
        )
      )

    const leaseKey = (id: string, author: string): string => `${author}/${id}`

    yield* exchange
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(
        Effect.flatMap(Ref.getAndSet(leases, HashMap.empty()), (all) =>
          Effect.forEach(HashMap.values(all), ({ author, id }) => send(id, author, undefined, true), { discard: true })
        ),
        exchange
      )
    )
    yield* inBackground(
      Effect.forever(
        Effect.zipRight(
          Effect.timeoutOption(wakeup.await, Duration.millis(pollInterval)),
          Effect.zipRight(wakeup.close, exchange)
        )
      )
    )

    return {
      notices: Effect.map(Ref.get(cache), ({ notices }) => notices),
      tell: (id, notice) => send(id, notice.author, notice, false),
      probe: (id, author) =>
        Effect.matchEffect(scripts.probe({ id, author }), {
          onSuccess: ({ held, rest }): Effect.Effect<Permission> => {
            const wait = rest ?? (held === undefined ? undefined : Math.min(held, pollInterval))
            return wait === undefined
              ? Effect.as(Ref.update(leases, HashMap.set(leaseKey(id, author), { id, author })), granted)
              : // Fetches the notices that this process is missing.
                Effect.as(wakeup.open, { _tag: "Refused", again: Duration.millis(Math.ceil(wait)) })
          },
          // Without Redis each process probes for itself. Redis may have granted the probe nevertheless.
          onFailure: (error) =>
            Effect.zipRight(
              warn(error),
              Effect.as(Ref.update(leases, HashMap.set(leaseKey(id, author), { id, author })), granted)
            )
        }),
      proved: (id, author, notice) =>
        Effect.zipRight(Ref.update(leases, HashMap.remove(leaseKey(id, author))), send(id, author, notice, true))
    }
  })

/**
 * One fiber speaks with Redis for all balances of a process: at once where there is something to tell, else from time to time, to
 * hear what others have told. Calls wait for it only where they ask for a probe.
 */
import type { Scope } from "effect"
import { Chunk, Duration, Effect, HashMap, Option, Ref, Schema } from "effect"
import { inBackground } from "../../internal/background.js"
import type { Notice, Permission, Service } from "../../routing/balance/health.js"
import * as MonotonicClock from "../../internal/clock.js"
import type * as Redis from "../model.js"
import type { Held, Message, Steps } from "./scripts.js"
import { Kept } from "./scripts.js"

interface Heard {
  readonly revision: string
  readonly notices: ReadonlyMap<string, Notice>
  /** The same as Redis has them. */
  readonly texts: Readonly<Record<string, string>>
}

/** What is still to be told, with times of this process. */
interface Untold {
  readonly id: string
  readonly author: string
  readonly isOver: boolean
  readonly notice: Notice | undefined
  readonly at: number
}

interface Terms {
  readonly steps: Steps
  /** In milliseconds. */
  readonly pollInterval: number
}

/** The most that is remembered while Redis is away. */
const memory = 1000

/** What JSON can hold; 30,000 years. */
const forever = 1e15

const decode = Schema.decodeUnknownOption(Kept)

const messageOf = ({ at, author, id, isOver, notice }: Untold, now: number): Message => ({
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
 * A notice that says what it said before stays the same value, and what Redis has lost is still so. `shift` is how far this process's
 * time is from Redis's.
 */
const heardAnew = (before: Heard, revision: string, texts: Readonly<Record<string, string>>, shift: number): Heard => ({
  revision,
  texts,
  notices: new Map([
    ...before.notices,
    ...Object.entries(texts).flatMap(([id, text]): ReadonlyArray<readonly [string, Notice]> => {
      if (before.texts[id] === text) return []
      // What another version of this library wrote in words of its own is not for this one.
      return Option.match(decode(text), {
        onNone: () => [],
        onSome: ({ till, ...notice }) => [[id, { ...notice, until: till + shift }]]
      })
    })
  ])
})

const granted: Permission = { _tag: "Granted" }

export const make = ({ pollInterval, steps }: Terms): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const heard = yield* Ref.make<Heard>({ revision: "", notices: new Map(), texts: {} })
    const untold = yield* Ref.make(Chunk.empty<Untold>())
    const held = yield* Ref.make(HashMap.empty<string, Held>())
    const bell = yield* Effect.makeLatch(false)
    const isWarned = yield* Ref.make(false)

    /** That Redis is away is told elsewhere; what a script does wrong it does wrong each time. */
    const warned = (error: Redis.RedisError): Effect.Effect<void> =>
      error.reason === "script"
        ? Effect.flatMap(Ref.getAndSet(isWarned, true), (isTold) =>
            isTold ? Effect.void : Effect.logError(`Balances cannot tell each other of deployments: ${error.message}`)
          )
        : Effect.void

    const exchange = Effect.gen(function* () {
      const clock = yield* Effect.clock
      const told = yield* Ref.getAndSet(untold, Chunk.empty())
      const { revision } = yield* Ref.get(heard)
      const probes = HashMap.toValues(yield* Ref.get(held))
      const startedAt = MonotonicClock.now(clock)
      const messages = Chunk.toReadonlyArray(told).map((one) => messageOf(one, startedAt))
      const reply = yield* Effect.tapError(steps.exchange(revision, messages, probes), (error) =>
        // Saying it twice does no harm.
        error.reason === "script"
          ? Effect.void
          : Ref.update(untold, (later) => Chunk.takeRight(Chunk.appendAll(told, later), memory))
      )
      const { notices: texts } = reply
      if (texts !== undefined) {
        const shift = MonotonicClock.now(clock) - reply.now
        yield* Ref.update(heard, (before) => heardAnew(before, reply.revision, texts, shift))
      }
    }).pipe(Effect.catchAll(warned), Effect.uninterruptible)

    const send = (id: string, author: string, notice: Notice | undefined, isOver: boolean): Effect.Effect<void> =>
      Effect.clockWith((clock) =>
        Effect.zipRight(
          Ref.update(untold, (before) =>
            Chunk.takeRight(Chunk.append(before, { id, author, isOver, notice, at: MonotonicClock.now(clock) }), memory)
          ),
          bell.open
        )
      )

    const nameOf = (id: string, author: string): string => `${author}/${id}`

    yield* exchange
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(
        Effect.flatMap(Ref.getAndSet(held, HashMap.empty()), (all) =>
          Effect.forEach(HashMap.values(all), ({ author, id }) => send(id, author, undefined, true), { discard: true })
        ),
        exchange
      )
    )
    yield* inBackground(
      Effect.forever(
        Effect.zipRight(
          Effect.timeoutOption(bell.await, Duration.millis(pollInterval)),
          Effect.zipRight(bell.close, exchange)
        )
      )
    )

    return {
      notices: Effect.map(Ref.get(heard), ({ notices }) => notices),
      tell: (id, notice) => send(id, notice.author, notice, false),
      probe: (id, author) =>
        Effect.matchEffect(steps.probe({ id, author }), {
          onSuccess: ({ held: others, rest }): Effect.Effect<Permission> => {
            const wait = rest ?? (others === undefined ? undefined : Math.min(others, pollInterval))
            return wait === undefined
              ? Effect.as(Ref.update(held, HashMap.set(nameOf(id, author), { id, author })), granted)
              : // Whatever others know that this process does not.
                Effect.as(bell.open, { _tag: "Refused", again: Duration.millis(Math.ceil(wait)) })
          },
          // Without Redis each process finds out for itself. It may have been granted nevertheless.
          onFailure: (error) =>
            Effect.zipRight(
              warned(error),
              Effect.as(Ref.update(held, HashMap.set(nameOf(id, author), { id, author })), granted)
            )
        }),
      proved: (id, author, notice) =>
        Effect.zipRight(Ref.update(held, HashMap.remove(nameOf(id, author))), send(id, author, notice, true))
    }
  })

/** The books that processes share, and what is done while they are out of reach. */
import type { Scope } from "effect"
import { Clock, Duration, Effect, HashMap, HashSet, Option, Ref, Stream } from "effect"
import { inBackground } from "../../internal/background.js"
import type { Change, Settlement, Store } from "../../accounting/budget/model.js"
import * as Accounts from "../../accounting/budget/accounts.js"
import type { Claim, Standing } from "../../accounting/budget/model.js"
import { SharedStateError } from "../../vocabulary/LLMError.js"
import * as Outbox from "../shared/outbox.js"
import type * as Redis from "../model.js"
import * as Steps from "./scripts.js"

export interface Terms {
  readonly redis: Redis.Service
  readonly name: string
  /** In milliseconds. */
  readonly leaseTime: number
  /** Which share of what is left this process may spend while Redis is away, or `"even"`, or none. */
  readonly share: number | "even" | undefined
}

interface Known {
  /** Redis's clock less that of this process. */
  readonly offset: number
  /** Of how many processes it is one; absent where that was never heard. */
  readonly processes: number | undefined
  /** Every account as it was last heard of. */
  readonly standings: HashMap.HashMap<string, Standing>
}

/** Where it is not known of how many processes this is one. */
const usualShare = 0.25

/** The most accounts that are remembered for when Redis is away. */
const memory = 10_000

const outOfReach = (name: string, error: Redis.RedisError): SharedStateError =>
  new SharedStateError({
    provider: "",
    model: "",
    attempts: [],
    reason: error.reason,
    message: `The budget "${name}" is shared through Redis, which is out of reach, and by its policy nothing is spent without it. ${error.message}`
  })

export const make = ({ leaseTime, name, redis, share }: Terms): Effect.Effect<Store, never, Scope.Scope> =>
  Effect.gen(function* () {
    const process = crypto.randomUUID()
    const steps = Steps.make({ redis, name, process, leaseTime })
    const outbox = yield* Outbox.make("A budget")
    const known = yield* Ref.make<Known>({ offset: 0, processes: undefined, standings: HashMap.empty() })
    const held = yield* Ref.make(HashMap.empty<string, number>())
    const books = yield* Ref.make(Accounts.empty)
    const told = yield* Ref.make(HashSet.empty<string>())
    const settlements = yield* Ref.make(0)
    const bell = yield* Effect.makeLatch(false)
    /** Whether Redis may know wrongly what this process has set aside. */
    const inDoubt = yield* Ref.make(false)

    // -----------------------------------------------------------------------------------
    // what is known of Redis
    // -----------------------------------------------------------------------------------

    const learn = (now: number, standings: ReadonlyArray<Standing>): Effect.Effect<void> =>
      Effect.flatMap(Clock.currentTimeMillis, (here) =>
        Ref.update(known, (before) => {
          const kept = HashMap.size(before.standings) > memory ? HashMap.empty<string, Standing>() : before.standings
          return {
            ...before,
            offset: now - here,
            standings: standings.reduce((all, standing) => HashMap.set(all, standing.account, standing), kept)
          }
        })
      )

    const itsTime = Effect.zipWith(Clock.currentTimeMillis, Ref.get(known), (here, { offset }) => here + offset)

    /** An account as it was last heard of, as it must be now. */
    const remembered = (account: string, limit: number): Effect.Effect<Standing> =>
      Effect.zipWith(itsTime, Ref.get(known), (now, { standings }) => {
        const fresh: Standing = { account, limit, spent: 0, reserved: 0, unpriced: 0, resetsAt: Infinity }
        const seen = Option.getOrElse(HashMap.get(standings, account), () => fresh)
        return seen.resetsAt <= now ? { ...fresh, reserved: seen.reserved } : { ...seen, limit }
      })

    const hold = (claims: ReadonlyArray<Steps.Held>, sign: 1 | 0 | -1): Effect.Effect<void> =>
      Ref.update(held, (before) =>
        claims.reduce((all, { account, amount }) => {
          const after = Option.getOrElse(HashMap.get(all, account), () => 0) + sign * amount
          // What is zero is told once, so that Redis forgets it too.
          return HashMap.set(all, account, Math.max(0, after))
        }, before)
      )

    // -----------------------------------------------------------------------------------
    // without Redis
    // -----------------------------------------------------------------------------------

    /** Each account has the share of what was left of it. */
    const own = (claim: Claim): Effect.Effect<Claim> =>
      Effect.zipWith(remembered(claim.account, claim.limit), Ref.get(known), (stood, { processes }) => {
        const part = share === "even" ? (processes === undefined ? usualShare : 1 / processes) : (share ?? 0)
        return { ...claim, limit: Math.max(0, claim.limit - stood.spent - stood.reserved) * part }
      })

    const reserveAlone = (claims: ReadonlyArray<Claim>) =>
      Effect.gen(function* () {
        const mine = yield* Effect.forEach(claims, own)
        const now = yield* Clock.currentTimeMillis
        const refusal = yield* Ref.modify(books, (books) => Accounts.reserve(books, mine, now))
        if (Option.isNone(refusal)) {
          yield* hold(claims, 1)
          return refusal
        }
        const claim = claims.find(({ account }) => account === refusal.value.account)
        const stood = yield* remembered(refusal.value.account, claim?.limit ?? refusal.value.limit)
        return Option.some({
          ...stood,
          spent: stood.spent + refusal.value.spent,
          reserved: stood.reserved + refusal.value.reserved
        })
      })

    // -----------------------------------------------------------------------------------
    // with Redis
    // -----------------------------------------------------------------------------------

    const reserve: Store["reserve"] = (claims) =>
      Effect.uninterruptible(
        Effect.matchEffect(steps.reserve(claims), {
          onFailure: (error) =>
            Effect.zipRight(
              // It may be done.
              Effect.zipRight(hold(claims, 0), Ref.set(inDoubt, true)),
              share === undefined ? Effect.fail(outOfReach(name, error)) : reserveAlone(claims)
            ),
          onSuccess: ({ now, refused }) => {
            if (refused === undefined) {
              return Effect.as(Effect.zipRight(hold(claims, 1), learn(now, [])), Option.none<Standing>())
            }
            const limit = claims.find(({ account }) => account === refused.account)?.limit ?? 0
            const standing = Steps.standingOf(refused, limit)
            return Effect.as(learn(now, [standing]), Option.some(standing))
          }
        })
      )

    /** Told until it is known to be done, which Redis does once. */
    const settled = (
      id: string,
      all: ReadonlyArray<Settlement>
    ): Effect.Effect<ReadonlyArray<Change>, Redis.RedisError> =>
      Effect.gen(function* () {
        const done = yield* Ref.get(told)
        const ask = Effect.flatMap(itsTime, (now) => steps.settle(id, Array.from(done), all, now))
        const first = yield* ask
        if (first.changes === undefined) yield* learn(first.now, [])
        const { changes, now } = first.changes === undefined ? yield* ask : first
        yield* Ref.update(told, (before) => HashSet.add(HashSet.difference(before, done), id))
        const after = all.flatMap(({ claim }, index) => {
          const change = changes?.[index]
          return change === undefined
            ? []
            : [
                {
                  before: Steps.standingOf(change.before, claim.limit),
                  after: Steps.standingOf(change.after, claim.limit)
                }
              ]
        })
        yield* learn(
          now,
          after.map(({ after }) => after)
        )
        return after
      })

    /** What is settled while Redis is away, as far as this process can tell. */
    const settledAlone = (all: ReadonlyArray<Settlement>): Effect.Effect<ReadonlyArray<Change>> =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const changes = yield* Ref.modify(books, (books) => {
          // Of what was set aside in Redis nothing is set aside here.
          const own = all.map((settlement) => {
            const { reserved } = Accounts.accountStatus(books, settlement.claim, now)
            return {
              ...settlement,
              claim: { ...settlement.claim, amount: Math.min(settlement.claim.amount, reserved) }
            }
          })
          return Accounts.settle(books, own, now)
        })
        return yield* Effect.forEach(changes, ({ after, before }) =>
          Effect.map(remembered(after.account, after.limit), (stood): Change => ({
            before: { ...before, spent: stood.spent + before.spent },
            after: { ...after, spent: stood.spent + after.spent }
          }))
        )
      })

    const settle: Store["settle"] = (all) =>
      Effect.uninterruptible(
        Effect.gen(function* () {
          const id = String(yield* Ref.getAndUpdate(settlements, (count) => count + 1))
          yield* hold(
            all.map(({ claim }) => claim),
            -1
          )
          return yield* Effect.catchAll(settled(id, all), (error) =>
            error.reason === "script"
              ? Effect.as(Effect.logWarning(`The budget "${name}" could not be settled. ${error.message}`), [])
              : Effect.zipRight(outbox.later(settled(id, all)), settledAlone(all))
          )
        })
      )

    // -----------------------------------------------------------------------------------
    // as long as the process goes on
    // -----------------------------------------------------------------------------------

    const beat = Effect.uninterruptible(
      Effect.gen(function* () {
        yield* bell.close
        // First what is still to be told, for what is held is without it.
        yield* outbox.flush
        const doubt = yield* Ref.getAndSet(inDoubt, false)
        const now = yield* Ref.get(held)
        const amounts = Array.from(now, ([account, amount]) => ({ account, amount }))
        const { processes } = yield* Effect.tapError(steps.renew(amounts, doubt), () =>
          doubt ? Ref.set(inDoubt, true) : Effect.void
        )
        yield* Ref.update(
          held,
          HashMap.filter((amount, account) => amount > 0 || !HashMap.has(now, account))
        )
        yield* Ref.update(known, (before) => ({ ...before, processes }))
        // What was spent without Redis is in its books.
        yield* Ref.set(books, Accounts.empty)
      })
    )
    yield* Effect.ignore(beat)
    yield* Effect.addFinalizer(() => Effect.ignore(Effect.zipRight(outbox.flush, steps.leave)))
    yield* inBackground(
      Effect.forever(
        Effect.zipRight(Effect.timeoutOption(bell.await, Duration.millis(leaseTime / 3)), Effect.ignore(beat))
      )
    )
    yield* inBackground(
      Stream.runForEach(redis.changes, (availability) => (availability === "up" ? bell.open : Effect.void))
    )

    return {
      reserve,
      settle,
      standing: ({ account, limit }) =>
        Effect.matchEffect(steps.standings([account]), {
          onFailure: () => remembered(account, limit),
          onSuccess: ({ now, standings }) => {
            const all = standings.map((stands) => Steps.standingOf(stands, limit))
            return Effect.zipRight(learn(now, all), remembered(account, limit))
          }
        }),
      accounts: Effect.catchAll(steps.accounts, () =>
        Effect.map(Ref.get(known), ({ standings }) => Array.from(HashMap.keys(standings)))
      )
    }
  })

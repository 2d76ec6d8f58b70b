/** The shared accounts as a service, and local accounts while Redis is away. */
import type { Scope } from "effect"
import { Clock, Duration, Effect, HashMap, HashSet, Option, Ref, Stream } from "effect"
import { inBackground } from "../../internal/background.js"
import type { AccountStatus, Change, Claim, Settlement } from "../../accounting/budget/accounts.js"
import type { Store } from "../../accounting/budget/store.js"
import * as Accounts from "../../accounting/budget/accounts.js"
import { SharedStateError } from "../../vocabulary/LLMError.js"
import * as Outbox from "../shared/outbox.js"
import type * as Redis from "../model.js"
import * as Scripts from "./scripts.js"

export interface Dependencies {
  readonly redis: Redis.Service
  readonly name: string
  /** In milliseconds. */
  readonly leaseTime: number
  /** The share of the remaining budget while Redis is away; `"even"` divides by the number of processes, undefined fails. */
  readonly share: number | "even" | undefined
}

interface KnownState {
  /** Redis's clock minus the clock of this process. */
  readonly offset: number
  /** The number of processes; undefined before the first reply. */
  readonly processes: number | undefined
  /** The last known state of each account. */
  readonly statuses: HashMap.HashMap<string, AccountStatus>
}

/** The share while the number of processes is unknown. */
const defaultShare = 0.25

/** The greatest number of accounts that are cached for an outage of Redis. */
const maxAccounts = 10_000

const unavailable = (name: string, error: Redis.RedisError): SharedStateError =>
  new SharedStateError({
    provider: "",
    model: "",
    attempts: [],
    reason: error.reason,
    message: `The budget "${name}" is shared through Redis, which is unavailable (${error.detail}). Restore Redis, or set whenAway to a share so that spending continues without it.`
  })

export const make = ({ leaseTime, name, redis, share }: Dependencies): Effect.Effect<Store, never, Scope.Scope> =>
  Effect.gen(function* () {
    const process = crypto.randomUUID()
    const scripts = Scripts.make({ redis, name, process, leaseTime })
    const outbox = yield* Outbox.make("A budget")
    const state = yield* Ref.make<KnownState>({ offset: 0, processes: undefined, statuses: HashMap.empty() })
    const reserved = yield* Ref.make(HashMap.empty<string, number>())
    const localAccounts = yield* Ref.make(Accounts.empty)
    const acknowledged = yield* Ref.make(HashSet.empty<string>())
    const settlements = yield* Ref.make(0)
    const wakeup = yield* Effect.makeLatch(false)
    /** Whether the reservations of this process in Redis can be wrong. */
    const inDoubt = yield* Ref.make(false)

    // -----------------------------------------------------------------------------------
    // the last known state of Redis
    // -----------------------------------------------------------------------------------

    const update = (now: number, statuses: ReadonlyArray<AccountStatus>): Effect.Effect<void> =>
      Effect.flatMap(Clock.currentTimeMillis, (localNow) =>
        Ref.update(state, (before) => {
          const cached =
            HashMap.size(before.statuses) > maxAccounts ? HashMap.empty<string, AccountStatus>() : before.statuses
          return {
            ...before,
            offset: now - localNow,
            statuses: statuses.reduce((all, status) => HashMap.set(all, status.account, status), cached)
          }
        })
      )

    const redisNow = Effect.zipWith(
      Clock.currentTimeMillis,
      Ref.get(state),
      (localNow, { offset }) => localNow + offset
    )

    /** The last known state of an account, reset when its period has expired. */
    const lastKnown = (account: string, limit: number): Effect.Effect<AccountStatus> =>
      Effect.zipWith(redisNow, Ref.get(state), (now, { statuses }) => {
        const untouched: AccountStatus = { account, limit, spent: 0, reserved: 0, unpriced: 0, resetsAt: Infinity }
        const cached = Option.getOrElse(HashMap.get(statuses, account), () => untouched)
        return cached.resetsAt <= now ? { ...untouched, reserved: cached.reserved } : { ...cached, limit }
      })

    const adjustReserved = (claims: ReadonlyArray<Scripts.ReservedAmount>, sign: 1 | 0 | -1): Effect.Effect<void> =>
      Ref.update(reserved, (before) =>
        claims.reduce((all, { account, amount }) => {
          const after = Option.getOrElse(HashMap.get(all, account), () => 0) + sign * amount
          // A zero is sent once, so that Redis removes the reservation.
          return HashMap.set(all, account, Math.max(0, after))
        }, before)
      )

    // -----------------------------------------------------------------------------------
    // without Redis
    // -----------------------------------------------------------------------------------

    /** A claim whose limit is the share of what was left of its account. */
    const localClaim = (claim: Claim): Effect.Effect<Claim> =>
      Effect.zipWith(lastKnown(claim.account, claim.limit), Ref.get(state), (cached, { processes }) => {
        const part = share === "even" ? (processes === undefined ? defaultShare : 1 / processes) : (share ?? 0)
        return { ...claim, limit: Math.max(0, claim.limit - cached.spent - cached.reserved) * part }
      })

    const reserveLocally = (claims: ReadonlyArray<Claim>) =>
      Effect.gen(function* () {
        const localClaims = yield* Effect.forEach(claims, localClaim)
        const now = yield* Clock.currentTimeMillis
        const refusal = yield* Ref.modify(localAccounts, (accounts) => Accounts.reserve(accounts, localClaims, now))
        if (Option.isNone(refusal)) {
          yield* adjustReserved(claims, 1)
          return refusal
        }
        const claim = claims.find(({ account }) => account === refusal.value.account)
        const cached = yield* lastKnown(refusal.value.account, claim?.limit ?? refusal.value.limit)
        return Option.some({
          ...cached,
          spent: cached.spent + refusal.value.spent,
          reserved: cached.reserved + refusal.value.reserved
        })
      })

    // -----------------------------------------------------------------------------------
    // with Redis
    // -----------------------------------------------------------------------------------

    const reserve: Store["reserve"] = (claims) =>
      Effect.uninterruptible(
        Effect.matchEffect(scripts.reserve(claims), {
          onFailure: (error) =>
            Effect.zipRight(
              // Redis may have reserved the claims.
              Effect.zipRight(adjustReserved(claims, 0), Ref.set(inDoubt, true)),
              share === undefined ? Effect.fail(unavailable(name, error)) : reserveLocally(claims)
            ),
          onSuccess: ({ now, refused }) => {
            if (refused === undefined) {
              return Effect.as(
                Effect.zipRight(adjustReserved(claims, 1), update(now, [])),
                Option.none<AccountStatus>()
              )
            }
            const limit = claims.find(({ account }) => account === refused.account)?.limit ?? 0
            const status = Scripts.accountStatusOf(refused, limit)
            return Effect.as(update(now, [status]), Option.some(status))
          }
        })
      )

    /** Settles in Redis, which applies a settlement once even if it is sent again. */
    const settleShared = (
      id: string,
      all: ReadonlyArray<Settlement>
    ): Effect.Effect<ReadonlyArray<Change>, Redis.RedisError> =>
      Effect.gen(function* () {
        const confirmed = yield* Ref.get(acknowledged)
        const send = Effect.flatMap(redisNow, (now) => scripts.settle(id, Array.from(confirmed), all, now))
        const first = yield* send
        if (first.changes === undefined) yield* update(first.now, [])
        const { changes, now } = first.changes === undefined ? yield* send : first
        yield* Ref.update(acknowledged, (before) => HashSet.add(HashSet.difference(before, confirmed), id))
        const after = all.flatMap(({ claim }, index) => {
          const change = changes?.[index]
          return change === undefined
            ? []
            : [
                {
                  before: Scripts.accountStatusOf(change.before, claim.limit),
                  after: Scripts.accountStatusOf(change.after, claim.limit)
                }
              ]
        })
        yield* update(
          now,
          after.map(({ after }) => after)
        )
        return after
      })

    /** Settles in the local accounts while Redis is away. */
    const settleLocally = (all: ReadonlyArray<Settlement>): Effect.Effect<ReadonlyArray<Change>> =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const changes = yield* Ref.modify(localAccounts, (accounts) => {
          // Claims that were reserved in Redis are not reserved in the local accounts.
          const localSettlements = all.map((settlement) => {
            const { reserved } = Accounts.accountStatus(accounts, settlement.claim, now)
            return {
              ...settlement,
              claim: { ...settlement.claim, amount: Math.min(settlement.claim.amount, reserved) }
            }
          })
          return Accounts.settle(accounts, localSettlements, now)
        })
        return yield* Effect.forEach(changes, ({ after, before }) =>
          Effect.map(lastKnown(after.account, after.limit), (cached): Change => ({
            before: { ...before, spent: cached.spent + before.spent },
            after: { ...after, spent: cached.spent + after.spent }
          }))
        )
      })

    const settle: Store["settle"] = (all) =>
      Effect.uninterruptible(
        Effect.gen(function* () {
          const id = String(yield* Ref.getAndUpdate(settlements, (count) => count + 1))
          yield* adjustReserved(
            all.map(({ claim }) => claim),
            -1
          )
          return yield* Effect.catchAll(settleShared(id, all), (error) =>
            error.reason === "script"
              ? Effect.as(Effect.logWarning(`The budget "${name}" could not be settled. ${error.message}`), [])
              : Effect.zipRight(outbox.enqueue(settleShared(id, all)), settleLocally(all))
          )
        })
      )

    // -----------------------------------------------------------------------------------
    // heartbeat
    // -----------------------------------------------------------------------------------

    const heartbeat = Effect.uninterruptible(
      Effect.gen(function* () {
        yield* wakeup.close
        // Pending settlements first, because the reserved amounts exclude them.
        yield* outbox.flush
        const isInDoubt = yield* Ref.getAndSet(inDoubt, false)
        const before = yield* Ref.get(reserved)
        const amounts = Array.from(before, ([account, amount]) => ({ account, amount }))
        const { processes } = yield* Effect.tapError(scripts.renew(amounts, isInDoubt), () =>
          isInDoubt ? Ref.set(inDoubt, true) : Effect.void
        )
        yield* Ref.update(
          reserved,
          HashMap.filter((amount, account) => amount > 0 || !HashMap.has(before, account))
        )
        yield* Ref.update(state, (before) => ({ ...before, processes }))
        // Redis has received what was spent without it.
        yield* Ref.set(localAccounts, Accounts.empty)
      })
    )
    yield* Effect.ignore(heartbeat)
    yield* Effect.addFinalizer(() => Effect.ignore(Effect.zipRight(outbox.flush, scripts.leave)))
    yield* inBackground(
      Effect.forever(
        Effect.zipRight(Effect.timeoutOption(wakeup.await, Duration.millis(leaseTime / 3)), Effect.ignore(heartbeat))
      )
    )
    yield* inBackground(
      Stream.runForEach(redis.changes, (availability) => (availability === "up" ? wakeup.open : Effect.void))
    )

    return {
      reserve,
      settle,
      accountStatus: ({ account, limit }) =>
        Effect.matchEffect(scripts.statuses([account]), {
          onFailure: () => lastKnown(account, limit),
          onSuccess: ({ now, statuses }) => {
            const all = statuses.map((account) => Scripts.accountStatusOf(account, limit))
            return Effect.zipRight(update(now, all), lastKnown(account, limit))
          }
        }),
      accounts: Effect.catchAll(scripts.accounts, () =>
        Effect.map(Ref.get(state), ({ statuses }) => Array.from(HashMap.keys(statuses)))
      )
    }
  })

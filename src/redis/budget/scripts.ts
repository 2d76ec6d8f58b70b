/** The scripts of budget accounts with their arguments and replies. */
import { Duration, Schema } from "effect"
import type { Effect } from "effect"
import type { AccountStatus, Claim, Settlement } from "../../accounting/budget/accounts.js"
import type { Period } from "../../accounting/budget/period.js"
import { sliceAt, steps as stepsOfRolling } from "../../accounting/budget/period.js"
import type * as Redis from "../model.js"
import { script } from "../model.js"
import { keyOf } from "../shared/layout.js"
import * as Lua from "./lua.js"

const Amount = Schema.Tuple(Schema.Number, Schema.Number)

const AccountState = Schema.Struct({
  account: Schema.String,
  spent: Amount,
  reserved: Amount,
  unpriced: Schema.Number,
  resetsAt: Schema.optionalWith(Schema.Number, { exact: true })
})

type AccountState = typeof AccountState.Type

const Reserved = Schema.parseJson(
  Schema.Struct({ now: Schema.Number, refused: Schema.optionalWith(AccountState, { exact: true }) })
)

const Settled = Schema.parseJson(
  Schema.Struct({
    now: Schema.Number,
    /** Absent when Redis's time is in none of the given slices. */
    changes: Schema.optionalWith(Schema.Array(Schema.Struct({ before: AccountState, after: AccountState })), {
      exact: true
    })
  })
)

const Renewed = Schema.parseJson(Schema.Struct({ now: Schema.Number, processes: Schema.Number }))

const Statuses = Schema.parseJson(Schema.Struct({ now: Schema.Number, statuses: Schema.Array(AccountState) }))

const trillion = 1e12

const wholeAmount = ([trillions, rest]: typeof Amount.Type): number => trillions * trillion + rest

export const accountStatusOf = (account: AccountState, limit: number): AccountStatus => ({
  account: account.account,
  limit,
  spent: wholeAmount(account.spent),
  reserved: wholeAmount(account.reserved),
  unpriced: account.unpriced,
  resetsAt: account.resetsAt ?? Infinity
})

/** A period for Redis, which has no calendar: the slices around `now`, the estimated time of Redis. */
const periodOf = (period: Period, now: number): object => {
  if (period === "forever") return {}
  if (typeof period !== "string" && "rolling" in period) {
    const rolling = Duration.toMillis(period.rolling)
    return { rolling, step: Math.max(1, rolling / stepsOfRolling) }
  }
  const current = sliceAt(period, now)
  const around = [sliceAt(period, current.start - 1), current, sliceAt(period, current.end)]
  return { slices: around.map(({ end, start, until }) => [start, end, until]) }
}

const reserve = script({ name: "budget: reserve", lua: Lua.reserve, reply: Reserved })
const settle = script({ name: "budget: settle", lua: Lua.settle, reply: Settled })
const renew = script({ name: "budget: renew", lua: Lua.renew, reply: Renewed })
const leave = script({ name: "budget: leave", lua: Lua.leave, reply: Schema.Number })
const statuses = script({ name: "budget: statuses", lua: Lua.statuses, reply: Statuses })
const accounts = script({ name: "budget: accounts", lua: Lua.accounts, reply: Schema.Array(Schema.String) })

type Run<A> = Effect.Effect<A, Redis.RedisError>

export type ReservedAmount = Pick<Claim, "account" | "amount">

export interface Scripts {
  readonly reserve: (claims: ReadonlyArray<Claim>) => Run<typeof Reserved.Type>
  /** `acknowledged` are the settlements whose replies have arrived. `now` is the estimated time of Redis. */
  readonly settle: (
    id: string,
    acknowledged: ReadonlyArray<string>,
    settlements: ReadonlyArray<Settlement>,
    now: number
  ) => Run<typeof Settled.Type>
  /** `overrides` replaces the reservations in Redis, which can be wrong after a lost reply. */
  readonly renew: (reserved: ReadonlyArray<ReservedAmount>, overrides: boolean) => Run<typeof Renewed.Type>
  readonly leave: Run<number>
  readonly statuses: (accounts: ReadonlyArray<string>) => Run<typeof Statuses.Type>
  readonly accounts: Run<ReadonlyArray<string>>
}

interface Dependencies {
  readonly redis: Redis.Service
  readonly name: string
  readonly process: string
  readonly leaseTime: number
}

export const make = ({ leaseTime, name, process, redis }: Dependencies): Scripts => {
  const keys = ["accounts", "processes", `settled:${process}`].map(
    keyOf(redis, { kind: "budget", name, layoutVersion: Lua.layoutVersion })
  )
  const run = <A>(script: Redis.Script<A>, request: object = {}): Run<A> =>
    redis.run(script, keys, [JSON.stringify({ process, leaseTime, ...request })])
  return {
    reserve: (claims) =>
      run(reserve, { claims: claims.map(({ account, amount, limit }) => ({ account, amount, limit })) }),
    settle: (id, acknowledged, settlements, now) =>
      run(settle, {
        id,
        told: acknowledged,
        settlements: settlements.map(({ claim, spent, unpriced }) => ({
          account: claim.account,
          amount: claim.amount,
          period: periodOf(claim.period, now),
          spent,
          unpriced
        }))
      }),
    renew: (reserved, overrides) => run(renew, { held: reserved, overrides }),
    leave: run(leave),
    statuses: (accounts) => run(statuses, { accounts }),
    accounts: run(accounts)
  }
}

/** The steps of the books as scripts: what each is asked, and what it replies. */
import { Duration, Schema } from "effect"
import type { Effect } from "effect"
import type { Claim, Settlement, Standing } from "../../accounting/budget/model.js"
import type { Period } from "../../accounting/budget/period.js"
import { sliceAt, steps as stepsOfRolling } from "../../accounting/budget/period.js"
import type * as Redis from "../model.js"
import { script } from "../model.js"
import * as Lua from "./lua.js"

const Amount = Schema.Tuple(Schema.Number, Schema.Number)

const Stands = Schema.Struct({
  account: Schema.String,
  spent: Amount,
  reserved: Amount,
  unpriced: Schema.Number,
  resetsAt: Schema.optionalWith(Schema.Number, { exact: true })
})

type Stands = typeof Stands.Type

const Reserved = Schema.parseJson(
  Schema.Struct({ now: Schema.Number, refused: Schema.optionalWith(Stands, { exact: true }) })
)

const Settled = Schema.parseJson(
  Schema.Struct({
    now: Schema.Number,
    /** Absent where Redis's time is in none of the slices that it was told. */
    changes: Schema.optionalWith(Schema.Array(Schema.Struct({ before: Stands, after: Stands })), { exact: true })
  })
)

const Renewed = Schema.parseJson(Schema.Struct({ now: Schema.Number, processes: Schema.Number }))

const Standings = Schema.parseJson(Schema.Struct({ now: Schema.Number, standings: Schema.Array(Stands) }))

const trillion = 1e12

const whole = ([trillions, rest]: typeof Amount.Type): number => trillions * trillion + rest

export const standingOf = (stands: Stands, limit: number): Standing => ({
  account: stands.account,
  limit,
  spent: whole(stands.spent),
  reserved: whole(stands.reserved),
  unpriced: stands.unpriced,
  resetsAt: stands.resetsAt ?? Infinity
})

/**
 * A period as Redis may know it. It has no calendar: it is told the slices around `now`, which is its own time as far as is known.
 */
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
const standings = script({ name: "budget: standings", lua: Lua.standings, reply: Standings })
const accounts = script({ name: "budget: accounts", lua: Lua.accounts, reply: Schema.Array(Schema.String) })

type Run<A> = Effect.Effect<A, Redis.RedisError>

export type Held = Pick<Claim, "account" | "amount">

export interface Steps {
  readonly reserve: (claims: ReadonlyArray<Claim>) => Run<typeof Reserved.Type>
  /** `told` are those whose replies have arrived. `now` is Redis's time as far as is known. */
  readonly settle: (
    id: string,
    told: ReadonlyArray<string>,
    settlements: ReadonlyArray<Settlement>,
    now: number
  ) => Run<typeof Settled.Type>
  /** `overrides` where Redis may know wrongly what the process holds. */
  readonly renew: (held: ReadonlyArray<Held>, overrides: boolean) => Run<typeof Renewed.Type>
  readonly leave: Run<number>
  readonly standings: (accounts: ReadonlyArray<string>) => Run<typeof Standings.Type>
  readonly accounts: Run<ReadonlyArray<string>>
}

interface Terms {
  readonly redis: Redis.Service
  readonly name: string
  readonly process: string
  readonly leaseTime: number
}

export const make = ({ leaseTime, name, process, redis }: Terms): Steps => {
  const keys = ["accounts", "processes", `settled:${process}`].map((part) => redis.key("budget", name, part))
  const run = <A>(step: Redis.Script<A>, request: object = {}): Run<A> =>
    redis.run(step, keys, [JSON.stringify({ process, leaseTime, ...request })])
  return {
    reserve: (claims) =>
      run(reserve, { claims: claims.map(({ account, amount, limit }) => ({ account, amount, limit })) }),
    settle: (id, told, settlements, now) =>
      run(settle, {
        id,
        told,
        settlements: settlements.map(({ claim, spent, unpriced }) => ({
          account: claim.account,
          amount: claim.amount,
          period: periodOf(claim.period, now),
          spent,
          unpriced
        }))
      }),
    renew: (held, overrides) => run(renew, { held, overrides }),
    leave: run(leave),
    standings: (accounts) => run(standings, { accounts }),
    accounts: run(accounts)
  }
}

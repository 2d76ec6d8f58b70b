/** The scripts of the shared health with their arguments and replies. All durations are in milliseconds. */
import type { Effect } from "effect"
import { Schema } from "effect"
import type { Notice } from "../../routing/balance/health.js"
import type * as Redis from "../model.js"
import { script } from "../model.js"
import { keyOf } from "../shared/layout.js"
import * as Lua from "./lua.js"

/** A change of a deployment, and whether the call that probed it has ended. */
export interface Message {
  readonly id: string
  readonly author: string
  readonly isOver: boolean
  readonly notice?: {
    readonly state: Notice["state"]
    readonly rest: number
    readonly openings: number
    /** The time since the change. */
    readonly age: number
  }
}

export interface ProbeLease {
  readonly id: string
  readonly author: string
}

const Exchanged = Schema.parseJson(
  Schema.Struct({
    now: Schema.Number,
    revision: Schema.String,
    /** By deployment id, as JSON; absent when the revision is unchanged. */
    notices: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.String }), { exact: true })
  })
)

/** The remaining cooldown, or the remaining lease of the probe of another balance; neither when the probe is granted. */
const Probed = Schema.parseJson(
  Schema.Struct({
    rest: Schema.optionalWith(Schema.Number, { exact: true }),
    held: Schema.optionalWith(Schema.Number, { exact: true })
  })
)

/** A notice as stored in Redis. */
export const StoredNotice = Schema.parseJson(
  Schema.Struct({
    state: Schema.Literal("Open", "Cooling", "Closed"),
    /** In milliseconds since the epoch. */
    till: Schema.Number,
    openings: Schema.Number,
    author: Schema.String
  })
)

const exchange = script({ name: "balance health: exchange", lua: Lua.exchange, reply: Exchanged })
const probe = script({ name: "balance health: probe", lua: Lua.probe, reply: Probed })

export interface Scripts {
  readonly exchange: (
    revision: string,
    messages: ReadonlyArray<Message>,
    leases: ReadonlyArray<ProbeLease>
  ) => Effect.Effect<typeof Exchanged.Type, Redis.RedisError>
  readonly probe: (lease: ProbeLease) => Effect.Effect<typeof Probed.Type, Redis.RedisError>
}

export const make = (redis: Redis.Service, name: string, leaseTime: number): Scripts => {
  const keys = ["notices", "probes", "revision"].map(
    keyOf(redis, { kind: "health", name, layoutVersion: Lua.layoutVersion })
  )
  const run = <A>(script: Redis.Script<A>, request: object) =>
    redis.run(script, keys, [JSON.stringify({ leaseTime, ...request })])
  return {
    exchange: (revision, messages, leases) => run(exchange, { revision, messages, held: leases }),
    probe: (lease) => run(probe, lease)
  }
}

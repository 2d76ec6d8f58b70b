/** The steps of the shared health as scripts: what each is asked, and what it replies. All durations are in milliseconds. */
import type { Effect } from "effect"
import { Schema } from "effect"
import type { Notice } from "../../routing/balance/health.js"
import type * as Redis from "../model.js"
import { script } from "../model.js"
import * as Lua from "./lua.js"

/** What is said of a deployment, and whether the call is over that was to find out. */
export interface Message {
  readonly id: string
  readonly author: string
  readonly isOver: boolean
  readonly notice?: {
    readonly state: Notice["state"]
    readonly rest: number
    readonly openings: number
    /** How long ago it was found out. */
    readonly age: number
  }
}

export interface Held {
  readonly id: string
  readonly author: string
}

const Exchanged = Schema.parseJson(
  Schema.Struct({
    now: Schema.Number,
    revision: Schema.String,
    /** By id, each as text; absent where there is nothing new. */
    notices: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.String }), { exact: true })
  })
)

/** Either how long the deployment rests yet, or how long another has the probe at least; neither where it is granted. */
const Probed = Schema.parseJson(
  Schema.Struct({
    rest: Schema.optionalWith(Schema.Number, { exact: true }),
    held: Schema.optionalWith(Schema.Number, { exact: true })
  })
)

/** A notice as Redis has it. */
export const Kept = Schema.parseJson(
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

export interface Steps {
  readonly exchange: (
    revision: string,
    messages: ReadonlyArray<Message>,
    held: ReadonlyArray<Held>
  ) => Effect.Effect<typeof Exchanged.Type, Redis.RedisError>
  readonly probe: (held: Held) => Effect.Effect<typeof Probed.Type, Redis.RedisError>
}

export const make = (redis: Redis.Service, name: string, leaseTime: number): Steps => {
  const keys = ["notices", "probes", "revision"].map((part) => redis.key("health", name, part))
  const run = <A>(step: Redis.Script<A>, request: object) =>
    redis.run(step, keys, [JSON.stringify({ leaseTime, ...request })])
  return {
    exchange: (revision, messages, held) => run(exchange, { revision, messages, held }),
    probe: (held) => run(probe, held)
  }
}

/** The steps of a pool as scripts: what each is asked, and what it replies. All durations are in milliseconds. */
import { Schema } from "effect"
import type { CooldownSettings as Remedies } from "../../keyPool/key.js"
import type { Verdict } from "../../keyPool/model.js"
import type { Script } from "../model.js"
import * as Redis from "../model.js"
import * as Lua from "./lua.js"
import { redisTime } from "../shared/script.js"

/** What one call asks for. */
export interface Wish {
  /** The name that its lease is to have. */
  readonly lease: string
  readonly exclude: ReadonlyArray<string>
}

/** What a call was given. */
export interface Grant {
  readonly lease: string
  readonly key: string
  /** The number of the call. */
  readonly sequence: number
}

/** How a call ended; `key` and `sequence` are not known where the reply that told them was lost. */
export interface Ending {
  readonly lease: string
  readonly key?: string
  readonly sequence?: number
  readonly verdict: Verdict["_tag"] | "Withdrawn"
  readonly retryAfter?: number
  readonly latency?: number
}

const Unready = Schema.Struct({
  /** Keys that are in good order and have merely too much to do. */
  busy: Schema.Number,
  /** Keys that rest because of a rate limit. */
  limited: Schema.Number,
  /** Keys that the end of a call in flight may make ready. */
  awaited: Schema.Number,
  /** How long until time alone makes a key ready; absent where it will not. */
  readyIn: Schema.optionalWith(Schema.Number, { exact: true })
})

/** What the keys that a call may have offer, where none of them is ready. */
export type Unready = typeof Unready.Type

const Answer = Schema.parseJson(Schema.Union(Schema.Struct({ key: Schema.String, sequence: Schema.Number }), Unready))

export type Answer = typeof Answer.Type

const Resting = Schema.parseJson(Schema.Struct({ key: Schema.String, disabled: Schema.Boolean, rest: Schema.Number }))

/** A key that does not speak for now. */
export type Resting = typeof Resting.Type

const KeyReport = Schema.parseJson(
  Schema.Struct({
    standing: Schema.Literal("ready", "capped", "paced", "probing", "limited", "broken", "disabled"),
    reason: Schema.Literal("rate-limited", "resting", "out-of-quota", "refused"),
    rest: Schema.Number,
    /** In milliseconds since the epoch. */
    restUntil: Schema.Number,
    isHalfOpen: Schema.Boolean,
    weight: Schema.Number,
    inFlight: Schema.Number,
    recentStarts: Schema.optionalWith(Schema.Number, { exact: true }),
    latency: Schema.optionalWith(Schema.Number, { exact: true }),
    served: Schema.Number,
    succeeded: Schema.Number,
    rateLimited: Schema.Number,
    outOfQuota: Schema.Number,
    refused: Schema.Number
  })
)

export type KeyReport = typeof KeyReport.Type

/** A number that JSON can hold; what is longer than 30,000 years is for ever. */
export const finite = <A extends number | undefined>(millis: A): A | number =>
  millis === undefined ? millis : Math.min(millis, forever)

export const forever = 1e15

/** What every request says: the seed of what is drawn by lot. */
export interface Request {
  readonly seed: number
}

export interface AcquireRequest extends Request {
  readonly ids: ReadonlyArray<string>
  readonly strategy: string
  readonly leaseTime: number
  readonly wishes: ReadonlyArray<Wish>
}

export interface RegisterRequest extends Request {
  readonly keys: ReadonlyArray<{
    readonly id: string
    readonly weight: number
    readonly maxConcurrency?: number
    readonly requestsPerSecond?: number
    readonly quotaGroup?: string
  }>
  /** How those of them were that Redis has forgotten. */
  readonly resting: ReadonlyArray<Resting>
}

export interface SettleRequest extends Request {
  readonly remedies: Remedies
  readonly endings: ReadonlyArray<Ending>
}

export interface RenewRequest extends Request {
  readonly ids: ReadonlyArray<string>
  readonly leaseTime: number
  readonly members: ReadonlyArray<string>
}

export interface ChangeRequest extends Request {
  readonly key: string
  readonly change: "enable" | "disable" | "rest" | "reweight"
  /** The duration of a rest, or a weight. */
  readonly amount?: number
}

export interface StatusRequest extends Request {
  readonly ids: ReadonlyArray<string>
}

/** A script that takes one request. */
export interface Step<Request, A> {
  readonly script: Script<A>
  readonly args: (request: Request) => ReadonlyArray<string>
}

/** Those that reply `null` do not know one of the keys: register them, and ask again. */
export interface Steps {
  readonly register: Step<RegisterRequest, 1>
  readonly acquire: Step<AcquireRequest, null | ReadonlyArray<Answer>>
  readonly settle: Step<SettleRequest, number>
  readonly renew: Step<RenewRequest, null | ReadonlyArray<Resting>>
  readonly change: Step<ChangeRequest, null | 1>
  readonly status: Step<StatusRequest, null | ReadonlyArray<KeyReport>>
}

/** `clock` is Lua that sets `now`; tests have one that they can turn. */
export const make = (clock: string): Steps => {
  const step = <Request, A, I>(name: string, lua: string, reply: Schema.Schema<A, I>): Step<Request, A> => ({
    script: Redis.script({ name: `key pool: ${name}`, lua: `${clock}${lua}`, reply }),
    args: (request) => [JSON.stringify(request)]
  })
  return {
    register: step("register", Lua.register, Schema.Literal(1)),
    acquire: step("acquire", Lua.acquire, Schema.NullOr(Schema.Array(Answer))),
    settle: step("settle", Lua.settle, Schema.Number),
    renew: step("renew", Lua.renew, Schema.NullOr(Schema.Array(Resting))),
    change: step("change", Lua.change, Schema.NullOr(Schema.Literal(1))),
    status: step("status", Lua.status, Schema.NullOr(Schema.Array(KeyReport)))
  }
}

/** By Redis's own clock. */
export const steps: Steps = make(redisTime)

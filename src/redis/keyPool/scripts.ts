/** The scripts of a pool with their inputs and replies. All durations are in milliseconds. */
import { Schema } from "effect"
import type { CooldownSettings } from "../../keyPool/key.js"
import type { Verdict } from "../../keyPool/model.js"
import type { Script } from "../model.js"
import * as Redis from "../model.js"
import * as Lua from "./lua.js"
import { redisTime } from "../shared/script.js"

/** The request of one call for a key. */
export interface AcquireRequest {
  /** The name of its lease. */
  readonly lease: string
  readonly exclude: ReadonlyArray<string>
}

/** A key that was given to a call. */
export interface Grant {
  readonly lease: string
  readonly key: string
  /** The number of the call. */
  readonly sequence: number
}

/** How a call ended. `key` and `sequence` are missing when the reply with them was lost. */
export interface Settlement {
  readonly lease: string
  readonly key?: string
  readonly sequence?: number
  readonly verdict: Verdict["_tag"] | "Withdrawn"
  readonly retryAfter?: number
  readonly latency?: number
}

const NotReady = Schema.Struct({
  /** Healthy keys at their concurrency cap or rate. */
  busy: Schema.Number,
  /** Keys in a cooldown after a rate limit. */
  limited: Schema.Number,
  /** Keys that can become ready when a call in flight ends. */
  awaited: Schema.Number,
  /** The time until a key becomes ready without the end of a call; absent when none does. */
  readyIn: Schema.optionalWith(Schema.Number, { exact: true })
})

/** Why none of the keys that a call can use is ready. */
export type NotReady = typeof NotReady.Type

const AcquireResult = Schema.parseJson(
  Schema.Union(Schema.Struct({ key: Schema.String, sequence: Schema.Number }), NotReady)
)

export type AcquireResult = typeof AcquireResult.Type

const UnavailableKey = Schema.parseJson(
  Schema.Struct({ key: Schema.String, disabled: Schema.Boolean, rest: Schema.Number })
)

/** A key that is disabled or in a cooldown. */
export type UnavailableKey = typeof UnavailableKey.Type

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

/** A number that JSON can represent; durations above 30,000 years count as infinite. */
export const finite = <A extends number | undefined>(millis: A): A | number =>
  millis === undefined ? millis : Math.min(millis, forever)

export const forever = 1e15

/** The input of every script: the seed of its random numbers. */
export interface ScriptInput {
  readonly seed: number
}

export interface AcquireInput extends ScriptInput {
  readonly ids: ReadonlyArray<string>
  readonly strategy: string
  readonly leaseTime: number
  readonly wishes: ReadonlyArray<AcquireRequest>
}

export interface RegisterInput extends ScriptInput {
  readonly keys: ReadonlyArray<{
    readonly id: string
    readonly weight: number
    readonly maxConcurrency?: number
    readonly requestsPerSecond?: number
    readonly quotaGroup?: string
  }>
  /** The last known state of the unavailable keys, for a Redis that has lost its data. */
  readonly resting: ReadonlyArray<UnavailableKey>
}

export interface SettleInput extends ScriptInput {
  readonly remedies: CooldownSettings
  readonly endings: ReadonlyArray<Settlement>
}

export interface RenewInput extends ScriptInput {
  readonly ids: ReadonlyArray<string>
  readonly leaseTime: number
  readonly members: ReadonlyArray<string>
}

export interface ChangeInput extends ScriptInput {
  readonly key: string
  readonly change: "enable" | "disable" | "rest" | "reweight"
  /** The duration of a cooldown, or a weight. */
  readonly amount?: number
}

export interface StatusInput extends ScriptInput {
  readonly ids: ReadonlyArray<string>
}

/** A script with one JSON argument. */
export interface PoolScript<Input, A> {
  readonly script: Script<A>
  readonly args: (input: Input) => ReadonlyArray<string>
}

/** A reply of `null` means that a key is not registered: register the keys and run the script again. */
export interface Scripts {
  readonly register: PoolScript<RegisterInput, 1>
  readonly acquire: PoolScript<AcquireInput, null | ReadonlyArray<AcquireResult>>
  readonly settle: PoolScript<SettleInput, number>
  readonly renew: PoolScript<RenewInput, null | ReadonlyArray<UnavailableKey>>
  readonly change: PoolScript<ChangeInput, null | 1>
  readonly status: PoolScript<StatusInput, null | ReadonlyArray<KeyReport>>
}

/** `clock` is Lua code that sets `now`; tests pass one that they control. */
export const make = (clock: string): Scripts => {
  const poolScript = <Input, A, I>(name: string, lua: string, reply: Schema.Schema<A, I>): PoolScript<Input, A> => ({
    script: Redis.script({ name: `key pool: ${name}`, lua: `${clock}${lua}`, reply }),
    args: (input) => [JSON.stringify(input)]
  })
  return {
    register: poolScript("register", Lua.register, Schema.Literal(1)),
    acquire: poolScript("acquire", Lua.acquire, Schema.NullOr(Schema.Array(AcquireResult))),
    settle: poolScript("settle", Lua.settle, Schema.Number),
    renew: poolScript("renew", Lua.renew, Schema.NullOr(Schema.Array(UnavailableKey))),
    change: poolScript("change", Lua.change, Schema.NullOr(Schema.Literal(1))),
    status: poolScript("status", Lua.status, Schema.NullOr(Schema.Array(KeyReport)))
  }
}

/** The scripts with Redis's clock. */
export const scripts: Scripts = make(redisTime)

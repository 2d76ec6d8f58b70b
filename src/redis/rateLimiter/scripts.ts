/** The scripts of a limiter with their arguments and replies. All durations are in milliseconds. */
import type { Effect } from "effect"
import { Schema } from "effect"
import type { Settings } from "../../rateLimiter/options.js"
import type * as Adaptive from "../../rateLimiter/adaptive.js"
import type * as Redis from "../model.js"
import { script } from "../model.js"
import { keyOf } from "../shared/layout.js"
import * as Lua from "./lua.js"
import { layoutVersion } from "./luaState.js"

/** The request of one call. */
export interface AcquireRequest {
  /** The name of its lease. */
  readonly id: string
  readonly requests: number
  readonly tokens: number
  /** Permits of `maxConcurrency`: 1 for a reservation, else 0. */
  readonly places: number
  /** Whether the call settles its lease at the end. */
  readonly settles: boolean
}

/** A request with its times when it is sent. */
export interface TimedRequest extends AcquireRequest {
  /** The longest remaining wait. */
  readonly allowed: number
  /** The time since its position in the queue was due; negative for a batch call that still yields. */
  readonly waited: number
  /** Whether it can be booked for a later time. */
  readonly books: boolean
}

/**
 * - `granted`: the call can start after `wait`.
 * - `late`: refused, because `wait` is longer than allowed.
 * - `busy`: not booked, because it must yield; the wait would be `wait`.
 * - `crowded`: waits for a permit.
 */
const AcquireResult = Schema.Struct({
  tag: Schema.Literal("granted", "late", "busy", "crowded"),
  wait: Schema.Number,
  /** When a granted call starts, by Redis's clock: a number that JSON in Redis would round. */
  at: Schema.optionalWith(Schema.String, { exact: true })
})

export type AcquireResult = typeof AcquireResult.Type

/** A granted request, to give it back. */
export interface Granted extends AcquireRequest {
  /** `at` of the result. */
  readonly at: string
}

const stateFields = { epoch: Schema.String, pace: Schema.Number }

const Acquired = Schema.parseJson(Schema.Struct({ ...stateFields, answers: Schema.Array(AcquireResult) }))

const Renewed = Schema.parseJson(Schema.Struct({ ...stateFields, processes: Schema.Number }))

const Adjusted = Schema.parseJson(Schema.Struct(stateFields))

const Status = Schema.parseJson(
  Schema.Struct({
    requests: Schema.Number,
    tokens: Schema.Number,
    requestRate: Schema.Number,
    tokenRate: Schema.Number,
    minute: Schema.Number,
    day: Schema.Number,
    inFlight: Schema.Number,
    reserved: Schema.Number,
    pace: Schema.Number,
    booked: Schema.Number,
    places: Schema.Number
  })
)

export type Status = typeof Status.Type

/** A lease of this process. */
export type LeaseRef = Pick<AcquireRequest, "id" | "tokens">

export interface Settlement extends LeaseRef {
  readonly actual: number
}

export interface Amount {
  readonly requests: number
  readonly tokens: number
}

/** The remaining time and the amount of each grant in a window. */
export type WindowEntries = ReadonlyArray<readonly [number, number]>

export interface RecentUsage {
  readonly minute: WindowEntries
  readonly day: WindowEntries
}

export type Adjustment =
  | { readonly change: "reset" | "served" }
  | { readonly change: "lower"; readonly requests?: number; readonly tokens?: number }
  | { readonly change: "refused"; readonly elapsed: number; readonly share: number }
  | {
      readonly change: "headers"
      readonly requests?: number
      readonly tokens?: number
      readonly resetRequests?: number
      readonly resetTokens?: number
    }

interface Window {
  readonly limit: number
  readonly duration: number
  /** Grants within this time expire together. */
  readonly grain: number
}

export interface Limits {
  readonly capacity?: number
  /** A millisecond. */
  readonly rate?: number
  readonly tokens?: number
  /** A millisecond. */
  readonly tokenRate?: number
  readonly minute?: Window
  readonly day?: Window
  readonly places?: number
  /** The time without calls after which the state equals an unused one. */
  readonly lasting: number
}

const minute = 60_000
const day = 24 * 60 * minute

/** The greatest number of entries of a window. Up to this limit every grant has its own entry. */
const maxWindowEntries = 1000

/**
 * How much longer a window counts a call, so that the limit also holds by the provider's clock: calls reach the provider with
 * different delays.
 */
const deliveryAllowance = 500

/**
 * The time in which the processes restore a lost state: each detects that Redis is back, and sends its leases and its recent
 * grants.
 */
const recoveryTime = 1500

const windowOf = (limit: number, length: number): Window => {
  const duration = length + deliveryAllowance
  return { limit, duration, grain: limit <= maxWindowEntries ? 0 : duration / maxWindowEntries }
}

export const limitsOf = (settings: Settings): Limits => {
  const { adaptive, capacity, maxConcurrency, refillRate, requestsPerDay, requestsPerMinute, tokensPerMinute } =
    settings
  const isBucket = capacity < Infinity
  const minimumPace = adaptive?.minimum ?? 1
  return {
    ...(isBucket ? { capacity, rate: refillRate / 1000 } : {}),
    ...(tokensPerMinute === undefined ? {} : { tokens: tokensPerMinute, tokenRate: tokensPerMinute / minute }),
    ...(requestsPerMinute === undefined ? {} : { minute: windowOf(requestsPerMinute, minute) }),
    ...(requestsPerDay === undefined ? {} : { day: windowOf(requestsPerDay, day) }),
    ...(maxConcurrency === undefined ? {} : { places: maxConcurrency }),
    lasting:
      Math.max(
        isBucket ? (capacity / refillRate) * 1000 : 0,
        2 * minute,
        requestsPerDay === undefined ? 0 : day + 2 * minute
      ) / minimumPace
  }
}

const acquire = script({ name: "rate limiter: acquire", lua: Lua.acquire, reply: Acquired })
const settle = script({ name: "rate limiter: settle", lua: Lua.settle, reply: Schema.Number })
const withdraw = script({ name: "rate limiter: withdraw", lua: Lua.withdraw, reply: Schema.Number })
const giveBack = script({ name: "rate limiter: give back", lua: Lua.giveBack, reply: Schema.Number })
const renew = script({ name: "rate limiter: renew", lua: Lua.renew, reply: Renewed })
const leave = script({ name: "rate limiter: leave", lua: Lua.leave, reply: Schema.Number })
const status = script({ name: "rate limiter: status", lua: Lua.status, reply: Status })
const adjust = script({ name: "rate limiter: adjust", lua: Lua.adjust, reply: Adjusted })

type Run<A> = Effect.Effect<A, Redis.RedisError>

/**
 * Identifies the state that a process has seen last: a different epoch in Redis means that it was lost. Empty before the first
 * reply.
 */
export type Epoch = string

export interface Scripts {
  readonly acquire: (
    epoch: Epoch,
    requests: ReadonlyArray<TimedRequest>,
    /** Whether these are all waiting calls of the process. */
    isComplete: boolean
  ) => Run<typeof Acquired.Type>
  readonly settle: (epoch: Epoch, settlements: ReadonlyArray<Settlement>) => Run<number>
  readonly withdraw: (epoch: Epoch, requests: ReadonlyArray<AcquireRequest>) => Run<number>
  readonly giveBack: (epoch: Epoch, granted: Granted) => Run<number>
  readonly renew: (
    epoch: Epoch,
    leases: ReadonlyArray<LeaseRef>,
    missed: Amount,
    /** The recent grants of this process, used when the epoch is not the reported one. */
    recent: RecentUsage | undefined,
    reportedEpoch: Epoch
  ) => Run<typeof Renewed.Type>
  readonly leave: (epoch: Epoch, leases: ReadonlyArray<LeaseRef>) => Run<number>
  readonly status: (epoch: Epoch) => Run<Status>
  readonly adjust: (epoch: Epoch, adjustment: Adjustment) => Run<typeof Adjusted.Type>
}

interface Dependencies {
  readonly redis: Redis.Service
  readonly name: string
  readonly process: string
  readonly limits: Limits
  readonly pacing: Adaptive.Settings | undefined
  readonly leaseTime: number
  /** How long a waiting process keeps its turn after a request. */
  readonly turnTimeout: number
}

const keyParts = ["state", "booked", "minute", "day", "leases", "processes", "line", "seen"]

export const make = ({ leaseTime, limits, name, pacing, process, redis, turnTimeout }: Dependencies): Scripts => {
  const keys = keyParts.map(keyOf(redis, { kind: "limit", name, layoutVersion }))
  // The fields that are the same in every request are serialised once.
  const constantFields = `${JSON.stringify({ limits, process, leaseTime, hush: recoveryTime }).slice(0, -1)},`
  const run = <A>(script: Redis.Script<A>, epoch: Epoch, request: object): Run<A> =>
    redis.run(script, keys, [`${constantFields}${JSON.stringify({ epoch, ...request }).slice(1)}`])
  return {
    acquire: (epoch, requests, isComplete) =>
      run(acquire, epoch, { wishes: requests, fresh: turnTimeout, mayWait: isComplete }),
    settle: (epoch, settlements) => run(settle, epoch, { endings: settlements }),
    withdraw: (epoch, requests) => run(withdraw, epoch, { wishes: requests }),
    giveBack: (epoch, granted) => run(giveBack, epoch, { wishes: [granted] }),
    renew: (epoch, leases, missed, recent, reportedEpoch) =>
      run(renew, epoch, {
        held: leases,
        missed,
        told: reportedEpoch,
        ...(recent === undefined ? {} : { recalled: recent })
      }),
    leave: (epoch, leases) => run(leave, epoch, { held: leases }),
    status: (epoch) => run(status, epoch, {}),
    adjust: (epoch, adjustment) => run(adjust, epoch, { pacing, ...adjustment })
  }
}

/** The steps of a limiter as scripts: what each is asked, and what it replies. All durations are in milliseconds. */
import type { Effect } from "effect"
import { Schema } from "effect"
import type { Settings } from "../../rateLimiter/options.js"
import type * as Adaptive from "../../rateLimiter/adaptive.js"
import type * as Redis from "../model.js"
import { script } from "../model.js"
import * as Lua from "./lua.js"

/** What one call asks for. */
export interface Wish {
  /** The name of its lease. */
  readonly id: string
  readonly requests: number
  readonly tokens: number
  /** Of those in flight: 1 for a call that says when it is over, else 0. */
  readonly places: number
  /** Whether it says when it is over. */
  readonly settles: boolean
}

export interface Asking extends Wish {
  /** The longest that it may still wait. */
  readonly allowed: number
  /** How long it has stood in line; below zero for one that still lets others pass. */
  readonly waited: number
  /** Whether it takes a moment in the future, or lets others pass. */
  readonly books: boolean
}

/**
 * - `granted`: it may go after `wait`.
 * - `late`: it would have to wait so long, which is longer than it may.
 * - `busy`: it would have to wait so long, and lets others pass.
 * - `crowded`: it waits for the end of others.
 */
const Answer = Schema.Struct({ tag: Schema.Literal("granted", "late", "busy", "crowded"), wait: Schema.Number })

export type Answer = typeof Answer.Type

const seen = { epoch: Schema.String, pace: Schema.Number }

const Acquired = Schema.parseJson(Schema.Struct({ ...seen, answers: Schema.Array(Answer) }))

const Renewed = Schema.parseJson(Schema.Struct({ ...seen, processes: Schema.Number }))

const Adjusted = Schema.parseJson(Schema.Struct(seen))

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
export type Held = Pick<Wish, "id" | "tokens">

export interface Ending extends Held {
  readonly actual: number
}

export interface Amount {
  readonly requests: number
  readonly tokens: number
}

/** For how long each grant still counts, and how much of it. */
export type Ends = ReadonlyArray<readonly [number, number]>

export interface Recalled {
  readonly minute: Ends
  readonly day: Ends
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
  /** What is taken within it expires together, at its end. */
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
  /** After how long without a call all is as if there had never been one. */
  readonly lasting: number
}

const minute = 60_000
const day = 24 * 60 * minute

/** The most entries of a window. Up to this limit each is held by itself. */
const entries = 1000

/**
 * A call reaches its provider later than it is let through, the one by more than the other: a window counts it for so much longer
 * than it is long, so that it holds in the provider's eyes too.
 */
const journey = 500

/**
 * A state that is lost is made anew by those who knew of it: each of them finds out that Redis is back, and says what it holds and
 * had, within this time.
 */
const hush = 1500

const windowOf = (limit: number, length: number): Window => {
  const duration = length + journey
  return { limit, duration, grain: limit <= entries ? 0 : duration / entries }
}

export const limitsOf = (settings: Settings): Limits => {
  const { adaptive, capacity, maxConcurrent, refillRate, requestsPerDay, requestsPerMinute, tokensPerMinute } = settings
  const isBucket = capacity < Infinity
  const slowest = adaptive?.minimum ?? 1
  return {
    ...(isBucket ? { capacity, rate: refillRate / 1000 } : {}),
    ...(tokensPerMinute === undefined ? {} : { tokens: tokensPerMinute, tokenRate: tokensPerMinute / minute }),
    ...(requestsPerMinute === undefined ? {} : { minute: windowOf(requestsPerMinute, minute) }),
    ...(requestsPerDay === undefined ? {} : { day: windowOf(requestsPerDay, day) }),
    ...(maxConcurrent === undefined ? {} : { places: maxConcurrent }),
    lasting:
      Math.max(
        isBucket ? (capacity / refillRate) * 1000 : 0,
        2 * minute,
        requestsPerDay === undefined ? 0 : day + 2 * minute
      ) / slowest
  }
}

const acquire = script({ name: "rate limiter: acquire", lua: Lua.acquire, reply: Acquired })
const settle = script({ name: "rate limiter: settle", lua: Lua.settle, reply: Schema.Number })
const withdraw = script({ name: "rate limiter: withdraw", lua: Lua.withdraw, reply: Schema.Number })
const renew = script({ name: "rate limiter: renew", lua: Lua.renew, reply: Renewed })
const leave = script({ name: "rate limiter: leave", lua: Lua.leave, reply: Schema.Number })
const status = script({ name: "rate limiter: status", lua: Lua.status, reply: Status })
const adjust = script({ name: "rate limiter: adjust", lua: Lua.adjust, reply: Adjusted })

type Run<A> = Effect.Effect<A, Redis.RedisError>

/** The state that a process has seen last: where Redis has another one, that is lost. Empty where it has seen none. */
export type Epoch = string

export interface Steps {
  readonly acquire: (
    epoch: Epoch,
    wishes: ReadonlyArray<Asking>,
    /** Whether these are all of the process who wait. */
    isWhole: boolean
  ) => Run<typeof Acquired.Type>
  readonly settle: (epoch: Epoch, endings: ReadonlyArray<Ending>) => Run<number>
  readonly withdraw: (epoch: Epoch, wishes: ReadonlyArray<Wish>) => Run<number>
  readonly renew: (
    epoch: Epoch,
    held: ReadonlyArray<Held>,
    missed: Amount,
    /** What was let through by this process, for a state that is another than the one it has been `told` to. */
    recalled: Recalled | undefined,
    told: Epoch
  ) => Run<typeof Renewed.Type>
  readonly leave: (epoch: Epoch, held: ReadonlyArray<Held>) => Run<number>
  readonly status: (epoch: Epoch) => Run<Status>
  readonly adjust: (epoch: Epoch, adjustment: Adjustment) => Run<typeof Adjusted.Type>
}

interface Terms {
  readonly redis: Redis.Service
  readonly name: string
  readonly process: string
  readonly limits: Limits
  readonly pacing: Adaptive.Settings | undefined
  readonly leaseTime: number
  /** For how long a process that has asked keeps its turn. */
  readonly fresh: number
}

const parts = ["state", "booked", "minute", "day", "leases", "processes", "line", "seen"]

export const make = ({ fresh, leaseTime, limits, name, pacing, process, redis }: Terms): Steps => {
  const keys = parts.map((part) => redis.key("limit", name, part))
  // What every request says the same is written once.
  const fixed = `${JSON.stringify({ limits, process, leaseTime, hush }).slice(0, -1)},`
  const run = <A>(step: Redis.Script<A>, epoch: Epoch, request: object): Run<A> =>
    redis.run(step, keys, [`${fixed}${JSON.stringify({ epoch, ...request }).slice(1)}`])
  return {
    acquire: (epoch, wishes, isWhole) => run(acquire, epoch, { wishes, fresh, mayWait: isWhole }),
    settle: (epoch, endings) => run(settle, epoch, { endings }),
    withdraw: (epoch, wishes) => run(withdraw, epoch, { wishes }),
    renew: (epoch, held, missed, recalled, told) =>
      run(renew, epoch, { held, missed, told, ...(recalled === undefined ? {} : { recalled }) }),
    leave: (epoch, held) => run(leave, epoch, { held }),
    status: (epoch) => run(status, epoch, {}),
    adjust: (epoch, adjustment) => run(adjust, epoch, { pacing, ...adjustment })
  }
}

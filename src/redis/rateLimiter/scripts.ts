/** The scripts of a limiter with their arguments and replies. All durations are in milliseconds. */
import type { Effect } from "effect"
import { Schema } from "effect"
import type { AcquireRequest } from "../../rateLimiter/queue.js"
import type { Settings } from "../../rateLimiter/options.js"
import type * as Redis from "../model.js"
import { script } from "../model.js"
import { keyOf } from "../shared/layout.js"
import { recovery } from "../shared/script.js"
import * as Lua from "./lua.js"

/** What is left of the rates after a command. */
const remaining = {
  requests: Schema.optionalWith(Schema.Number, { exact: true }),
  tokens: Schema.optionalWith(Schema.Number, { exact: true })
}

const epoch = Schema.String

/**
 * - `granted`: the call can start after `wait`.
 * - `busy`: the limits admit it after `wait`.
 * - `crowded`: all slots are in use, or other processes have waited longer for one.
 *
 * `closed` is the wait until windows and slots admit one more request.
 */
const Answer = Schema.Struct({
  tag: Schema.Literal("granted", "busy", "crowded"),
  wait: Schema.Number,
  closed: Schema.Number,
  /** When a granted call starts, by Redis's clock: a number that JSON in Redis would round. */
  at: Schema.String,
  epoch,
  ...remaining
})

export type Answer = typeof Answer.Type

/** The state that the process knows was lost. */
const Lost = Schema.Struct({ tag: Schema.Literal("lost"), epoch })

const Synced = Schema.Struct({
  tag: Schema.Literal("synced"),
  processes: Schema.Number,
  /** The time for which no slot is granted, because the state was lost. */
  recovery: Schema.Number,
  epoch,
  ...remaining
})

const Status = Schema.Struct({
  epoch,
  ...remaining,
  minute: Schema.optionalWith(Schema.Number, { exact: true }),
  day: Schema.optionalWith(Schema.Number, { exact: true }),
  inFlight: Schema.Number,
  reserved: Schema.Number,
  closed: Schema.Number
})

export type Status = typeof Status.Type

export interface Lease {
  readonly id: string
  readonly tokens: number
}

export interface Amount {
  readonly requests: number
  readonly tokens: number
}

/** The remaining time and the amount of grants in a window. */
export type Entries = ReadonlyArray<readonly [number, number]>

export interface SyncRequest {
  readonly held: ReadonlyArray<Lease>
  /** The leases of commands whose reply has not come. */
  readonly pending: ReadonlyArray<string>
  /** What calls took without Redis and time has not paid for. */
  readonly debts: Partial<Amount>
  /** No more than this is left, as far as the process knows. */
  readonly remaining: Partial<Amount>
  readonly entries: Readonly<Record<string, Entries>>
  /** Whether the process sends all that it recalls of a state that was lost. */
  readonly recalls: boolean
  readonly leaves: boolean
}

const minute = 60_000
const day = 24 * 60 * minute

/** The greatest number of members of a window. Up to this limit every grant has its own. */
const maxWindowEntries = 1000

/**
 * How much longer a window counts a call, so that the limit also holds by the provider's clock: calls reach the provider with
 * different delays.
 */
export const deliveryAllowance = 500

/** The interval at which a process asks for a slot while all are in use. */
export const poll = 25

/** A process that has not asked for a slot for this time does not wait for one any more. */
const fresh = 10 * poll

/** Calls of different processes whose arrivals are closer together have no order. */
const fair = 100

const windowOf = (name: string, limit: number | undefined, length: number) => {
  const duration = length + deliveryAllowance
  const grain = limit === undefined || limit <= maxWindowEntries ? 0 : duration / maxWindowEntries
  return limit === undefined ? [] : [{ name, limit, duration, grain }]
}

const limitsOf = (settings: Settings) => {
  const { capacity, maxConcurrency, refillRate, requestsPerDay, requestsPerMinute, tokensPerMinute } = settings
  const rate = (name: string, capacity: number | undefined, perMilli: number) =>
    capacity === undefined || capacity === Infinity || perMilli === Infinity ? [] : [{ name, capacity, perMilli }]
  const windows = [...windowOf("minute", requestsPerMinute, minute), ...windowOf("day", requestsPerDay, day)]
  return {
    rates: [
      ...rate("requests", capacity, refillRate / 1000),
      ...rate("tokens", tokensPerMinute, (tokensPerMinute ?? 0) / minute)
    ],
    windows,
    longest: windows.reduce((longest, { duration }) => Math.max(longest, duration + minute), 0),
    ...(maxConcurrency === undefined ? {} : { slots: maxConcurrency })
  }
}

const named = <A, I>(name: string, lua: string, reply: Schema.Schema<A, I>) =>
  script({ name: `rate limiter: ${name}`, lua, reply: Schema.parseJson(reply) })

const acquire = named("acquire", Lua.acquire, Schema.Union(Answer, Lost))
const settle = named("settle", Lua.settle, Schema.Struct({ epoch }))
const giveBack = named("give back", Lua.giveBack, Schema.Struct({ epoch }))
const sync = named("sync", Lua.sync, Schema.Union(Synced, Lost))
const reset = named("reset", Lua.reset, Schema.Struct({ epoch }))
const status = named("status", Lua.status, Status)

type Run<A> = Effect.Effect<A, Redis.RedisError>

export interface Scripts {
  readonly acquire: (
    epoch: string,
    request: AcquireRequest &
      Lease & {
        /** Whether the call settles its lease. */
        readonly holds: boolean
        /** How far ahead it can be granted. Zero for a call that does not wait. */
        readonly lead: number
        /** The time since its arrival; negative for a batch call that yields. */
        readonly waited: number
      }
  ) => Run<Answer | typeof Lost.Type>
  readonly settle: (epoch: string, lease: Lease & { readonly actual: number }) => Run<unknown>
  readonly giveBack: (epoch: string, granted: AcquireRequest & Lease & { readonly at: string }) => Run<unknown>
  readonly sync: (epoch: string, request: SyncRequest) => Run<typeof Synced.Type | typeof Lost.Type>
  readonly reset: (epoch: string) => Run<unknown>
  readonly status: (epoch: string) => Run<Status>
}

interface Dependencies {
  readonly redis: Redis.Service
  readonly name: string
  readonly process: string
  readonly settings: Settings
  readonly leaseTime: number
}

export const make = ({ leaseTime, name, process, redis, settings }: Dependencies): Scripts => {
  const limits = limitsOf(settings)
  const parts = ["state", "leases", "processes", "waiting", ...limits.windows.map((window) => window.name)]
  const keys = parts.map(keyOf(redis, { kind: "limit", name, layoutVersion: Lua.layoutVersion }))
  // The fields that are the same in every request are serialised once.
  const constants = { limits, process, leaseTime, recovery, poll, fresh, fair }
  const constantFields = `${JSON.stringify(constants).slice(0, -1)},`
  const run = <A>(script: Redis.Script<A>, epoch: string, request: object): Run<A> =>
    redis.run(script, keys, [`${constantFields}${JSON.stringify({ epoch, ...request }).slice(1)}`])
  return {
    acquire: (epoch, request) => run(acquire, epoch, request),
    settle: (epoch, request) => run(settle, epoch, request),
    giveBack: (epoch, request) => run(giveBack, epoch, request),
    sync: (epoch, request) => run(sync, epoch, request),
    reset: (epoch) => run(reset, epoch, {}),
    status: (epoch) => run(status, epoch, {})
  }
}

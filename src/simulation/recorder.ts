/** What a simulation records of its calls. Its memory is bounded by the limits, keys and calls in flight, not by the calls. */
import type { Exit } from "effect"
import { Context } from "effect"
import type { ChatResponse } from "../vocabulary/Chat.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Sketch from "../vocabulary/quantileSketch.js"
import type { EndedAttempt } from "../call/usageListeners.js"
import { errorOf } from "../telemetry/observe.js"
import type { Arrival, KeyReport, Limit, LimitReport, Period, Report, Times } from "./model.js"

/** A call in flight. */
export class SimulatedCall {
  waitedForPermit = 0
  waitedForKey = 0
  /** The limit of the latest wait that failed. */
  refusedBy: LimitId | undefined
  attempts = 0
  inAttempts = 0
  readonly arrival: Arrival
  readonly startedAt: number
  readonly rateLimited: () => void
  constructor(arrival: Arrival, startedAt: number, rateLimited: () => void) {
    this.arrival = arrival
    this.startedAt = startedAt
    this.rateLimited = rateLimited
  }
}

/** The simulated call to which a fiber belongs. */
export class CurrentCall extends Context.Reference<CurrentCall>()("effect-llm/simulation/CurrentCall", {
  defaultValue: (): SimulatedCall | undefined => undefined
}) {}

/** A limit and what has it. */
export interface LimitId {
  readonly limit: Limit
  readonly of?: string
}

interface MutableLimit extends LimitId {
  waited: number
  refused: number
}

type Mutable<A> = { -readonly [Field in keyof A]: A[Field] }

const minute = 60_000

/** The most periods of a report. */
const maxPeriods = 1440

const timesOf = (recorder: Sketch.Recorder): Times => {
  const { max, mean, p50, p95, p99 } = Sketch.summary(recorder.unsafeSnapshot())
  return { mean, p50, p95, p99, max }
}

const budgetLimit: LimitId = { limit: "budget" }

/** The limit that refused a call; undefined when it failed for another reason. */
const refusal = (error: LLMError | undefined, call: SimulatedCall): LimitId | undefined => {
  switch (error?._tag) {
    case "BudgetExceededError":
      return budgetLimit
    case "RateLimitError":
      return error.source === "provider"
        ? { limit: "providerLimits", of: `${error.provider}/${error.model}` }
        : call.refusedBy
    case "KeyPoolExhaustedError":
    case "BalanceExhaustedError":
      return call.refusedBy
    default:
      return undefined
  }
}

/** Whether the call was made again after a failure. */
const isRepeated = ({ attempts, refusedBy }: SimulatedCall): boolean => attempts > 1 || refusedBy !== undefined

/** `length`: the time in which calls arrive, in milliseconds. */
export const make = (length: number) => {
  const period = Math.max(minute, Math.ceil(length / maxPeriods / minute) * minute)
  const [latency, limiterWaits, keyWaits, totalWaits] = [
    Sketch.unsafeMake(),
    Sketch.unsafeMake(),
    Sketch.unsafeMake(),
    Sketch.unsafeMake()
  ]
  const errors = new Map<string, number>()
  const answeredBy = new Map<string, number>()
  const limits = new Map<string, MutableLimit>()
  const keys = new Map<string, Mutable<KeyReport> & { busy: number }>()
  const models = new Map<string, { requests: number; tokens: number; busy: number }>()
  const periods: Array<Mutable<Period>> = []
  let [offered, answered, failed, requests, rateLimited, input, output] = [0, 0, 0, 0, 0, 0, 0]
  let cost: number | undefined
  let lastEnd = 0

  const count = (counts: Map<string, number>, name: string): void => {
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const periodAt = (now: number): Mutable<Period> => {
    const index = Math.floor(now / period)
    while (periods.length <= index) periods.push({ offered: 0, answered: 0, failed: 0 })
    return periods[index] ?? { offered: 0, answered: 0, failed: 0 }
  }
  const limitFor = (id: LimitId): MutableLimit => {
    const name = `${id.limit} ${id.of ?? ""}`
    const known = limits.get(name)
    if (known !== undefined) return known
    const made: MutableLimit = { ...id, waited: 0, refused: 0 }
    limits.set(name, made)
    return made
  }

  return {
    /** How long an answer takes without waits, in milliseconds. */
    attemptMillis: (): number => {
      let [busy, ended] = [0, 0]
      for (const model of models.values()) {
        busy += model.busy
        ended += model.requests
      }
      return ended === 0 ? 1000 : Math.max(1, busy / ended)
    },
    start: (arrival: Arrival, now: number): SimulatedCall => {
      offered++
      periodAt(now).offered++
      return new SimulatedCall(arrival, now, () => {
        rateLimited++
      })
    },
    waited: (id: LimitId, millis: number): void => {
      if (millis > 0) limitFor(id).waited += millis
    },
    attempt: (call: SimulatedCall, ended: EndedAttempt): void => {
      const { endedAt, keyId, model, outcome, provider, startedAt, usage } = ended
      const millis = endedAt - startedAt
      requests++
      call.attempts++
      call.inAttempts += millis
      const tokens = usage.totalTokens
      const name = JSON.stringify([provider, keyId])
      const key = keys.get(name) ?? {
        provider,
        id: keyId,
        requests: 0,
        rateLimited: 0,
        failed: 0,
        tokens: 0,
        inFlight: 0,
        busy: 0
      }
      keys.set(name, key)
      key.requests++
      key.tokens += tokens
      key.busy += millis
      if (outcome === "RateLimitError") key.rateLimited++
      else if (outcome !== "ok" && outcome !== "interrupted") key.failed++
      const id = `${provider}/${model}`
      const used = models.get(id) ?? { requests: 0, tokens: 0, busy: 0 }
      models.set(id, used)
      used.requests++
      used.tokens += tokens
      used.busy += millis
    },
    end: (call: SimulatedCall, exit: Exit.Exit<ChatResponse, LLMError>, now: number): void => {
      lastEnd = now
      const whole = now - call.startedAt
      const waits = call.waitedForPermit + call.waitedForKey
      // Attempts are recorded in whole milliseconds.
      const rest = Math.max(0, whole - waits - call.inAttempts)
      const other = rest > 2 + call.attempts ? rest : 0
      if (other > 0) limitFor({ limit: isRepeated(call) ? "retryDelay" : "deployments" }).waited += other
      limiterWaits.unsafeRecord(call.waitedForPermit)
      keyWaits.unsafeRecord(call.waitedForKey)
      totalWaits.unsafeRecord(waits + other)
      if (exit._tag === "Success") {
        answered++
        periodAt(now).answered++
        latency.unsafeRecord(whole)
        count(answeredBy, `${exit.value.provider}/${exit.value.model}`)
        input += exit.value.usage.inputTokens
        output += exit.value.usage.outputTokens
        if (exit.value.cost !== undefined) cost = (cost ?? 0) + exit.value.cost.total
        return
      }
      const error = errorOf(exit)
      failed++
      periodAt(now).failed++
      count(errors, error?._tag ?? "defect")
      const refusedBy = refusal(error, call)
      if (refusedBy !== undefined) limitFor(refusedBy).refused++
    },
    /** What was sent to a model, by `provider/model`. */
    sent: (model: string) => models.get(model) ?? { requests: 0, tokens: 0, busy: 0 },
    keys: (): ReadonlyArray<KeyReport & { readonly busy: number }> => [...keys.values()],
    models: (): ReadonlyArray<string> => [...models.keys()],
    duration: (): number => Math.max(lastEnd, length),
    /** `used`: the use of limits. */
    report: (seed: number, used: ReadonlyArray<LimitId & { readonly used: number }>): Report => {
      const duration = Math.max(lastEnd, length)
      for (const { limit, of } of used) limitFor({ limit, ...(of === undefined ? {} : { of }) })
      const waited = [...limits.values()].reduce((sum, limit) => sum + limit.waited, 0)
      const reports = [...limits.values()]
        .map((limit): LimitReport => {
          const use = used.find((each) => each.limit === limit.limit && each.of === limit.of)?.used
          return {
            ...limit,
            share: waited === 0 ? 0 : limit.waited / waited,
            ...(use === undefined ? {} : { used: use })
          }
        })
        .sort((a, b) => b.refused - a.refused || b.waited - a.waited || (b.used ?? 0) - (a.used ?? 0))
      const [first] = reports
      return {
        seed,
        duration,
        offered,
        answered,
        failed,
        errors: Object.fromEntries(errors),
        answeredBy: Object.fromEntries(answeredBy),
        requests,
        rateLimited,
        latency: timesOf(latency),
        wait: { limiter: timesOf(limiterWaits), key: timesOf(keyWaits), total: timesOf(totalWaits) },
        tokens: { input, output },
        ...(cost === undefined ? {} : { cost }),
        throughput: { period, periods },
        keys: [...keys.values()].map(({ busy, ...key }) => ({
          ...key,
          inFlight: duration === 0 ? 0 : busy / duration
        })),
        limits: reports,
        ...(first === undefined || (first.waited === 0 && first.refused === 0) ? {} : { bindingLimit: first })
      }
    }
  }
}

export type Recorder = ReturnType<typeof make>

/** Options of a simulation, checked and in milliseconds. */
import type { Duration } from "effect"
import { Either } from "effect"
import type { Checks } from "../internal/optionChecks.js"
import * as OptionChecks from "../internal/optionChecks.js"
import type { Arrival, Distribution, Options, Outage, Workload } from "./model.js"
import { InvalidSimulationError } from "./model.js"
import type { LogNormal } from "./random.js"
import { logNormal } from "./random.js"

export interface SettledOutage extends Omit<Outage, "from" | "to" | "status"> {
  readonly from: number
  readonly to: number
  readonly status: number
}

export interface ProviderSettings {
  readonly latency: LogNormal
  readonly perOutputToken: number
  readonly requests: number
  readonly tokens: number
  readonly per: number
  readonly outages: ReadonlyArray<SettledOutage>
}

export type WorkloadSettings =
  | {
      readonly _tag: "Load"
      /** Calls per millisecond in each minute. */
      readonly rates: ReadonlyArray<number>
      readonly duration: number
      readonly inputTokens: LogNormal
      readonly outputTokens: LogNormal
      readonly isEven: boolean
    }
  /** In the order of time. */
  | { readonly _tag: "Trace"; readonly trace: ReadonlyArray<Arrival> }

export interface Settings {
  readonly workload: WorkloadSettings
  readonly provider: ProviderSettings
  readonly maxTokens: number | undefined
  readonly seed: number
}

const isRange = <A>(input: Distribution<A>): input is { readonly p50: A; readonly p95: A } =>
  typeof input === "object" && input !== null && "p50" in input

const isAmount = (value: number): boolean => value >= 0 && value < Infinity

const distribution = <A>(
  { faults }: Checks,
  path: string,
  input: Distribution<A>,
  read: (path: string, value: A) => number
): LogNormal => {
  if (!isRange(input)) {
    const value = read(path, input)
    return logNormal(value, value)
  }
  const [p50, p95] = [read(`${path}.p50`, input.p50), read(`${path}.p95`, input.p95)]
  if (p95 < p50 || (p50 === 0 && p95 > 0)) faults.push(`${path}: p50 must be positive, and p95 at least p50`)
  return logNormal(p50, p95)
}

const workloadOf = (checks: Checks, workload: Workload): WorkloadSettings => {
  const { millis, number } = checks
  const amount = (path: string, value: number) => number(path, value, isAmount(value), "a number of at least 0")
  if ("trace" in workload) {
    workload.trace.forEach(({ at, inputTokens, outputTokens }, index) => {
      amount(`workload.trace[${index}].at`, at)
      amount(`workload.trace[${index}].inputTokens`, inputTokens)
      amount(`workload.trace[${index}].outputTokens`, outputTokens)
    })
    return { _tag: "Trace", trace: [...workload.trace].sort((a, b) => a.at - b.at) }
  }
  const { duration, inputTokens = 500, outputTokens = 200, rate, spacing = "random" } = workload
  const tokens = (path: string, input: Distribution<number>) => distribution(checks, path, input, amount)
  const isPositive = (value: number) => value > 0 && value < Infinity
  const rates =
    typeof rate === "number"
      ? [number("workload.rate", rate, isPositive(rate), "a positive number") / 1000]
      : rate.perMinute.map((perMinute, index) => amount(`workload.rate.perMinute[${index}]`, perMinute) / 60_000)
  if (typeof rate !== "number" && !rate.perMinute.some(isPositive)) {
    checks.faults.push("workload.rate.perMinute: must have a positive number")
  }
  return {
    _tag: "Load",
    rates,
    duration: millis("workload.duration", duration, OptionChecks.finite),
    inputTokens: tokens("workload.inputTokens", inputTokens),
    outputTokens: tokens("workload.outputTokens", outputTokens),
    isEven: spacing === "even"
  }
}

const providerOf = (checks: Checks, provider: NonNullable<Options["provider"]>): ProviderSettings => {
  const { faults, millis, number } = checks
  const { latency = { p50: "1 second", p95: "3 seconds" }, limits = {}, outages = [], perOutputToken = 0 } = provider
  const finite: OptionChecks.DurationRange = { name: "finite", includes: isAmount }
  const limit = (path: string, value = Infinity) => number(path, value, value > 0, "a positive number")
  return {
    latency: distribution<Duration.DurationInput>(checks, "provider.latency", latency, (path, value) =>
      millis(path, value, finite)
    ),
    perOutputToken: millis("provider.perOutputToken", perOutputToken, finite),
    requests: limit("provider.limits.requests", limits.requests),
    tokens: limit("provider.limits.tokens", limits.tokens),
    per: millis("provider.limits.per", limits.per ?? "1 minute", OptionChecks.finite),
    outages: outages.map((outage, index) => {
      const path = `provider.outages[${index}]`
      const { status = 503 } = outage
      const from = millis(`${path}.from`, outage.from, finite)
      const to = millis(`${path}.to`, outage.to, OptionChecks.anyLength)
      if (to <= from) faults.push(`${path}: must end after it begins`)
      number(`${path}.status`, status, Number.isInteger(status) && status >= 400 && status < 600, "from 400 to 599")
      return { ...outage, from, to, status }
    })
  }
}

export const read = ({
  maxTokens,
  provider = {},
  seed = 0,
  workload
}: Options): Either.Either<Settings, InvalidSimulationError> => {
  const checks = OptionChecks.make()
  const settings: Settings = {
    workload: workloadOf(checks, workload),
    provider: providerOf(checks, provider),
    maxTokens:
      maxTokens === undefined
        ? undefined
        : checks.number("maxTokens", maxTokens, Number.isInteger(maxTokens) && maxTokens > 0, "a positive integer"),
    seed: checks.number("seed", seed, Number.isSafeInteger(seed), "an integer")
  }
  return checks.faults.length > 0
    ? Either.left(new InvalidSimulationError({ faults: checks.faults }))
    : Either.right(settings)
}

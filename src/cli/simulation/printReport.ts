/** Prints the report of a simulation. */
import { Effect } from "effect"
import type { Limit, LimitReport, Report, Times, Variant } from "../../simulation/model.js"
import type { Cell } from "../output.js"
import { printTable } from "../output.js"
import { formatDollars, formatDuration } from "../terminal/renderAnswer.js"
import { outputStyle, sanitize } from "../terminal/style.js"
import { Terminal } from "../terminal/terminal.js"

/** The limits in the words of the file. */
const limitNames: Readonly<Record<Limit, string>> = {
  requests: "rate_limit",
  requestsPerMinute: "requests_per_minute",
  requestsPerDay: "requests_per_day",
  tokensPerMinute: "tokens_per_minute",
  concurrency: "max_concurrency",
  keyConcurrency: "max_concurrency of keys",
  keyRate: "max_qps of keys",
  providerLimits: "limits of the provider",
  providerQuota: "quota of the provider",
  keyFailures: "failing keys",
  deployments: "deployments of the group",
  retryDelay: "pauses between attempts",
  budget: "budget"
}

const nameOf = ({ limit, of }: LimitReport): string => `${limitNames[limit]}${of === undefined ? "" : ` of ${of}`}`

const whole = (value: number): string => Math.round(value).toLocaleString("en-US")

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

const right = (text: string): Cell => ({ text, right: true })

const length = (millis: number): string => {
  const [unit, divisor] =
    millis >= 86_400_000 ? ["d", 86_400_000] : millis >= 3_600_000 ? ["h", 3_600_000] : ["min", 60_000]
  return millis < 120_000 ? formatDuration(millis) : `${Number((millis / divisor).toFixed(1))} ${unit}`
}

const ratio = (part: number, of: number): number => (of === 0 ? 0 : part / of)

const perMinute = ({ answered, duration }: Report): string => `${whole(ratio(answered * 60_000, duration))} answers/min`

const facts = (report: Report): ReadonlyArray<string> => {
  const { answered, bindingLimit, cost, duration, failed, offered, rateLimited, requests, tokens } = report
  return [
    `${whole(offered)} calls in ${length(duration)}: ${whole(answered)} answered (${percent(ratio(answered, offered))}), ${whole(failed)} failed`,
    `${perMinute(report)}, ${whole(tokens.input)} + ${whole(tokens.output)} tokens${cost === undefined ? "" : `, ${formatDollars(cost)}`}`,
    `${whole(requests)} requests (${ratio(requests, offered).toFixed(2)} a call), ${whole(rateLimited)} refused with 429`,
    bindingLimit === undefined
      ? "No limit binds: no call waited."
      : `Binding limit: ${nameOf(bindingLimit)} (${whole(bindingLimit.refused)} calls refused, ${percent(bindingLimit.share)} of all waiting)`
  ]
}

const times = ["mean", "p50", "p95", "p99", "max"] as const

const timesRow = (name: string, row: Times): ReadonlyArray<Cell> => [
  { text: name },
  ...times.map((time) => right(formatDuration(row[time])))
]

/** The most rows of a table. */
const maxRows = 20

export const printReport = (
  subject: string,
  report: Report,
  variants: ReadonlyArray<Variant>
): Effect.Effect<void, never, Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const style = outputStyle(terminal)
    const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<Cell>>) =>
      rows.length === 0
        ? Effect.void
        : Effect.gen(function* () {
            yield* terminal.write("\n")
            yield* printTable(header, rows.slice(0, maxRows))
            if (rows.length > maxRows) yield* terminal.write(`… ${rows.length - maxRows} more, see --json\n`)
          })
    yield* terminal.write(`${[style(sanitize(subject), "bold"), ...facts(report).map(sanitize)].join("\n")}\n`)
    yield* table(
      ["", ...times],
      [
        timesRow("whole call", report.latency),
        timesRow("wait for a permit", report.wait.limiter),
        timesRow("wait for a key", report.wait.key),
        timesRow("all waits", report.wait.total)
      ]
    )
    yield* table(
      ["limit", "used", "share of waits", "refused"],
      report.limits.map((limit) => [
        { text: nameOf(limit) },
        right(limit.used === undefined ? "" : percent(limit.used)),
        right(percent(limit.share)),
        right(whole(limit.refused))
      ])
    )
    yield* table(
      ["key", "requests", "429", "failed", "tokens", "in flight"],
      report.keys.map(({ failed, id, inFlight, provider, rateLimited, requests, tokens }) => [
        { text: `${provider} ${id}` },
        right(whole(requests)),
        right(whole(rateLimited)),
        right(whole(failed)),
        right(whole(tokens)),
        right(inFlight.toFixed(2))
      ])
    )
    yield* table(
      ["failed calls", "count"],
      Object.entries(report.errors).map(([name, count]) => [{ text: name, attributes: ["red"] }, right(whole(count))])
    )
    yield* table(
      ["what if", "answered", "gain", "all waits p95"],
      variants.map(({ change, gain, report: { answered, wait } }) => [
        { text: change },
        right(whole(answered)),
        right(`${gain >= 0 ? "+" : ""}${whole(gain)}`),
        right(formatDuration(wait.total.p95))
      ])
    )
  })

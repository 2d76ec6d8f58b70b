/** `effect-llm bench`: measures the latency and the throughput of a model. */
import { Clock, Effect, Either, Option, Stream } from "effect"
import type { ChatRequest, ChatResponse } from "../../vocabulary/Chat.js"
import * as ChatEvent from "../../vocabulary/ChatEvent.js"
import * as Cost from "../../vocabulary/cost.js"
import * as Sketch from "../../vocabulary/quantileSketch.js"
import type * as LLM from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Usage from "../../vocabulary/Usage.js"
import { CliFailure, exitCodes, usageFailure } from "../failure.js"
import * as Shared from "../options.js"
import { printJson, printTable } from "../output.js"
import { Terminal } from "../terminal/terminal.js"
import { chooseModel, loadSource, makeModels, type Source } from "../config/loadModels.js"
import { formatDollars, formatDuration } from "../terminal/renderAnswer.js"
import * as LimitWaits from "../terminal/limitWaits.js"
import { sanitize, errorStyle } from "../terminal/style.js"
import type { ErrorCount } from "../batch/countErrors.js"
import { countErrors } from "../batch/countErrors.js"
import type { Arguments } from "../definitions/bench.js"

interface Sample {
  /** In milliseconds. */
  readonly latency: number
  readonly firstToken: number | undefined
  readonly response: ChatResponse
}

const now = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos) / 1e6)

/** Whether an event is of the content. */
const isOutput = (event: ChatEvent.ChatEvent): boolean => "index" in event

const sample = (llm: LLM.Service, request: ChatRequest.Input, isWhole: boolean): Effect.Effect<Sample, LLMError> =>
  Effect.gen(function* () {
    const startedAt = yield* now
    let firstAt: number | undefined
    const recordFirstToken = (event: ChatEvent.ChatEvent) =>
      firstAt === undefined && isOutput(event)
        ? Effect.map(now, (at) => {
            firstAt = at
          })
        : Effect.void
    const response = yield* isWhole
      ? llm.chat(request)
      : ChatEvent.collect(Stream.tap(llm.chatStream(request), recordFirstToken))
    const latency = (yield* now) - startedAt
    return { latency, firstToken: firstAt === undefined ? undefined : firstAt - startedAt, response }
  })

export interface Report {
  readonly provider: string
  readonly model: string
  readonly requests: number
  readonly concurrency: number
  readonly succeeded: number
  readonly failed: number
  /** From the first request to the end of the last, in milliseconds. */
  readonly elapsed: number
  readonly requestsPerSecond: number
  readonly outputTokensPerSecond: number
  /** In milliseconds. */
  readonly latency: Sketch.Summary
  readonly firstToken?: Sketch.Summary
  readonly usage: Usage.Usage
  readonly cost?: number
  /** The time of all requests together that was spent waiting for the rate limit of the model file, in milliseconds. */
  readonly waitedForLimit: number
  readonly errors: ReadonlyArray<ErrorCount>
}

const reportOf = (
  { model, provider }: LLM.ModelInfo,
  concurrency: number,
  outcomes: ReadonlyArray<Either.Either<Sample, LLMError>>,
  elapsed: number,
  waitedForLimit: number
): Report => {
  const samples = outcomes.flatMap((outcome) => (Either.isRight(outcome) ? [outcome.right] : []))
  const firstTokens = samples.flatMap(({ firstToken }) => (firstToken === undefined ? [] : [firstToken]))
  const costs = samples.flatMap(({ response: { cost } }) => (cost === undefined ? [] : [cost]))
  const usage = Usage.combineAll(samples.map(({ response }) => response.usage))
  const perSecond = (count: number): number => (elapsed === 0 ? 0 : (count * 1000) / elapsed)
  return {
    provider,
    model,
    requests: outcomes.length,
    concurrency,
    succeeded: samples.length,
    failed: outcomes.length - samples.length,
    elapsed,
    requestsPerSecond: perSecond(samples.length),
    outputTokensPerSecond: perSecond(usage.outputTokens),
    latency: Sketch.summary(Sketch.fromIterable(samples.map(({ latency }) => latency))),
    ...(firstTokens.length === 0 ? {} : { firstToken: Sketch.summary(Sketch.fromIterable(firstTokens)) }),
    usage,
    ...(costs.length === 0 ? {} : { cost: Cost.combineAll(costs).total }),
    waitedForLimit,
    errors: countErrors(
      outcomes.flatMap((outcome) =>
        Either.isLeft(outcome) ? [{ class: outcome.left._tag, message: outcome.left.message }] : []
      )
    )
  }
}

const percentiles = ["mean", "min", "p50", "p90", "p95", "p99", "max"] as const

const nameOf = ({ model, provider }: Pick<Report, "model" | "provider">): string => `${provider}/${model}`

/** That the limits of the model file set the pace; undefined when they did not. */
const paceOf = ({ concurrency, elapsed, requests, waitedForLimit }: Report): string | undefined =>
  LimitWaits.sentence(waitedForLimit, elapsed * Math.min(concurrency, requests))

/** The errors of the reports, each with the name of its model where there are several. */
const printErrors = (reports: ReadonlyArray<Report>): Effect.Effect<void, never, Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const rows = reports.flatMap((report) => report.errors.map((error) => ({ error, name: nameOf(report) })))
    if (rows.length === 0) return
    const isOne = reports.length === 1
    yield* terminal.write("\n")
    yield* printTable(
      [...(isOne ? [] : ["model"]), "count", "error", "example"],
      rows.map(({ error: { class: tag, count, example }, name }) => [
        ...(isOne ? [] : [{ text: name }]),
        { text: String(count), right: true },
        { text: tag, attributes: ["red"] },
        { text: example }
      ])
    )
  })

/** One row for each model. */
const printComparison = (reports: ReadonlyArray<Report>): Effect.Effect<void, never, Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const [first] = reports
    if (first !== undefined) {
      yield* terminal.write(`${first.requests} requests to each model, ${first.concurrency} at once\n\n`)
    }
    const hasFirstToken = reports.some(({ firstToken }) => firstToken !== undefined)
    const right = (text: string) => ({ text, right: true })
    const time = (summary: Sketch.Summary | undefined, percentile: "p50" | "p95") =>
      right(summary === undefined ? "" : formatDuration(summary[percentile]))
    yield* printTable(
      [
        "model",
        "answered",
        "requests/s",
        "tokens/s",
        ...(hasFirstToken ? ["first token p50", "p95"] : []),
        "whole answer p50",
        "p95",
        "cost"
      ],
      reports.map((report) => [
        { text: nameOf(report) },
        right(String(report.succeeded)),
        right(report.requestsPerSecond.toFixed(2)),
        right(report.outputTokensPerSecond.toFixed(1)),
        ...(hasFirstToken ? [time(report.firstToken, "p50"), time(report.firstToken, "p95")] : []),
        time(report.latency, "p50"),
        time(report.latency, "p95"),
        right(report.cost === undefined ? "" : formatDollars(report.cost))
      ])
    )
    const limited = reports.filter((report) => paceOf(report) !== undefined)
    for (const report of limited) yield* terminal.write(`\n${sanitize(nameOf(report))}: ${paceOf(report)}\n`)
    if (limited.length > 0) yield* terminal.write("--unlimited measures the providers alone.\n")
    yield* printErrors(reports)
  })

const printReport = (report: Report): Effect.Effect<void, never, Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const row = (name: string, summary: Sketch.Summary) => [
      { text: name },
      ...percentiles.map((percentile) => ({ text: formatDuration(summary[percentile]), right: true }))
    ]
    const facts = [
      sanitize(nameOf(report)),
      `${report.succeeded} of ${report.requests} answered, ${report.concurrency} at once, in ${formatDuration(report.elapsed)}`,
      `${report.requestsPerSecond.toFixed(2)} requests/s`,
      `${report.outputTokensPerSecond.toFixed(1)} output tokens/s`,
      ...(report.cost === undefined ? [] : [formatDollars(report.cost)])
    ]
    yield* terminal.write(`${facts.join("\n")}\n\n`)
    yield* printTable(
      ["", ...percentiles],
      [
        row("whole answer", report.latency),
        ...(report.firstToken === undefined ? [] : [row("first token", report.firstToken)])
      ]
    )
    const pace = paceOf(report)
    if (pace !== undefined) yield* terminal.write(`\n${pace} --unlimited measures the provider alone.\n`)
    yield* printErrors([report])
  })

/** Draws the number of finished requests on a terminal. */
const progressCounter = (total: number) =>
  Effect.map(Terminal, (terminal) => {
    let done = 0
    return Effect.suspend(() => {
      done += 1
      return terminal.errorIsTerminal
        ? terminal.writeError(`\r\u001b[K${done === total ? "" : errorStyle(terminal)(`${done}/${total}`, "dim")}`)
        : Effect.void
    })
  })

/** Raises or removes every limit of the models. */
const withoutLimits = (source: Source): Source => ({
  ...source,
  file: {
    ...source.file,
    models: source.file.models.map((entry) => ({
      ...entry,
      capacity: Infinity,
      refillRate: Infinity,
      requestsPerMinute: undefined,
      requestsPerDay: undefined,
      tokensPerMinute: undefined,
      maxConcurrency: undefined
    }))
  }
})

/** Sends the requests to one model. */
const measure = (args: Arguments, model: Option.Option<string>) =>
  Effect.gen(function* () {
    const { concurrency, noStream, prompt, requests, unlimited } = args
    const loaded = yield* loadSource({ config: args.config, model })
    const source = unlimited ? withoutLimits(loaded) : loaded
    const llm = yield* chooseModel(source, yield* makeModels(source), model)
    const request: ChatRequest.Input = {
      ...Shared.requestOf(args),
      messages: [{ role: "user", content: prompt }]
    }
    const countRequest = yield* progressCounter(requests)
    const startedAt = yield* now
    const limitWaits = yield* LimitWaits.make
    const outcomes = yield* limitWaits.measure(
      Effect.replicateEffect(Effect.ensuring(Effect.either(sample(llm, request, noStream)), countRequest), requests, {
        concurrency
      })
    )
    const elapsed = (yield* now) - startedAt
    return reportOf(llm.info, concurrency, outcomes, elapsed, yield* limitWaits.total)
  })

export const run = (args: Arguments) =>
  Effect.gen(function* () {
    const { concurrency, json, models, requests } = args
    if (requests < 1 || concurrency < 1) return yield* usageFailure("--requests and --concurrency must be at least 1.")
    const selected = models.length === 0 ? [Option.none<string>()] : models.map((model) => Option.some(model))
    const reports = yield* Effect.forEach(selected, (model) => measure(args, model))
    const [only, ...others] = reports
    if (only === undefined || others.length > 0) yield* json ? printJson(reports) : printComparison(reports)
    else yield* json ? printJson(only) : printReport(only)
    if (reports.some(({ failed }) => failed > 0)) {
      return yield* new CliFailure({ exitCode: exitCodes.failed, message: "" })
    }
  })

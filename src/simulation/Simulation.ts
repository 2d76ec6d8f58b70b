/**
 * A capacity planner: runs a workload in virtual time through the real key pools, limiters, retries, fallbacks, balances and budgets of
 * an `LLM`, over simulated providers, and reports throughput, waits, refusals, cost and the limit that binds. A day of calls takes
 * seconds, sends nothing, and gives the same report for the same seed.
 *
 * The `LLM` is the layer of the program: it gets an `HttpClient` that answers in virtual time. Layers must keep their state in memory;
 * what waits for the outside, such as a Redis, an asynchronous cache or a promise of a middleware, takes no virtual time.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { ChatCompletionsClient, KeyPool, LLM, RateLimiter } from "effect-llm"
 * import { Simulation } from "effect-llm/simulation"
 *
 * const OpenAI = LLM.layer({ model: "gpt-4o" }).pipe(
 *   Layer.provide(ChatCompletionsClient.layer()),
 *   Layer.provide(KeyPool.layer({ provider: "openai", keys: ["sk-one", "sk-two"] })),
 *   Layer.provide(RateLimiter.layer({ capacity: 20, refillRate: 4, tokensPerMinute: 200_000 }))
 * )
 *
 * const program = Effect.gen(function* () {
 *   const { answered, bindingLimit, wait } = yield* Simulation.run(OpenAI, {
 *     workload: { rate: 5, duration: "1 day", inputTokens: { p50: 800, p95: 3000 }, outputTokens: 300 },
 *     provider: {
 *       latency: { p50: "1 second", p95: "4 seconds" },
 *       limits: { requests: 200 },
 *       outages: [{ from: "600 minutes", to: "605 minutes" }]
 *     }
 *   })
 *   return { answered, limit: bindingLimit?.limit, p95: wait.total.p95 }
 * })
 * ```
 *
 * @since 0.2.0
 */
import type { HttpClient } from "@effect/platform"
import type { Layer, Scope } from "effect"
import { Effect } from "effect"
import type { LLM } from "../call/model.js"
import type { ProviderFile } from "../models/fileModel.js"
import * as Engine from "./engine.js"
import type { FileChange, FileError } from "./file.js"
import * as File from "./file.js"
import type { FileOptions, InvalidSimulationError, Options, Report, Variant } from "./model.js"

export * from "./model.js"
export type { FileError } from "./file.js"

/**
 * Runs a workload on the `LLM` of a layer.
 *
 * @since 0.2.0
 * @category running
 */
export const run = <E, R>(
  llm: Layer.Layer<LLM, E, R>,
  options: Options
): Effect.Effect<Report, E | InvalidSimulationError, Exclude<Exclude<R, HttpClient.HttpClient>, Scope.Scope>> =>
  Engine.simulate(Engine.subjectOfLayer(llm), options)

/**
 * Runs a workload on a model or group of a `provider.json`. `Models.loadFile` reads one.
 *
 * @since 0.2.0
 * @category running
 */
export const runFile = <E = never, R = never>(
  file: ProviderFile,
  options: FileOptions<E, R>
): Effect.Effect<
  Report,
  E | FileError | InvalidSimulationError,
  Exclude<Exclude<R, HttpClient.HttpClient>, Scope.Scope>
> => Engine.simulate(File.subjectOfFile(file, options), options)

/**
 * Runs the same workload on changed files: with one more key for each model, and without each of the limits in turn. The changes that gain
 * most come first.
 *
 * @since 0.2.0
 * @category running
 */
export const whatIf = <E = never, R = never>(
  file: ProviderFile,
  report: Report,
  options: FileOptions<E, R>
): Effect.Effect<
  ReadonlyArray<Variant>,
  E | FileError | InvalidSimulationError,
  Exclude<Exclude<R, HttpClient.HttpClient>, Scope.Scope>
> =>
  Effect.map(
    Effect.forEach([File.oneMoreKey(file), ...File.withoutEachLimit(file)], (changed) =>
      variant(changed, report, options)
    ),
    (variants) => variants.toSorted((a, b) => b.gain - a.gain)
  )

/**
 * Runs the same workload with one more key for each model: like its first one, and with an account of its own.
 *
 * @since 0.2.0
 * @category running
 */
export const oneMoreKey = <E = never, R = never>(
  file: ProviderFile,
  report: Report,
  options: FileOptions<E, R>
): Effect.Effect<
  Variant,
  E | FileError | InvalidSimulationError,
  Exclude<Exclude<R, HttpClient.HttpClient>, Scope.Scope>
> => variant(File.oneMoreKey(file), report, options)

const variant = <E, R>({ change, file }: FileChange, before: Report, options: FileOptions<E, R>) =>
  Effect.map(runFile(file, options), (report): Variant => ({ change, report, gain: report.answered - before.answered }))

/** `effect-llm simulate-load`: predicts how a configuration carries a load. */
import { ConfigError, Effect, Layer, Option } from "effect"
import * as Budget from "../../accounting/Budget.js"
import * as Pricing from "../../accounting/Pricing.js"
import type { InvalidBudgetError } from "../../accounting/budget/model.js"
import type { Service } from "../../call/model.js"
import type { InvalidSimulationError } from "../../simulation/model.js"
import * as Simulation from "../../simulation/Simulation.js"
import * as Prices from "../config/prices.js"
import { loadSource } from "../config/loadModels.js"
import type { Arguments } from "../definitions/simulateLoad.js"
import type { CliFailure } from "../failure.js"
import { callFailure, configurationFailure, usageFailure } from "../failure.js"
import { printJson } from "../output.js"
import * as Input from "../simulation/input.js"
import { printReport } from "../simulation/printReport.js"

const workloadOf = (args: Arguments) =>
  Effect.gen(function* () {
    if (Option.isSome(args.trace)) return { trace: yield* Input.trace(args.trace.value) }
    return {
      rate: yield* Input.rate(args.rate),
      duration: yield* Input.time("duration", args.duration),
      inputTokens: yield* Input.tokens("input-tokens", args.inputTokens),
      outputTokens: yield* Input.tokens("output-tokens", args.outputTokens)
    }
  })

const providerOf = (args: Arguments) =>
  Effect.gen(function* () {
    const { perToken, providerRpm, providerTpm } = args
    return {
      latency: yield* Input.latency(args.latency),
      outages: yield* Effect.forEach(args.outage, Input.outage),
      limits: {
        ...(Option.isSome(providerRpm) ? { requests: providerRpm.value } : {}),
        ...(Option.isSome(providerTpm) ? { tokens: providerTpm.value } : {})
      },
      ...(Option.isSome(perToken) ? { perOutputToken: yield* Input.time("per-token", perToken.value) } : {})
    }
  })

/** The cost of each answer where its price is known, and the budget. */
const makeMiddleware = (budget: Option.Option<number>) =>
  Effect.gen(function* () {
    const prices = yield* Layer.build(Prices.layer)
    const budgets = Option.isSome(budget)
      ? yield* Layer.build(
          Budget.layer([{ name: "--budget", limit: { dollars: budget.value }, period: "day" }]).pipe(
            Layer.provide(Layer.succeedContext(prices))
          )
        )
      : undefined
    return (llm: Service) =>
      Effect.gen(function* () {
        const priced = yield* Effect.provide(Pricing.middleware()(llm), prices)
        return budgets === undefined ? priced : yield* Effect.provide(Budget.middleware()(priced), budgets)
      })
  })

const failureOf = (
  error: CliFailure | Simulation.FileError | InvalidSimulationError | InvalidBudgetError
): CliFailure => {
  if (ConfigError.isConfigError(error)) return configurationFailure(error)
  switch (error._tag) {
    case "CliFailure":
      return error
    case "ModelNotFoundError":
      return callFailure(error)
    case "InvalidPoolError":
    case "InvalidLimitError":
      return configurationFailure(error)
    case "InvalidBudgetError":
    case "InvalidSimulationError":
      return usageFailure(error.message)
  }
}

export const run = (args: Arguments) =>
  Effect.gen(function* () {
    const options = {
      workload: yield* workloadOf(args),
      provider: yield* providerOf(args),
      seed: args.seed,
      ...(Option.isSome(args.maxTokens) ? { maxTokens: args.maxTokens.value } : {}),
      makeMiddleware: makeMiddleware(args.budget),
      ...(Option.isSome(args.model) ? { model: args.model.value } : {})
    }
    const { file, origin } = yield* loadSource(args)
    const report = yield* Simulation.runFile(file, options)
    const variants = args.compare
      ? yield* Simulation.whatIf(file, report, options)
      : args.oneMoreKey
        ? [yield* Simulation.oneMoreKey(file, report, options)]
        : []
    if (args.json) return yield* printJson(variants.length === 0 ? report : { ...report, whatIf: variants })
    yield* printReport(`${Option.getOrElse(args.model, () => file.default ?? origin)} (${origin})`, report, variants)
  }).pipe(Effect.mapError(failureOf))

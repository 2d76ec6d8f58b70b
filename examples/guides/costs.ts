/** Budgets and costs (docs/costs.md): prices an answer, sums it up by label, and refuses the call that a budget does not cover. */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { Budget, LLM, Pricing, UsageLedger } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

const Prices = Layer.unwrapEffect(
  Effect.map(Config.string("LLM_DEFAULT_MODEL").pipe(Config.withDefault("gpt-4o-mini")), (model) =>
    Pricing.layer({ openai: { [`${model}*`]: { input: 2, output: 8 } } })
  )
)
const Accounts = Layer.merge(
  UsageLedger.layer(),
  Budget.layer({ name: "team", limit: { dollars: 0.001 }, period: "day", scope: "each-label" })
)
const Metered = LLM.layerConfig().pipe(
  LLM.withMiddleware(Pricing.middleware()),
  LLM.withMiddleware(UsageLedger.middleware()),
  LLM.withMiddleware(Budget.middleware()),
  Layer.provideMerge(Accounts),
  Layer.provide(Prices),
  Layer.provide(NodeTransport.layerUndici)
)

const program = Effect.gen(function* () {
  const answer = yield* LLM.chat("What is the capital of France?", { maxTokens: 50 }).pipe(UsageLedger.label("team-a"))
  const { groups, total } = yield* UsageLedger.snapshot
  const team = UsageLedger.totalsBy(groups, "label").get("team-a")
  yield* Console.log(`$${answer.cost?.total} of $${total.cost.total}, ${team?.usage.totalTokens} tokens of team-a`)
  if (answer.cost === undefined || answer.cost.total !== total.cost.total) return yield* Effect.dieMessage("No cost.")
  const error = yield* LLM.chat("A long answer.", { maxTokens: 1000 }).pipe(UsageLedger.label("team-a"), Effect.flip)
  if (error._tag !== "BudgetExceededError") return yield* error
  yield* Console.log(`${error.reason}: ${error.message}`)
})

NodeRuntime.runMain(program.pipe(Effect.provide(Metered)))

/** The prediction of a simulation beside the same scenario over sockets: the same trace, limits, latency and configuration. */
import { expect, it } from "@effect/vitest"
import { NodeHttpClient } from "@effect/platform-node"
import { Context, Duration, Effect, Layer } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { Simulation } from "../../src/simulation/index.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Sketch from "../../src/vocabulary/quantileSketch.js"

const keys = ["sk-one", "sk-two"]
const latency = 200
const interval = 100

interface Scenario {
  readonly calls: number
  readonly limits: RateLimiter.Options
  /** The requests that the provider allows each key in two seconds. */
  readonly perKey: number | undefined
}

const layerOf = ({ limits }: Scenario, baseUrl?: string) =>
  LLM.layer({ model: "gpt-4o", telemetry: false, retry: { backoff: { base: "200 millis", jitter: 0 } } }).pipe(
    Layer.provide(ChatCompletionsClient.layer(baseUrl === undefined ? {} : { baseUrl })),
    Layer.provide(KeyPool.layer({ provider: "keys", keys })),
    Layer.provide(RateLimiter.layer({ adaptive: false, ...limits }))
  )

interface Figures {
  readonly answered: number
  readonly rateLimited: number
  /** The median of the calls' times beyond the latency of the provider, in milliseconds. */
  readonly wait: number
}

const simulated = (scenario: Scenario): Effect.Effect<Figures, unknown> =>
  Effect.map(
    Simulation.run(layerOf(scenario), {
      workload: {
        trace: Array.from({ length: scenario.calls }, (_, index) => ({
          at: index * interval,
          inputTokens: 20,
          outputTokens: 5
        }))
      },
      provider: {
        latency: Duration.millis(latency),
        limits: scenario.perKey === undefined ? {} : { requests: scenario.perKey, per: "2 seconds" }
      }
    }),
    (report) => ({
      answered: report.answered,
      rateLimited: report.rateLimited,
      wait: report.latency.p50 - latency
    })
  )

const overSockets = (scenario: Scenario): Effect.Effect<Figures, unknown> =>
  Effect.gen(function* () {
    const { perKey } = scenario
    const provider = yield* SimulatedProvider.make({
      keys: keys.map((key) => ({
        key,
        ...(perKey === undefined ? {} : { limit: { requests: perKey, per: "2 seconds" } })
      })),
      latency: Duration.millis(latency)
    })
    // Built in the scope of the run: the connections close with it.
    const context = yield* Layer.build(
      layerOf(scenario, provider.baseUrl).pipe(Layer.provide(NodeHttpClient.layerUndici))
    )
    const llm = Context.get(context, LLM.LLM)
    const outcomes = yield* Effect.forEach(
      Array.from({ length: scenario.calls }, (_, index) => index),
      (index) => Effect.delay(Effect.timed(Effect.either(llm.chat("Hello"))), Duration.millis(index * interval)),
      { concurrency: "unbounded" }
    )
    const answered = outcomes.filter(([, outcome]) => outcome._tag === "Right")
    const log = yield* provider.log
    const times = answered.map(([time]) => Duration.toMillis(time))
    return {
      answered: answered.length,
      rateLimited: log.filter(({ status }) => status === 429).length,
      wait: Sketch.summary(Sketch.fromIterable(times)).p50 - latency
    }
  }).pipe(Effect.scoped)

// The limit of the provider holds in a window of two seconds, so a busy machine shifts waits by a part of it.
const tolerance = { calls: 2, refusals: 8, wait: 700 }

it.live.each<[string, Scenario]>([
  ["a limiter binds", { calls: 50, limits: { capacity: 5, refillRate: 5 }, perKey: undefined }],
  ["the limits of the provider bind", { calls: 50, limits: { capacity: 100, refillRate: 100 }, perKey: 6 }]
])(
  "predicts answers, refusals and the median wait of a run over sockets where %s",
  ([, scenario]) =>
    Effect.gen(function* () {
      const [prediction, real] = [yield* simulated(scenario), yield* overSockets(scenario)]
      expect(Math.abs(prediction.answered - real.answered)).toBeLessThanOrEqual(tolerance.calls)
      expect(Math.abs(prediction.rateLimited - real.rateLimited)).toBeLessThanOrEqual(tolerance.refusals)
      expect(Math.abs(prediction.wait - real.wait)).toBeLessThanOrEqual(tolerance.wait)
      expect(prediction.wait).toBeGreaterThan(1000)
    }),
  60_000
)

/**
 * The prediction of a simulation beside the same scenario over sockets: the same trace, limits and configuration, and the latency that the
 * answers had there, which is longer on a busy machine.
 */
import { expect, it } from "@effect/vitest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
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
  /** The median of what the calls waited, in milliseconds. */
  readonly wait: number
}

const simulated = (scenario: Scenario, latency: number): Effect.Effect<Figures, unknown> =>
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
        latency,
        limits: scenario.perKey === undefined ? {} : { requests: scenario.perKey, per: "2 seconds" }
      }
    }),
    (report) => ({
      answered: report.answered,
      rateLimited: report.rateLimited,
      wait: report.wait.total.p50
    })
  )

const overSockets = (scenario: Scenario) =>
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
    const answered = outcomes.flatMap(([time, outcome]) =>
      outcome._tag === "Right" ? [{ millis: Duration.toMillis(time), right: outcome.right }] : []
    )
    const log = yield* provider.log
    const attempts = Sketch.summary(Sketch.fromIterable(answered.map(({ right }) => right.latency)))
    const waits = answered.map(({ millis, right }) => Math.max(0, millis - right.latency))
    const figures: Figures = {
      answered: answered.length,
      rateLimited: log.filter(({ status }) => status === 429).length,
      wait: Sketch.summary(Sketch.fromIterable(waits)).p50
    }
    return { figures, latency: attempts.p50 }
  }).pipe(Effect.scoped)

/**
 * A busy machine shifts calls by a part of the provider's window of two seconds: a key that returns earlier or later in it costs each of the
 * waiting calls half a window, and a round of refusals is ten. A run in which the machine stood still for longer says nothing, and is repeated.
 */
const tolerance = { calls: 2, refusals: 12, wait: 750 }

it.live.each<[string, Scenario]>([
  ["a limiter binds", { calls: 50, limits: { capacity: 5, refillRate: 5 }, perKey: undefined }],
  ["the limits of the provider bind", { calls: 50, limits: { capacity: 100, refillRate: 100 }, perKey: 6 }]
])(
  "predicts answers, refusals and the median wait of a run over sockets where %s",
  ([, scenario]) =>
    Effect.gen(function* () {
      const { figures: real, latency } = yield* overSockets(scenario)
      const prediction = yield* simulated(scenario, latency)
      expect(Math.abs(prediction.answered - real.answered)).toBeLessThanOrEqual(tolerance.calls)
      expect(Math.abs(prediction.rateLimited - real.rateLimited)).toBeLessThanOrEqual(tolerance.refusals)
      expect(Math.abs(prediction.wait - real.wait)).toBeLessThanOrEqual(tolerance.wait)
      expect(prediction.wait).toBeGreaterThan(1000)
    }),
  { timeout: 60_000, retry: 2 }
)

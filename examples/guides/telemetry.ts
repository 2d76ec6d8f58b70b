/** Observability (docs/telemetry.md): metrics, percentiles, a line of the access log and a callback for one call and one failure. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { AccessLog, LLM, Prometheus, Telemetry } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

const ended: Array<string> = []

const Observed = LLM.layerConfig().pipe(
  LLM.withMiddleware(AccessLog.middleware({ format: "text" })),
  LLM.withMiddleware(
    Telemetry.onCall({ onEnd: ({ requestId, outcome }) => Effect.sync(() => ended.push(`${requestId}: ${outcome}`)) })
  ),
  Layer.provide(NodeTransport.layerUndici)
)

const program = Effect.gen(function* () {
  yield* LLM.chat("What is the capital of France?").pipe(AccessLog.withRequestId("req-7"))
  yield* LLM.chat("Too hot", { temperature: -1 }).pipe(AccessLog.withRequestId("req-8"), Effect.ignore)
  const llm = yield* LLM.LLM
  const { latency } = yield* Telemetry.percentiles([llm])
  yield* Console.log(`Half of the calls took less than ${latency.p50} ms.`)
  yield* Telemetry.recordLevels([llm])
  return (yield* Prometheus.text).split("\n").filter((line) => /^llm_(requests_total|keys\{)/.test(line))
})

const check = Effect.gen(function* () {
  const lines = yield* program.pipe(Effect.provide(Observed))
  yield* Console.log(lines.join("\n"))
  // The queued callbacks have run, because the layer is released.
  yield* Console.log(ended)
  const counted = ["ok", "InvalidRequestError"].every((outcome) =>
    lines.some((line) => line.includes(`outcome="${outcome}"`))
  )
  const isReady = lines.some((line) => line.includes('state="ready"') && line.endsWith(" 1"))
  if (!counted || !isReady || ended.length !== 2) return yield* Effect.dieMessage("Some telemetry is missing.")
})

NodeRuntime.runMain(check)

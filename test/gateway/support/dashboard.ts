/** A gateway with a dashboard, and with everything that a dashboard can show. */
import { HttpServer } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import type { Duration } from "effect"
import { Context, Effect, Layer, Logger, LogLevel } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import * as Budget from "../../../src/accounting/Budget.js"
import * as CacheStore from "../../../src/caching/CacheStore.js"
import { Access, Dashboard, DashboardHistory, Gateway, GatewayServer } from "../../../src/gateway/index.js"
import * as Models from "../../../src/models/Models.js"
import * as Pricing from "../../../src/accounting/Pricing.js"
import * as ResponseCache from "../../../src/caching/ResponseCache.js"
import { SimulatedProvider } from "../../../src/testing/index.js"
import * as Transports from "../../support/transports.js"

export const adminToken = "the-token-of-the-administration"

/** A secret of a provider. It must never be seen in a browser. */
export const canary = "canary-upstream-secret-91c2"

/** The page, built as for a release into a folder of its own, for as long as the scope is open. */
export const builtPage = Effect.acquireRelease(
  Effect.gen(function* () {
    const folder = mkdtempSync(join(tmpdir(), "effect-llm-page-"))
    const script = fileURLToPath(new URL("../../../.ci/page.mjs", import.meta.url))
    yield* Effect.async<void, Error>((resume) => {
      execFile(process.execPath, [script, folder], (error) => resume(error === null ? Effect.void : Effect.fail(error)))
    })
    return pathToFileURL(`${folder}/`)
  }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const keysOf = (name: string, howMany: number) =>
  Array.from({ length: howMany }, (_, index) => `${canary}-${name}-${index}`)

const entry = (model: string, baseUrl: string, keys: ReadonlyArray<string>) => ({
  model_name: model,
  type: "chat-completions",
  api_keys: keys.map((key, index) => ({ key, max_concurrency: 4 + index * 4 })),
  base_url: baseUrl,
  rate_limit_capacity: 200,
  rate_limit_refill_rate: 40,
  max_retries: 1
})

export interface Settings {
  readonly page: URL
  readonly provider?: SimulatedProvider.Options
  readonly access?: Access.Options
  /** @default any that is free */
  readonly port?: number
  /** How long the gateway waits for calls under way when it shuts down. @default "30 seconds" */
  readonly grace?: Duration.DurationInput
  /** The file of the history. @default none */
  readonly history?: string
  /** Whether the request log has bodies. @default false */
  readonly bodies?: boolean
}

export const start = ({
  access = { adminToken },
  bodies = false,
  grace = "30 seconds",
  history,
  page,
  port = 0,
  provider: options
}: Settings) =>
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make(options)
    const file = yield* Models.parseFile(
      JSON.stringify({
        openai: [
          entry("gpt-large", provider.baseUrl, keysOf("a", 3)),
          entry("gpt-small", provider.baseUrl, keysOf("b", 1))
        ],
        deepseek: [entry("deepseek-chat", provider.baseUrl, keysOf("c", 2))],
        $groups: {
          balanced: {
            members: [
              { model: "openai/gpt-large", weight: 2 },
              { model: "deepseek/deepseek-chat", order: 1, max_concurrency: 16 }
            ]
          }
        },
        $aliases: { fast: "openai/gpt-small", anything: "balanced" }
      }),
      "test.json"
    )
    const budgets = Budget.layer([
      { name: "everything", limit: { dollars: 5 }, period: "day", unknownPrice: "count-tokens" },
      { name: "tokens", limit: { tokens: 60_000 }, period: "hour" }
    ])
    const around: Gateway.Options<Budget.Budget | ResponseCache.ResponseCache>["around"] = (llm) =>
      Effect.flatMap(Budget.middleware()(llm), ResponseCache.middleware())
    const live = Gateway.layer({ around, grace }).pipe(
      Layer.provideMerge(Dashboard.layer({ page, bodies })),
      Layer.provide(
        history === undefined
          ? Layer.empty
          : Layer.provide(DashboardHistory.layerFile({ path: history }), NodeFileSystem.layer)
      ),
      Layer.provideMerge(Layer.merge(budgets, ResponseCache.layer())),
      Layer.provideMerge(CacheStore.layerMemory()),
      Layer.provideMerge(GatewayServer.layer({ port })),
      Layer.provideMerge(Access.layer(access)),
      Layer.provideMerge(Models.layer(file, { telemetry: false })),
      Layer.provide(Pricing.layer({ openai: { "gpt-large": { input: 250, output: 1000 } } })),
      Layer.provide(Transports.direct)
    )
    const context = yield* Logger.withMinimumLogLevel(Layer.build(live), LogLevel.None)
    const { address } = Context.get(context, HttpServer.HttpServer)
    const url = address._tag === "TcpAddress" ? `http://127.0.0.1:${address.port}` : ""
    return {
      url,
      provider,
      models: Context.get(context, Models.Models),
      dashboard: Context.get(context, Dashboard.Dashboard)
    }
  })

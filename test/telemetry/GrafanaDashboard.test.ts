import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import * as Exposition from "../../src/telemetry/exposition.js"
import * as Series from "../../src/telemetry/series.js"
import { readFileSync } from "node:fs"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Telemetry from "../../src/telemetry/Telemetry.js"
import { read } from "../support/exposition.js"
import { answer, context, unavailable } from "../support/scripted.js"

const Panel = Schema.Struct({
  id: Schema.Int,
  title: Schema.NonEmptyString,
  gridPos: Schema.Struct({ x: Schema.Int, y: Schema.Int, w: Schema.Int, h: Schema.Int }),
  targets: Schema.NonEmptyArray(
    Schema.Struct({ refId: Schema.String, expr: Schema.NonEmptyString, legendFormat: Schema.String })
  )
})

const Dashboard = Schema.Struct({
  uid: Schema.Literal("effect-llm"),
  panels: Schema.NonEmptyArray(Panel),
  templating: Schema.Struct({
    list: Schema.Array(Schema.Struct({ name: Schema.String, definition: Schema.optional(Schema.String) }))
  })
})

const dashboard = Schema.decodeUnknownSync(Schema.parseJson(Dashboard))(
  readFileSync(new URL("../../docs/grafana/effect-llm.json", import.meta.url), "utf8")
)

const refused = new LLMErrors.AuthenticationError({ ...context, status: 401, message: "wrong key" })

/** The series of a program that has recorded every metric, by name with their labels. */
const series = Effect.gen(function* () {
  const provider = "charted"
  let isDown = true
  const llm = yield* LLM.make({ model: "model", retry: { backoff: { base: 0 } } }).pipe(
    Effect.provideService(ProviderClient.ProviderClient, {
      provider,
      wire: "test",
      chat: (_, { key }) =>
        key.id === "bad" ? Effect.fail(refused) : Effect.delay(Effect.succeed(answer("Hello")), "20 millis"),
      chatStream: () =>
        Stream.suspend(() => {
          if (!isDown) return Stream.fromIterable(ChatEvent.fromResponse(answer("Hello")))
          isDown = false
          return Stream.fail(unavailable)
        })
    }),
    Effect.provide(
      KeyPool.layer({
        provider,
        keys: [
          { key: "1", id: "bad", maxConcurrency: 1 },
          { key: "2", id: "good", maxConcurrency: 1 }
        ]
      })
    ),
    Effect.provide(RateLimiter.layer({ capacity: 100, refillRate: 100, tokensPerMinute: 1_000_000 }))
  )
  yield* Effect.all([llm.chat("?"), llm.chat("?")], { concurrency: "unbounded" })
  yield* Stream.runDrain(llm.chatStream("?"))
  const ours = (yield* Series.snapshot).filter(({ labels }) => labels.some(([, value]) => value === provider))
  const labels = new Map<string, ReadonlySet<string>>()
  for (const { samples } of read(Exposition.render(ours))) {
    for (const { labels: own, name } of samples) {
      labels.set(name, new Set([...(labels.get(name) ?? []), ...Object.keys(own)]))
    }
  }
  return labels
})

const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))

/** The series that an expression names, with the labels that it selects by. */
const named = (expression: string) =>
  [...expression.matchAll(/\b(llm_[a-z_]+)(?:\{([^}]*)\})?/g)].map(([, name = "", selector = ""]) => ({
    name,
    labels: [...selector.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label)
  }))

describe("the Grafana dashboard", () => {
  it.live("queries only existing series and labels", () =>
    Effect.gen(function* () {
      const existing = yield* series
      for (const expression of [
        ...expressions,
        ...dashboard.templating.list.flatMap(({ definition }) => definition ?? [])
      ]) {
        const selected = named(expression)
        expect(selected.length, expression).toBeGreaterThan(0)
        for (const { labels, name } of selected) {
          expect([...existing.keys()], expression).toContain(name)
          for (const label of labels) expect([...(existing.get(name) ?? [])], expression).toContain(label)
          for (const [, by = ""] of expression.matchAll(/ by \(([^)]*)\)/g)) {
            for (const label of by.split(", ")) expect([...(existing.get(name) ?? [])], expression).toContain(label)
          }
        }
      }
    })
  )

  it.live("shows every metric of the library", () =>
    Effect.gen(function* () {
      const shownNames = new Set(expressions.flatMap(named).map(({ name }) => name))
      const names = [...(yield* series).keys()].map((name) => name.replace(/_(bucket|sum|count)$/, ""))
      // Those of OpenTelemetry's conventions say the same for dashboards of others.
      const families = new Set(names.filter((name) => !name.startsWith("gen_ai_")))
      expect(families.size).toBe(Object.keys(Telemetry.metrics).length)
      for (const family of families) {
        expect(
          [...shownNames].some((name) => name.replace(/_(bucket|sum|count)$/, "") === family),
          family
        ).toBe(true)
      }
    })
  )

  it("has panels that do not overlap, and legends whose labels the query keeps", () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { h, w, x, y } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`)
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    for (const { targets } of dashboard.panels) {
      for (const { expr, legendFormat } of targets) {
        for (const [, label = ""] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          expect(expr).toMatch(new RegExp(` by \\([^)]*\\b${label}\\b`))
        }
      }
    }
  })
})

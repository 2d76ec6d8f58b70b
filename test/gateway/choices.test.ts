/** Several choices (`n`) of groups in which one model makes them in one call and another makes one a call. */
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { Middleware, Service } from "../../src/LLM.js"
import * as Models from "../../src/models/Models.js"
import * as Balance from "../../src/routing/Balance.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as Hedge from "../../src/routing/Hedge.js"
import * as Transports from "../support/transports.js"
import { start } from "./support/gateway.js"
import { post, question } from "./support/http.js"
import { minimalAnswer, minimalStream } from "./support/minimalAnswers.js"
import { answering, chunksOf } from "./support/upstream.js"

/** A model of another faithful protocol, and one of the same protocol that is not faithful. */
const others = ["anthropic", "openrouter"] as const

type Join = (other: Service) => Middleware

const groups: ReadonlyArray<readonly [string, Join]> = [
  ["Fallback", (other) => Fallback.make([other])],
  ["Hedge", (other) => Hedge.make([other], { delay: "1 hour", maxExtraLoad: 1, onFailure: true })],
  [
    "Balance",
    (other) => (next) => Effect.orDie(Balance.make([{ llm: next }, { llm: other }], { strategy: Balance.failover }))
  ]
]

/** A gateway whose faithful model is out of service, with a group that hands its calls on to the other one. */
const group = (join: Join, provider: (typeof others)[number]) =>
  Effect.gen(function* () {
    const protocol = provider === "anthropic" ? "messages" : "chat completions"
    const upstream = yield* answering((body) =>
      body["stream"] === true
        ? { contentType: "text/event-stream", text: minimalStream(protocol) }
        : { contentType: "application/json", text: JSON.stringify(minimalAnswer(protocol)) }
    )
    const entry = { model_name: "other", api_keys: ["k"], base_url: `${upstream.origin}/v1` }
    const file = yield* Models.parseFile(JSON.stringify({ [provider]: [entry] }), "other.json")
    const models = yield* Layer.build(Models.layer(file).pipe(Layer.provide(Transports.direct)))
    const other = yield* Context.get(models, Models.Models).get(provider, "other")
    const { url } = yield* start({
      entry: { base_url: "http://127.0.0.1:9/v1" },
      gateway: { around: join(other) }
    })
    return (fields: object) =>
      Effect.map(
        post(`${url}/v1/chat/completions`, question("chat completions", "openai/large", { n: 3, ...fields })),
        (answer) => ({ ...answer, calls: upstream.bodies.length })
      )
  })

describe.each(groups)("n choices of a %s whose first model alone makes them in one call", (_, join) => {
  it.scopedLive.each(others)("come from n calls of the other one, of %s", (other) =>
    Effect.gen(function* () {
      const ask = yield* group(join, other)
      const { calls, json, text } = yield* ask({})
      expect(json, text).toMatchObject({
        choices: [0, 1, 2].map((index) => ({ index, message: { content: "Hi" } }))
      })
      expect(calls).toBe(3)
    })
  )

  it.scopedLive.each(others)("come from n streams of the other one, of %s", (other) =>
    Effect.gen(function* () {
      const ask = yield* group(join, other)
      const { calls, text } = yield* ask({ stream: true })
      const indices = chunksOf(text).flatMap(({ choices }) =>
        (choices as ReadonlyArray<{ readonly index: number }>).map(({ index }) => index)
      )
      expect(new Set(indices), text).toEqual(new Set([0, 1, 2]))
      expect(calls).toBe(3)
    })
  )
})

describe("n choices of a faithful model of another protocol", () => {
  it.scopedLive("come from n calls", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start()
      const { json, text } = yield* post(
        `${url}/v1/chat/completions`,
        question("chat completions", "anthropic/large", { n: 2 })
      )
      expect(json, text).toMatchObject({ choices: [{ index: 0 }, { index: 1 }] })
      expect(yield* provider.log).toHaveLength(2)
    })
  )
})

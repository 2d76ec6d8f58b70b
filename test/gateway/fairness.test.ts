/** Clients of the gateway that wait for the limit of one model. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { eventually } from "../support/eventually.js"
import * as Gateways from "./support/gateway.js"
import * as Http from "./support/http.js"

const labels = ["heavy", "small", "bursting"] as const

type Label = (typeof labels)[number]

const keys = labels.map((label) => ({
  key: `sk-${label}-1234567890`,
  label,
  ...(label === "heavy" ? { weight: 2 } : {})
}))

describe("clients that wait for the limit of a model", () => {
  it.live("are served in proportion to their weights, however many calls another has sent before", () =>
    Effect.gen(function* () {
      const { models, url } = yield* Gateways.start({
        entry: { rate_limit_capacity: 1, rate_limit_refill_rate: 2 },
        access: { keys }
      })
      const llm = yield* models.get("openai/large")
      const served: Array<Label> = []
      const ask = (label: Label, calls: number) =>
        Http.post(url + Http.paths["chat completions"], Http.question("chat completions", "openai/large"), {
          authorization: `Bearer sk-${label}-1234567890`
        }).pipe(
          Effect.tap(({ status }) => Effect.sync(() => status === 200 && served.push(label))),
          Effect.replicateEffect(calls, { concurrency: "unbounded", discard: true }),
          Effect.fork
        )
      const waiting = (calls: number) =>
        eventually(Effect.map(llm.status, ({ limiter }) => limiter.waiting + served.length >= calls))
      const bursting = yield* ask("bursting", 20)
      yield* waiting(19)
      const before = served.length
      const others = [yield* ask("small", 2), yield* ask("heavy", 4)]
      yield* Fiber.joinAll(others)
      expect(served.length - before).toBeLessThan(13)
      yield* Fiber.interrupt(bursting)
    }).pipe(Effect.scoped)
  )
})

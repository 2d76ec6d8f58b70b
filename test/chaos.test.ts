/** A short run of `npm run chaos`, with the providers in this process. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Keys from "./chaos/keys.js"
import * as Provider from "./chaos/provider.js"
import { run } from "./chaos/run.js"
import { transports } from "./support/transports.js"

describe("chaos run", () => {
  it.live.each(transports)(
    "over %s, ends every call in time with an answer or a typed error, and loses, leaks or double-counts nothing",
    ([, transport]) => {
      const plan = { calls: 120, seed: 1 }
      return Effect.map(
        run({ plan, providers: Provider.make(plan), concurrency: 10, transport }),
        ({ broken, outcomes }) => {
          expect(broken).toEqual([])
          expect(outcomes.get("outage")?.has("answered")).toBe(false)
        }
      )
    }
  )

  it.live.each(transports)(
    "over %s, keys under pressure answer what they can, and lose and leak nothing",
    ([, transport]) =>
      Effect.map(Effect.provide(Keys.run(500, 16, 1), transport), (rows) => {
        expect(rows.flatMap(({ broken }) => broken)).toEqual([])
        expect(rows.map(({ untyped }) => untyped)).toEqual(rows.map(() => 0))
      })
  )
})

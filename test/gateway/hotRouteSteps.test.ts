/** The fiber steps of a request to a hot route, from its fiber's beginning to its end: the part of its cost that is exact. */
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { RequestId } from "../../src/telemetry/callRecord.js"
import { counting } from "../support/steps.js"
import { countedSteps } from "./support/countedSteps.js"
import { waitUntilIdle } from "./support/gateway.js"
import * as Servers from "./support/servers.js"
import { paths, question } from "./support/http.js"

const secret = "sk-client-1"

/** The client key has limits, as those of a team have. */
const settings: Parameters<typeof Servers.start>[1] = {
  access: { keys: [{ key: secret, label: "team", rateLimit: { requestsPerMinute: 1e6, maxConcurrency: 100 } }] }
}

const stepsOf = (stream: boolean) =>
  Effect.gen(function* () {
    const steps = counting((fiber) => Context.get(fiber.currentContext, RequestId) !== "")
    const served = yield* steps.within(Servers.start("GatewayServer", settings))
    const body = { ...question("chat completions", "openai/large"), stream }
    const counts: Array<number> = []
    for (let run = 0; run < 10; run++) {
      const { status } = yield* Servers.ask(served, paths["chat completions"], body, {
        authorization: `Bearer ${secret}`
      })
      expect(status).toBe(200)
      yield* waitUntilIdle(served)
      counts.push(yield* steps.take)
    }
    // The first requests make values that are made once, and a body or an answer can come in several reads.
    return Math.min(...counts)
  })

describe("the fiber steps of a request", () => {
  it.scopedLive("are as many for a whole answer as were counted for this version of Effect", () =>
    Effect.map(stepsOf(false), (steps) => expect(steps).toBe(countedSteps.whole))
  )

  it.scopedLive("are as many for a streamed answer as were counted for this version of Effect", () =>
    Effect.map(stepsOf(true), (steps) => expect(steps).toBe(countedSteps.streamed))
  )
})

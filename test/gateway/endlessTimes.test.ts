/** Options of a gateway that are longer than a timer of JavaScript can be. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "./support/gateway.js"
import { post, question } from "./support/http.js"

describe("a gateway whose times have no end", () => {
  it.scopedLive("reads bodies and sends no comments before the first event of a stream", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ gateway: { bodyTimeout: Infinity, keepAlive: Infinity } })
      const body = question("chat completions", "fast", { stream: true })
      const { status, text } = yield* post(`${gateway.url}/v1/chat/completions`, body)
      expect(status).toBe(200)
      expect(text).not.toContain(": keep-alive")
      expect(text).toContain("data: [DONE]")
    })
  )
})

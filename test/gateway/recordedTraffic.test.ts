/**
 * Recorded requests and answers of the folder `LLM_FIXTURES` through a gateway in front of a faithful provider of the same protocol.
 * Without the variable, the suite is skipped.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { isRecord } from "../../src/wire/json.js"
import type { Exchange } from "../conformance/exchanges.js"
import { load } from "../conformance/exchanges.js"
import { start } from "./support/gateway.js"
import { paths, postText } from "./support/http.js"
import { sendingPieces } from "./support/upstream.js"

const folder = process.env["LLM_FIXTURES"]

/** The folders of recordings with the name of the model and the path of their protocol. */
const protocols = [
  ["chat-completions", "openai/large", paths["chat completions"]],
  ["responses", "oai/large", paths.responses],
  ["anthropic", "anthropic/large", paths.messages]
] as const

const limits = { rate_limit_capacity: 10_000, rate_limit_refill_rate: 10_000 }

/** Whether an answer has counts. Without them an estimate is added for a client that asks for them. */
const hasUsage = (body: Uint8Array): boolean => /"usage"\s*:\s*\{/.test(new TextDecoder().decode(body))

/** Several choices of a stream are calls of their own. */
const hasStreamedChoices = ({ requestBody, streaming }: Exchange): boolean =>
  streaming && isRecord(requestBody) && typeof requestBody["n"] === "number" && requestBody["n"] > 1

/** The gateway makes such a call itself, and answers before the provider does. */
const isInBackground = ({ requestBody }: Exchange): boolean =>
  isRecord(requestBody) && requestBody["background"] === true

/** The recorded body with another model. Recordings are stored as values, so their notation is that of `JSON.stringify`. */
const bodyOf = ({ body, requestBody, streaming }: Exchange, model: string): string => {
  const { stream: _, stream_options: __, ...fields } = isRecord(requestBody) ? requestBody : {}
  const options = {
    ...(streaming ? { stream: true } : {}),
    ...(streaming && hasUsage(body) ? { stream_options: { include_usage: true } } : {})
  }
  return JSON.stringify({ ...fields, ...options, model }, null, 1)
}

/** Whether the provider got the body, with the options of the stream added where the client did not write them. */
const sameButOptions = (text: string | undefined, exchange: Exchange): boolean => {
  const sent = bodyOf(exchange, "large")
  return text === sent || text === sent.replace(/\n\}$/, ',"stream_options":{"include_usage":true}\n}')
}

describe.skipIf(folder === undefined)("recorded traffic through a gateway", () => {
  it.scopedLive.each(protocols)(
    "requests and answers of %s pass unchanged",
    ([protocol, model, path]) =>
      Effect.gen(function* () {
        const upstream = yield* sendingPieces()
        const base_url = `${upstream.origin}/v1`
        const { url } = yield* start({
          entry: { base_url },
          sections: {
            oai: [{ model_name: "large", type: "responses", preset: "openai", api_keys: ["k"], base_url, ...limits }]
          }
        })
        const recorded = load(folder ?? "", protocol).filter(
          (exchange) => exchange.expected.kind !== "error" && !hasStreamedChoices(exchange) && !isInBackground(exchange)
        )
        const faults: Array<string> = []
        let compared = 0
        for (const exchange of recorded) {
          const { body, headers, name } = exchange
          const sentBefore = upstream.texts.length
          upstream.answer(headers["content-type"] ?? "application/json", [body])
          const { status, text } = yield* postText(url + path, bodyOf(exchange, model))
          // A request that the gateway refuses itself, such as one without messages.
          if (upstream.texts.length === sentBefore) continue
          compared++
          if (!sameButOptions(upstream.texts.at(-1), exchange)) faults.push(`${name}: the request`)
          const came = new TextDecoder().decode(body)
          if (!text.startsWith(came)) faults.push(`${name}: the answer, ${status}`)
        }
        expect(compared).toBeGreaterThan(20)
        expect(faults).toEqual([])
      }),
    120_000
  )
})

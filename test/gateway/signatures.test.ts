/** Reasoning that a gateway hands to clients of other protocols, in the next turn: real servers, whose requests are the witness. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "./support/gateway.js"
import { post, postText } from "./support/http.js"
import type { Client } from "./support/signedTurns.js"
import {
  behind,
  callPart,
  clients,
  list,
  log,
  named,
  providers,
  redacted,
  signedBy,
  thinking
} from "./support/signedTurns.js"
import { answering } from "./support/upstream.js"

describe("reasoning that a client of any protocol sends back", () => {
  for (const provider of providers) {
    for (const [name, client] of Object.entries(clients)) {
      for (const stream of [false, true]) {
        it.scopedLive(
          `reaches ${provider.section} equal and in place from ${name}, ${stream ? "streamed" : "whole"}`,
          () =>
            Effect.gen(function* () {
              const { model, upstream, url } = yield* behind(provider)
              const answer = yield* stream
                ? Effect.map(
                    postText(url + client.path, JSON.stringify({ ...client.first, model, stream })),
                    ({ text }) => client.collect(text)
                  )
                : Effect.map(post(url + client.path, { ...client.first, model }), ({ json }) => json)
              const { status } = yield* post(url + client.path, { ...client.next(answer), model })
              expect(status).toBe(200)
              expect(provider.sent(upstream.bodies.at(-1))).toEqual(
                JSON.parse(signedBy("Bearer sk-one", provider.expected))
              )
            })
        )
      }
    }
  }
})

describe("reasoning of one provider in a request to another", () => {
  for (const maker of providers) {
    for (const target of providers.filter((each) => each !== maker)) {
      for (const [name, client] of Object.entries(clients)) {
        it.scopedLive(`is left out and named: of ${maker.section} to ${target.section} from ${name}`, () =>
          Effect.gen(function* () {
            const first = yield* behind(maker)
            const { json } = yield* post(first.url + client.path, { ...client.first, model: first.model })
            const other = yield* behind(target)
            const { headers, status } = yield* post(other.url + client.path, {
              ...client.next(json),
              model: other.model
            })
            expect(status).toBe(200)
            const sent = other.upstream.texts.at(-1) ?? ""
            expect(sent).toContain("find")
            for (const secret of ["ellm1.", thinking.signature, redacted.data, "one+/=", callPart.thoughtSignature]) {
              expect(sent).not.toContain(secret)
            }
            expect(headers.get("x-effect-llm-dropped")).toContain("messages.reasoning.signature")
          })
        )
      }
    }
  }
})

describe("reasoning of one of two accounts behind one model", () => {
  const [, provider] = providers

  /** A first turn with each key, and the second turn of each in the opposite order: the strategy would take the wrong keys. */
  const conversations = (client: Client) =>
    Effect.gen(function* () {
      if (provider === undefined) return yield* Effect.dieMessage("no provider")
      const { model, refused, upstream, url } = yield* behind(provider, {
        keys: ["sk-one", "sk-two"],
        fields: { max_retries: 1 }
      })
      const first = Effect.map(post(url + client.path, { ...client.first, model }), ({ json }) => client.next(json))
      const histories = [yield* first, yield* first].reverse()
      const owners = log(upstream)
        .map(({ authorization }) => authorization)
        .reverse()
      expect(new Set(owners).size).toBe(2)
      const second = (index: number) => post(url + client.path, { ...histories[index], model })
      return { owners, provider, refused, second, seconds: () => log(upstream).slice(2) }
    })

  for (const [name, client] of Object.entries(clients)) {
    it.scopedLive(`reaches the account that made it and no other from ${name}`, () =>
      Effect.gen(function* () {
        const { owners, provider, second, seconds } = yield* conversations(client)
        for (const index of [0, 1, 0, 0, 1]) {
          const { headers, status } = yield* second(index)
          expect(status).toBe(200)
          expect(headers.has("x-effect-llm-dropped")).toBe(false)
          expect(seconds().at(-1)?.authorization).toBe(owners[index])
          expect(provider.sent(seconds().at(-1)?.body)).toEqual(JSON.parse(signedBy(owners[index], provider.expected)))
        }
      })
    )

    it.scopedLive(`is left out and named where its account refuses the request of ${name}`, () =>
      Effect.gen(function* () {
        const { owners, provider, refused, second, seconds } = yield* conversations(client)
        refused.set(owners[0] ?? "", { status: 429 })
        for (const expected of [[owners[0], owners[1]], [owners[1]]]) {
          const before = seconds().length
          const { headers, status } = yield* second(0)
          expect(status).toBe(200)
          expect(headers.get("x-effect-llm-dropped")).toContain("messages.reasoning.signature")
          const requests = seconds().slice(before)
          expect(requests.map(({ authorization }) => authorization)).toEqual(expected)
          expect(JSON.stringify(requests.at(-1)?.body)).not.toContain("encrypted_content")
          expect(provider.sent(requests.at(-1)?.body)).toEqual([
            { type: "function_call", call_id: "call_1", name: "find" }
          ])
        }
      })
    )
  }

  for (const stream of [false, true]) {
    it.scopedLive(
      `reaches its account in an unchanged body of the same protocol, ${stream ? "streamed" : "whole"}`,
      () =>
        Effect.gen(function* () {
          const upstream = yield* answering((body, { headers }) => {
            const answer = signedBy(headers.authorization, provider?.answer)
            const events = list(provider?.events).map((event) => JSON.parse(signedBy(headers.authorization, event)))
            return body["stream"] === true
              ? { contentType: "text/event-stream", text: named(events) }
              : { contentType: "application/json", text: answer }
          })
          const model = {
            model_name: "large",
            type: "responses",
            preset: "openai",
            api_keys: ["sk-one", "sk-two"],
            base_url: `${upstream.origin}/v1`
          }
          const { url } = yield* start({ sections: { own: [model] } })
          const client = clients["Responses"]
          if (client === undefined) return yield* Effect.dieMessage("no client")
          const ask = (text: string) => postText(url + client.path, text)
          const first = Effect.map(
            ask(JSON.stringify({ ...client.first, model: "own/large", stream })),
            ({ json, text }) => client.next(stream ? client.collect(text) : json)
          )
          const histories = [yield* first, yield* first].reverse()
          const owners = log(upstream)
            .map(({ authorization }) => authorization)
            .reverse()
          expect(new Set(owners).size).toBe(2)
          for (const index of [0, 1, 0, 0, 1]) {
            const text = `{ "model":"own/large", "top_p": 1.0,  ${JSON.stringify(histories[index]).slice(1)}`
            expect((yield* ask(text)).status).toBe(200)
            expect(upstream.headers.at(-1)?.authorization).toBe(owners[index])
            expect(upstream.texts.at(-1)).toBe(text.replace("own/large", "large"))
          }
        })
    )
  }
})

/** Requests of a client to a faithful provider of the same protocol: the provider gets the same bytes, apart from named edits. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FastCheck from "fast-check"
import type { Middleware } from "../../src/LLM.js"
import type { MemberText, ObjectText } from "../wire/jsonTexts.js"
import { renderObject, spaces, unknownMembers, valueTexts } from "../wire/jsonTexts.js"
import type { Settings } from "./support/gateway.js"
import { start } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, postText } from "./support/http.js"
import { answering } from "./support/upstream.js"
import { minimalAnswer, minimalStream } from "./support/minimalAnswers.js"

const protocols: ReadonlyArray<Protocol> = ["chat completions", "responses", "messages"]

/** The name of the model for clients; the provider's is `large`. */
const models = { "chat completions": "openai/large", responses: "oai/large", messages: "anthropic/large" } as const

const limits = { rate_limit_capacity: 1000, rate_limit_refill_rate: 1000 }

/** A gateway in front of a provider that records bodies. `only`: a model with a name of its own. */
const recording = (protocol: Protocol, settings: Settings = {}, only = "unnamed") =>
  Effect.gen(function* () {
    const upstream = yield* answering((body) =>
      body["stream"] === true
        ? { contentType: "text/event-stream", text: minimalStream(protocol) }
        : { contentType: "application/json", text: JSON.stringify(minimalAnswer(protocol)) }
    )
    const base_url = `${upstream.origin}/v1`
    const { url } = yield* start({
      ...settings,
      entry: { base_url, ...settings.entry },
      sections: {
        oai: [
          {
            model_name: "large",
            type: "responses",
            preset: "openai",
            api_keys: ["k"],
            base_url,
            ...limits,
            ...settings.entry
          }
        ],
        azure: [{ model_name: only, type: "chat-completions", api_keys: ["k"], base_url, ...limits }],
        ...settings.sections
      }
    })
    const send = (text: string, headers: Readonly<Record<string, string>> = {}) =>
      Effect.map(postText(url + paths[protocol], text, headers), ({ status, text: answer }) => {
        expect(status, answer).toBe(200)
        return upstream.texts.at(-1)
      })
    return { send, upstream }
  })

const member = (name: string, value: string): MemberText => ({ name, quoted: JSON.stringify(name), value })

/** Members that the protocol requires, in any notation. */
const required = (protocol: Protocol): FastCheck.Arbitrary<ReadonlyArray<MemberText>> => {
  const messages = FastCheck.tuple(valueTexts, spaces).map(
    ([value, white]) => `[${white}{"x_of_vendor":${white}${value},"content":"H\\u0065y\\ud83d\\ude00", "role":"user"}]`
  )
  const input = messages.map((value) => member(protocol === "responses" ? "input" : "messages", value))
  const limit = FastCheck.constantFrom("1024", "1024.0", "1.024e3").map((value) => member("max_tokens", value))
  const temperature = FastCheck.constantFrom("1.0", "1e0", "0.10").map((value) => member("temperature", value))
  return FastCheck.tuple(input, temperature, ...(protocol === "messages" ? [limit] : []))
}

const shuffled = (members: ReadonlyArray<MemberText>): FastCheck.Arbitrary<ReadonlyArray<MemberText>> =>
  FastCheck.shuffledSubarray([...members], { minLength: members.length })

/** The members with this model in the last `model`, which is the one that `JSON.parse` reads. */
const withLastModel = (members: ReadonlyArray<MemberText>, model: string): ReadonlyArray<MemberText> => {
  const last = members.findLastIndex(({ name }) => name === "model")
  return members.map((each, index) => (index === last ? member("model", JSON.stringify(model)) : each))
}

/** Bodies with the model at any place, also behind others that the client's key was not checked for. */
const bodies = (protocol: Protocol, more: ReadonlyArray<MemberText> = []): FastCheck.Arbitrary<ObjectText> =>
  FastCheck.tuple(required(protocol), unknownMembers, FastCheck.boolean(), spaces).chain(
    ([fields, unknown, isTwice, space]) =>
      shuffled([
        ...fields,
        ...unknown,
        ...more,
        member("model", JSON.stringify(models[protocol])),
        ...(isTwice ? [member("model", '"other/forbidden"'), member("model", '{"a":1}')] : [])
      ]).map((members) => ({ members: withLastModel(members, models[protocol]), space }))
  )

/** The body with the provider's name in the last `model`, without the others, and with what is added behind the last member. */
const edited = (body: ObjectText, addition = ""): string => {
  const model = body.members.findLast(({ name }) => name === "model")
  const members = body.members.filter((each) => each === model || each.name !== "model")
  return renderObject(
    { ...body, members },
    (index, value) => (members[index] === model ? '"large"' : value) + (index === members.length - 1 ? addition : "")
  )
}

const samples = <A>(arbitrary: FastCheck.Arbitrary<A>): ReadonlyArray<A> =>
  FastCheck.sample(arbitrary, { numRuns: 40, seed: 1 })

describe("body of a client for a faithful provider of the same protocol", () => {
  it.scopedLive.each(protocols)("reaches the provider of %s unchanged but for the model", (protocol) =>
    Effect.gen(function* () {
      const { send } = yield* recording(protocol)
      for (const body of samples(bodies(protocol))) expect(yield* send(renderObject(body))).toBe(edited(body))
    })
  )

  it.scopedLive.each(["responses", "messages"] as const)("reaches the provider of streamed %s unchanged", (protocol) =>
    Effect.gen(function* () {
      const { send } = yield* recording(protocol)
      for (const body of samples(bodies(protocol, [member("stream", "true")]))) {
        expect(yield* send(renderObject(body))).toBe(edited(body))
      }
    })
  )

  it.scopedLive("of a Chat Completions stream gets stream_options behind its last member", () =>
    Effect.gen(function* () {
      const { send } = yield* recording("chat completions")
      for (const body of samples(bodies("chat completions", [member("stream", "true")]))) {
        expect(yield* send(renderObject(body))).toBe(edited(body, ',"stream_options":{"include_usage":true}'))
      }
    })
  )

  it.scopedLive("keeps the other stream options, and all where the usage is included", () =>
    Effect.gen(function* () {
      const { send } = yield* recording("chat completions")
      const request = (options: string, model = "openai/large") =>
        `{"stream":true,"stream_options":${options},"model":"${model}","messages":[{"role":"user","content":"x"}]}`
      const cases = [
        ['{"x":1.0 , "include_usage":false}', '{"x":1.0 , "include_usage":true}'],
        ['{"x":1.0 }', '{"x":1.0,"include_usage":true }'],
        ["null", '{"include_usage":true}'],
        ['{ "include_usage" : true, "x": 1e2}', '{ "include_usage" : true, "x": 1e2}']
      ] as const
      for (const [options, expected] of cases) {
        expect(yield* send(request(options))).toBe(request(expected, "large"))
      }
    })
  )

  it.scopedLive(
    "keeps what the encoder of Messages changed: thinking, budgets, display, effort and the order of blocks",
    () =>
      Effect.gen(function* () {
        const { send } = yield* recording("messages")
        const fields = [
          '"output_config":{"effort":"high"}',
          '"thinking":{"type":"disabled"}',
          '"thinking":{"type":"enabled","budget_tokens":2048}',
          '"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"max"}',
          '"system":[{"type":"text","text":""},{"type":"text","text":"b"}]',
          '"metadata":{"user_id":null}',
          '"stop_sequences":[]',
          '"temperature":1.7'
        ]
        const messages =
          '[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},' +
          '{"role":"user","content":[{"type":"text","text":"first"},{"type":"tool_result","tool_use_id":"t"}]},' +
          '{"role":"user","content":" "},{"role":"assistant","content":"b "}]'
        for (const field of fields) {
          const request = (model: string) => `{"max_tokens":4096,"model":"${model}",${field},"messages":${messages}}`
          expect(yield* send(request("anthropic/large"))).toBe(request("large"))
        }
      })
  )

  it.scopedLive("reaches the provider with one model, also where the client wrote the provider's name last", () =>
    Effect.gen(function* () {
      const { send } = yield* recording("chat completions", {}, "only")
      const request = (models: string) => `{${models}"messages":[{"role":"user","content":"x"}]}`
      expect(yield* send(request('"model":"other/forbidden","model":"only",'))).toBe(request('"model":"only",'))
    })
  )

  it.scopedLive("passes n to the provider, in one call", () =>
    Effect.gen(function* () {
      const { send, upstream } = yield* recording("chat completions")
      const request = (model: string) => `{"n": 3,"model":"${model}","messages":[{"role":"user","content":"x"}]}`
      expect(yield* send(request("openai/large"))).toBe(request("large"))
      expect(upstream.texts).toHaveLength(1)
    })
  )

  it.scopedLive("passes the version, the betas and no other header of a client on", () =>
    Effect.gen(function* () {
      const { send, upstream } = yield* recording("messages")
      yield* send('{"model":"anthropic/large","max_tokens":1,"messages":[{"role":"user","content":"x"}]}', {
        "anthropic-beta": "one, two",
        "anthropic-version": "2023-01-01",
        "openai-organization": "org",
        cookie: "a=b",
        "x-forwarded-for": "1.2.3.4"
      })
      const [headers] = upstream.headers
      expect(headers?.["anthropic-beta"]).toBe("one, two")
      expect(headers?.["anthropic-version"]).toBe("2023-01-01")
      expect(Object.keys(headers ?? {}).sort()).toEqual([
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "connection",
        "content-length",
        "content-type",
        "host",
        "x-api-key"
      ])
    })
  )
})

/** A limit of the output, as a program puts it around its models. */
const capped: Middleware = (next) =>
  Effect.succeed({
    ...next,
    chat: (input) => next.chat(typeof input === "string" ? input : { ...input, maxTokens: 10 })
  })

describe("body of a client that defaults or a middleware change", () => {
  it.scopedLive("gets the changed field alone", () =>
    Effect.gen(function* () {
      const { send } = yield* recording("chat completions", { gateway: { around: capped } })
      const request = (model: string, limit: string) =>
        `{"x":1.0,"model":"${model}",${limit}"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}], "stop":"s"}`
      expect(yield* send(request("openai/large", '"max_completion_tokens" : 1e3,'))).toBe(
        request("large", '"max_completion_tokens" : 10,')
      )
      expect(yield* send(request("openai/large", '"max_tokens":1000, '))).toBe(
        request("large", " ").replace('"s"', '"s","max_completion_tokens":10')
      )
    })
  )

  it.scopedLive("gets the defaults of the model where the client wrote none", () =>
    Effect.gen(function* () {
      const { send } = yield* recording("messages", { entry: { default_temperature: 0.5 } })
      const request = (model: string, more: string) =>
        `{"max_tokens":10.0,"model":"${model}","messages":[{"role":"user","content":[{"type":"text","text":""}]}]${more}}`
      expect(yield* send(request("anthropic/large", ""))).toBe(request("large", ',"temperature":0.5'))
      expect(yield* send(request("anthropic/large", ',"temperature":1.0'))).toBe(request("large", ',"temperature":1.0'))
    })
  )
})

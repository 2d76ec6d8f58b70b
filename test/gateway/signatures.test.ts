/** Reasoning that a gateway hands to clients of other protocols, in the next turn: real servers, whose requests are the witness. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "./support/gateway.js"
import { paths, post, postText } from "./support/http.js"
import type { Upstream } from "./support/upstream.js"
import { answering, chunksOf, sse } from "./support/upstream.js"

type Json = Readonly<Record<string, unknown>>

const at = (value: unknown, ...path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>(
    (inner, step) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, step) : undefined),
    value
  )

const list = (value: unknown): ReadonlyArray<Json> => (Array.isArray(value) ? value : [])

// -------------------------------------------------------------------------------------
// providers: an answer with signed reasoning and a tool call, and what the next request must contain
// -------------------------------------------------------------------------------------

const usage = { input_tokens: 3, output_tokens: 2 }

const thinking = { type: "thinking", thinking: "Look it up.", signature: "c2lnbmVk+/=" }
const redacted = { type: "redacted_thinking", data: "cmVkYWN0ZWQ=" }
const toolUse = { type: "tool_use", id: "toolu_1", name: "find", input: { q: 1 } }

const reasoningItem = {
  type: "reasoning",
  id: "rs_1",
  summary: [{ type: "summary_text", text: "Look it up." }],
  encrypted_content: "Z0FBQUFB+/="
}
const functionItem = {
  type: "function_call",
  id: "fc_1",
  call_id: "call_1",
  name: "find",
  arguments: '{"q":1}',
  status: "completed"
}

const callPart = { functionCall: { id: "fn_1", name: "find", args: { q: 1 } }, thoughtSignature: "Z2VtaW5p+/=" }

interface Provider {
  readonly section: string
  readonly type: string
  readonly path: string
  readonly answer: unknown
  readonly events: ReadonlyArray<unknown>
  /** The reasoning and the calls of the assistant in a request. */
  readonly sent: (body: unknown) => unknown
  readonly expected: unknown
}

const providers: ReadonlyArray<Provider> = [
  {
    section: "anthropic",
    type: "anthropic-messages",
    path: "/v1",
    answer: {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "large",
      content: [thinking, redacted, toolUse],
      stop_reason: "tool_use",
      stop_sequence: null,
      usage
    },
    events: [
      {
        type: "message_start",
        message: { id: "msg_1", type: "message", role: "assistant", model: "large", content: [], usage }
      },
      { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "Look " } },
      { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "it up." } },
      { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: thinking.signature } },
      { type: "content_block_stop", index: 0 },
      { type: "content_block_start", index: 1, content_block: redacted },
      { type: "content_block_stop", index: 1 },
      { type: "content_block_start", index: 2, content_block: { ...toolUse, input: {} } },
      { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: '{"q":1}' } },
      { type: "content_block_stop", index: 2 },
      { type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage },
      { type: "message_stop" }
    ],
    sent: (body) => list(at(body, "messages")).find(({ role }) => role === "assistant")?.["content"],
    expected: [thinking, redacted, toolUse]
  },
  {
    section: "responses",
    type: "responses",
    path: "/v1",
    answer: {
      id: "resp_1",
      object: "response",
      status: "completed",
      model: "large",
      output: [reasoningItem, functionItem],
      usage: { ...usage, total_tokens: 5 }
    },
    events: [
      { type: "response.created", response: { id: "resp_1", model: "large", status: "in_progress", output: [] } },
      { type: "response.output_item.added", output_index: 0, item: { ...reasoningItem, summary: [] } },
      {
        type: "response.reasoning_summary_part.added",
        item_id: "rs_1",
        output_index: 0,
        summary_index: 0,
        part: { type: "summary_text", text: "" }
      },
      {
        type: "response.reasoning_summary_text.delta",
        item_id: "rs_1",
        output_index: 0,
        summary_index: 0,
        delta: "Look it up."
      },
      { type: "response.output_item.done", output_index: 0, item: reasoningItem },
      { type: "response.output_item.added", output_index: 1, item: { ...functionItem, arguments: "" } },
      { type: "response.function_call_arguments.delta", item_id: "fc_1", output_index: 1, delta: '{"q":1}' },
      { type: "response.output_item.done", output_index: 1, item: functionItem },
      {
        type: "response.completed",
        response: {
          id: "resp_1",
          model: "large",
          status: "completed",
          output: [reasoningItem, functionItem],
          usage: { ...usage, total_tokens: 5 }
        }
      }
    ],
    sent: (body) =>
      list(at(body, "input")).flatMap(({ arguments: _, id, status: __, ...item }) =>
        item["type"] === "reasoning" ? [{ ...item, id }] : item["type"] === "function_call" ? [item] : []
      ),
    expected: [reasoningItem, { type: "function_call", call_id: "call_1", name: "find" }]
  },
  {
    section: "gemini",
    type: "gemini",
    path: "/v1beta",
    answer: {
      responseId: "g_1",
      modelVersion: "gemini-3-pro",
      candidates: [{ index: 0, content: { role: "model", parts: [callPart] }, finishReason: "STOP" }],
      usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 }
    },
    events: [
      {
        responseId: "g_1",
        modelVersion: "gemini-3-pro",
        candidates: [{ index: 0, content: { role: "model", parts: [callPart] }, finishReason: "STOP" }],
        usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 }
      }
    ],
    sent: (body) => list(at(body, "contents")).find(({ role }) => role === "model")?.["parts"],
    expected: [callPart]
  }
]

// -------------------------------------------------------------------------------------
// clients: a request, and the history with its answer as these clients send it back
// -------------------------------------------------------------------------------------

interface Client {
  readonly path: string
  readonly first: Json
  readonly next: (answer: unknown) => Json
  /** A whole answer from the text of a stream. */
  readonly collect: (text: string) => unknown
}

const parameters = { type: "object", properties: { q: { type: "number" } } }
const question = { role: "user", content: "Find it." }

const chatTools = [{ type: "function", function: { name: "find", parameters } }]
const responsesTools = [{ type: "function", name: "find", parameters }]
const anthropicTools = [{ name: "find", input_schema: parameters }]

const clients: Readonly<Record<string, Client>> = {
  "Chat Completions": {
    path: paths["chat completions"],
    first: { messages: [question], tools: chatTools },
    next: (answer) => {
      const message = at(answer, "choices", 0, "message")
      const results = list(at(message, "tool_calls")).map(({ id }) => ({
        role: "tool",
        tool_call_id: id,
        content: "found"
      }))
      return { messages: [question, message, ...results], tools: chatTools }
    },
    collect: (text) => {
      const deltas = chunksOf(text).map((chunk) => at(chunk, "choices", 0, "delta"))
      const details = new Map<unknown, Json>()
      for (const detail of deltas.flatMap((delta) => list(at(delta, "reasoning_details")))) {
        const before = details.get(detail["index"])
        details.set(detail["index"], {
          ...before,
          ...detail,
          ...("text" in detail ? { text: `${String(before?.["text"] ?? "")}${String(detail["text"])}` } : {}),
          ...("summary" in detail
            ? { summary: `${String(before?.["summary"] ?? "")}${String(detail["summary"])}` }
            : {})
        })
      }
      const calls = new Map<unknown, Json>()
      for (const { function: fn, ...call } of deltas.flatMap((delta) => list(at(delta, "tool_calls")))) {
        const before = calls.get(call["index"])
        const args = `${String(at(before, "function", "arguments") ?? "")}${String(at(fn, "arguments") ?? "")}`
        calls.set(call["index"], {
          ...before,
          ...call,
          function: { name: at(before, "function", "name") ?? at(fn, "name"), arguments: args }
        })
      }
      const message = {
        role: "assistant",
        content: null,
        reasoning_details: [...details.values()],
        tool_calls: [...calls.values()]
      }
      return { choices: [{ message }] }
    }
  },
  Responses: {
    path: paths.responses,
    first: { input: [question], tools: responsesTools, store: false, include: ["reasoning.encrypted_content"] },
    next: (answer) => {
      const output = list(at(answer, "output"))
      const results = output.flatMap(({ call_id, type }) =>
        type === "function_call" ? [{ type: "function_call_output", call_id, output: "found" }] : []
      )
      return { input: [question, ...output, ...results], tools: responsesTools, store: false }
    },
    collect: (text) =>
      at(
        chunksOf(text).find(({ type }) => type === "response.completed"),
        "response"
      )
  },
  Anthropic: {
    path: paths.messages,
    first: { messages: [question], tools: anthropicTools, max_tokens: 4000 },
    next: (answer) => {
      const content = list(at(answer, "content"))
      const results = content.flatMap(({ id, type }) =>
        type === "tool_use" ? [{ type: "tool_result", tool_use_id: id, content: "found" }] : []
      )
      return {
        messages: [question, { role: "assistant", content }, { role: "user", content: results }],
        tools: anthropicTools,
        max_tokens: 4000
      }
    },
    collect: (text) => {
      const blocks: Array<Record<string, unknown>> = []
      let args = ""
      for (const event of chunksOf(text)) {
        const block = blocks.at(-1)
        const delta = at(event, "delta")
        if (event["type"] === "content_block_start") {
          blocks.push({ ...Object(at(event, "content_block")) })
          args = ""
        } else if (event["type"] === "content_block_delta" && block !== undefined) {
          if (at(delta, "type") === "thinking_delta")
            block["thinking"] = `${String(block["thinking"])}${String(at(delta, "thinking"))}`
          if (at(delta, "type") === "signature_delta") block["signature"] = at(delta, "signature")
          if (at(delta, "type") === "input_json_delta") args += String(at(delta, "partial_json"))
        } else if (event["type"] === "content_block_stop" && block?.["type"] === "tool_use")
          block["input"] = JSON.parse(args)
      }
      return { content: blocks }
    }
  }
}

/** A whole answer, whose encrypted reasoning only this account can read. */
const signedBy = (authorization: string | undefined, answer: unknown): string =>
  JSON.stringify(answer).replace(
    reasoningItem.encrypted_content,
    `${authorization?.slice("Bearer sk-".length) ?? ""}+/=`
  )

/** A provider that answers, and the gateway in front of it with these keys. */
const behind = (provider: Provider, keys: ReadonlyArray<unknown> = ["sk-one"]) =>
  Effect.gen(function* () {
    const refused = new Set<string>()
    const upstream = yield* answering((body, { headers, url }) => {
      if (refused.has(headers.authorization ?? "")) {
        return {
          status: 429,
          contentType: "application/json",
          text: JSON.stringify({ error: { message: "Slow down." } })
        }
      }
      const isStream = body["stream"] === true || url?.includes("stream") === true
      return isStream
        ? {
            contentType: "text/event-stream",
            text:
              provider.type === "anthropic-messages" || provider.type === "responses"
                ? named(provider.events)
                : sse(provider.events)
          }
        : { contentType: "application/json", text: signedBy(headers.authorization, provider.answer) }
    })
    const model = {
      model_name: "large",
      type: provider.type,
      api_keys: keys,
      base_url: `${upstream.origin}${provider.path}`
    }
    const { url } = yield* start({
      sections: {
        [provider.section]: [model, ...(provider.type === "gemini" ? [{ ...model, model_name: "gemini-3-pro" }] : [])]
      }
    })
    return {
      refused,
      upstream,
      url,
      model: `${provider.section}/${provider.type === "gemini" ? "gemini-3-pro" : "large"}`
    }
  })

const named = (events: ReadonlyArray<unknown>): string =>
  events.map((event) => `event: ${String(at(event, "type"))}\ndata: ${JSON.stringify(event)}\n\n`).join("")

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
                stream ? provider.expected : JSON.parse(signedBy("Bearer sk-one", provider.expected))
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
            const { json, text } = yield* post(first.url + client.path, { ...client.first, model: first.model })
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
            // An answer that was passed through unchanged names no account.
            if (text.includes("ellm1."))
              expect(headers.get("x-effect-llm-dropped")).toContain("messages.reasoning.signature")
          })
        )
      }
    }
  }
})

/** The keys and bodies of the requests so far. */
const log = ({ bodies, headers }: Upstream) =>
  bodies.map((body, index) => ({ authorization: headers[index]?.authorization ?? "", body }))

describe("reasoning of one of two accounts behind one model", () => {
  const [, provider] = providers

  /** A first turn with each key, and the second turn of each in the opposite order: the strategy would take the wrong keys. */
  const conversations = (client: Client) =>
    Effect.gen(function* () {
      if (provider === undefined) return yield* Effect.dieMessage("no provider")
      const { model, refused, upstream, url } = yield* behind(provider, [{ key: "sk-one" }, { key: "sk-two" }])
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
        refused.add(owners[0] ?? "")
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

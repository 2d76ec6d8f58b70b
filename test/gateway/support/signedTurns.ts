/** Providers whose answers have signed reasoning and a tool call, and clients that send such answers back in the next turn. */
import { Effect } from "effect"
import type { Settings } from "./gateway.js"
import { start } from "./gateway.js"
import { paths } from "./http.js"
import type { Upstream } from "./upstream.js"
import { answering, chunksOf, sse } from "./upstream.js"

export type Json = Readonly<Record<string, unknown>>

export const at = (value: unknown, ...path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>(
    (inner, step) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, step) : undefined),
    value
  )

export const list = (value: unknown): ReadonlyArray<Json> => (Array.isArray(value) ? value : [])

// -------------------------------------------------------------------------------------
// providers: an answer with signed reasoning and a tool call, and what the next request must contain
// -------------------------------------------------------------------------------------

export const usage = { input_tokens: 3, output_tokens: 2 }

export const thinking = { type: "thinking", thinking: "Look it up.", signature: "c2lnbmVk+/=" }
export const redacted = { type: "redacted_thinking", data: "cmVkYWN0ZWQ=" }
export const toolUse = { type: "tool_use", id: "toolu_1", name: "find", input: { q: 1 } }

export const reasoningItem = {
  type: "reasoning",
  id: "rs_1",
  summary: [{ type: "summary_text", text: "Look it up." }],
  encrypted_content: "Z0FBQUFB+/="
}
export const functionItem = {
  type: "function_call",
  id: "fc_1",
  call_id: "call_1",
  name: "find",
  arguments: '{"q":1}',
  status: "completed"
}

export const callPart = { functionCall: { id: "fn_1", name: "find", args: { q: 1 } }, thoughtSignature: "Z2VtaW5p+/=" }

export interface Provider {
  readonly section: string
  readonly type: string
  readonly path: string
  readonly answer: unknown
  readonly events: ReadonlyArray<unknown>
  /** The reasoning and the calls of the assistant in a request. */
  readonly sent: (body: unknown) => unknown
  readonly expected: unknown
}

export const providers: ReadonlyArray<Provider> = [
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

export interface Client {
  readonly path: string
  readonly first: Json
  readonly next: (answer: unknown) => Json
  /** A whole answer from the text of a stream. */
  readonly collect: (text: string) => unknown
}

const parameters = { type: "object", properties: { q: { type: "number" } } }
export const question = { role: "user", content: "Find it." }

const chatTools = [{ type: "function", function: { name: "find", parameters } }]
const responsesTools = [{ type: "function", name: "find", parameters }]
const anthropicTools = [{ name: "find", input_schema: parameters }]

export const clients: Readonly<Record<string, Client>> = {
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
export const signedBy = (authorization: string | undefined, answer: unknown): string =>
  JSON.stringify(answer).replaceAll(
    reasoningItem.encrypted_content,
    `${authorization?.slice("Bearer sk-".length) ?? ""}+/=`
  )

/** How a provider refuses the requests of a key. */
interface Refusal {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
}

interface Behind extends Settings {
  /** The keys of the model. */
  readonly keys?: ReadonlyArray<unknown>
  /** Further fields of the model in the provider file. */
  readonly fields?: Readonly<Record<string, unknown>>
}

/** A provider that answers, except for keys that it refuses: by their `authorization`. */
export const upstreamOf = (provider: Provider) => {
  const refused = new Map<string, Refusal>()
  return Effect.map(
    answering((body, { headers, url }) => {
      const refusal = refused.get(headers.authorization ?? "")
      if (refusal !== undefined) {
        return {
          ...refusal,
          contentType: "application/json",
          text: JSON.stringify({ error: { message: "Refused." } })
        }
      }
      const isStream = body["stream"] === true || url?.includes("stream") === true
      const events = JSON.parse(signedBy(headers.authorization, provider.events))
      return isStream
        ? {
            contentType: "text/event-stream",
            text: provider.type === "anthropic-messages" || provider.type === "responses" ? named(events) : sse(events)
          }
        : { contentType: "application/json", text: signedBy(headers.authorization, provider.answer) }
    }),
    (upstream) => ({ refused, upstream })
  )
}

/** A provider that answers, and the gateway in front of it. */
export const behind = (provider: Provider, { fields, keys = ["sk-one"], ...settings }: Behind = {}) =>
  Effect.gen(function* () {
    const { refused, upstream } = yield* upstreamOf(provider)
    const model = {
      model_name: provider.type === "gemini" ? "gemini-3-pro" : "large",
      type: provider.type,
      api_keys: keys,
      base_url: `${upstream.origin}${provider.path}`,
      ...fields
    }
    const { models, url } = yield* start({
      ...settings,
      sections: { [provider.section]: [model], ...settings.sections }
    })
    return { models, refused, upstream, url, model: `${provider.section}/${model.model_name}` }
  })

export const named = (events: ReadonlyArray<unknown>): string =>
  events.map((event) => `event: ${String(at(event, "type"))}\ndata: ${JSON.stringify(event)}\n\n`).join("")

/** The keys and bodies of the requests so far. */
export const log = ({ bodies, headers }: Upstream) =>
  bodies.map((body, index) => ({ authorization: headers[index]?.authorization ?? "", body }))

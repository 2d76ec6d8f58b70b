/** OpenAI's custom tools at providers that have only functions: real servers, whose requests are the witness. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { ChatRequest, ChatResponse } from "../../src/vocabulary/Chat.js"
import { start } from "./support/gateway.js"
import { paths, post } from "./support/http.js"
import { chunksOf } from "./support/upstream.js"

type Json = Readonly<Record<string, unknown>>

const patch = '*** Begin Patch\n+ a "quoted" line\n*** End Patch'

const grammar = { type: "grammar", syntax: "lark", definition: "start: /.+/" }

const tool = { type: "custom", name: "apply_patch", description: "Edits files", format: grammar }

/** Calls the first tool with a patch, and another one with arguments that do not follow the schema. */
const answer = (request: ChatRequest): Partial<ChatResponse> =>
  request.messages.some(({ role }) => role === "tool")
    ? { content: [{ type: "text", text: "Done." }], finishReason: "stop" }
    : {
        content: [
          { type: "tool-call", id: "call_1", name: "apply_patch", arguments: JSON.stringify({ input: patch }) },
          { type: "tool-call", id: "call_2", name: "find", arguments: '{"q":1}' }
        ],
        finishReason: "tool-calls"
      }

const running = Effect.gen(function* () {
  const provider = yield* SimulatedProvider.make({ answer })
  const model = (type: string, path: string, fields: Json = {}) => [
    { model_name: "large", type, base_url: provider.baseUrl.replace(/\/v1$/, path), api_keys: ["k"], ...fields }
  ]
  const { url } = yield* start({
    sections: {
      anthropic: model("anthropic-messages", "/v1"),
      gemini: model("gemini", "/v1beta"),
      ollama: model("ollama", "/api"),
      vllm: model("chat-completions", "/v1", { preset: "vllm" }),
      openai: model("chat-completions", "/v1", { preset: "openai" })
    }
  })
  return { url, log: provider.log }
})

const find = { type: "function", name: "find", parameters: { type: "object" } }

const question = (model: string, fields: Json = {}) => ({
  model: `${model}/large`,
  input: [{ role: "user", content: "Fix it." }],
  tools: [tool, find],
  store: false,
  ...fields
})

const calls = [
  expect.objectContaining({ type: "custom_tool_call", call_id: expect.any(String), name: "apply_patch", input: patch }),
  expect.objectContaining({ type: "function_call", name: "find", arguments: '{"q":1}' })
]

describe.each(["anthropic", "gemini", "ollama", "vllm"])("a custom tool at %s", (model) => {
  it.scopedLive("is a function with one text, whose calls come back as its own", () =>
    Effect.gen(function* () {
      const { log, url } = yield* running
      const { headers, json } = yield* post(url + paths.responses, question(model))
      expect(headers.get("x-effect-llm-dropped")).toBeNull()
      expect((json as Json)["output"]).toEqual(calls)
      const [exchange] = yield* log
      const sent = JSON.stringify(exchange?.body)
      for (const text of ["apply_patch", "Edits files", "start: /.+/", '"input"']) expect(sent).toContain(text)
      expect(sent).not.toContain('"custom"')
    })
  )

  it.scopedLive("streams its input without the JSON around it", () =>
    Effect.gen(function* () {
      const { url } = yield* running
      const events = chunksOf((yield* post(url + paths.responses, question(model, { stream: true }))).text)
      const deltas = events.filter(({ type }) => type === "response.custom_tool_call_input.delta")
      expect(deltas.map(({ delta }) => delta).join("")).toBe(patch)
      expect((events.at(-1)?.["response"] as Json | undefined)?.["output"]).toEqual(calls)
    })
  )

  it.scopedLive("takes its earlier calls and results in the next turn", () =>
    Effect.gen(function* () {
      const { log, url } = yield* running
      const input = [
        { role: "user", content: "Fix it." },
        { type: "custom_tool_call", call_id: "call_1", name: "apply_patch", input: patch },
        { type: "custom_tool_call_output", call_id: "call_1", output: "patched" }
      ]
      const { json, status } = yield* post(url + paths.responses, question(model, { input }))
      expect([status, JSON.stringify(json)]).toEqual([200, expect.stringContaining("Done.")])
      const [exchange] = yield* log
      const sent = JSON.stringify(exchange?.body).replaceAll("\\", "")
      expect(sent).toContain('+ a "quoted" line')
      expect(sent).toContain("patched")
    })
  )
})

describe("a custom tool of Chat Completions at Anthropic", () => {
  it.scopedLive("comes back as a custom call, whole and streamed", () =>
    Effect.gen(function* () {
      const { url } = yield* running
      const { description, format, name } = tool
      const { type, ...rest } = format
      const body = {
        model: "anthropic/large",
        messages: [{ role: "user", content: "Fix it." }],
        tools: [{ type: "custom", custom: { name, description, format: { type, grammar: rest } } }]
      }
      const { json } = yield* post(url + paths["chat completions"], body)
      expect(json).toMatchObject({
        choices: [{ message: { tool_calls: [{ type: "custom", custom: { name: "apply_patch", input: patch } }, {}] } }]
      })
      const { text } = yield* post(url + paths["chat completions"], { ...body, stream: true })
      const inputs = chunksOf(text).flatMap((chunk) => {
        const [choice] = chunk["choices"] as ReadonlyArray<{
          readonly delta: { readonly tool_calls?: ReadonlyArray<{ readonly custom?: { readonly input?: string } }> }
        }>
        return (choice?.delta.tool_calls ?? []).map(({ custom }) => custom?.input ?? "")
      })
      expect(inputs.join("")).toBe(patch)
    })
  )
})

describe("a custom tool of Responses at OpenAI's Chat Completions", () => {
  it.scopedLive("stays one, in the form of that protocol", () =>
    Effect.gen(function* () {
      const { log, url } = yield* running
      yield* post(url + paths.responses, question("openai", { tools: [tool] }))
      const [exchange] = yield* log
      expect(exchange?.body).toMatchObject({
        tools: [
          {
            type: "custom",
            custom: {
              name: "apply_patch",
              description: "Edits files",
              format: { type: "grammar", grammar: { syntax: "lark", definition: "start: /.+/" } }
            }
          }
        ]
      })
    })
  )
})

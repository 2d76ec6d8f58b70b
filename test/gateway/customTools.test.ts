/** OpenAI's custom tools and local shell at providers that have only functions: real servers, whose requests are the witness. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ChatRequest, ChatResponse } from "../../src/vocabulary/Chat.js"
import { runningWith } from "./support/everyProtocol.js"
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
      const { log, url } = yield* runningWith(answer)
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
      const { url } = yield* runningWith(answer)
      const events = chunksOf((yield* post(url + paths.responses, question(model, { stream: true }))).text)
      const deltas = events.filter(({ type }) => type === "response.custom_tool_call_input.delta")
      expect(deltas.map(({ delta }) => delta).join("")).toBe(patch)
      expect((events.at(-1)?.["response"] as Json | undefined)?.["output"]).toEqual(calls)
    })
  )

  it.scopedLive("takes its earlier calls and results in the next turn", () =>
    Effect.gen(function* () {
      const { log, url } = yield* runningWith(answer)
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
      const { url } = yield* runningWith(answer)
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
      const { log, url } = yield* runningWith(answer)
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

const shell = JSON.stringify({ command: ["ls", "-l"], working_directory: "/tmp" })

const action = { type: "exec", command: ["ls", "-l"], working_directory: "/tmp", env: {} }

const shellCalls = [
  { type: "local_shell_call", id: expect.any(String), call_id: expect.any(String), status: "completed", action },
  expect.objectContaining({ type: "function_call", name: "local_shell", arguments: '{"q":1}' }),
  expect.objectContaining({ type: "function_call", name: "find" })
]

/** Calls the shell, the shell without a command, and another tool. */
const shellAnswer = (request: ChatRequest): Partial<ChatResponse> =>
  request.messages.some(({ role }) => role === "tool")
    ? { content: [{ type: "text", text: "Done." }], finishReason: "stop" }
    : {
        content: [
          { type: "tool-call", id: "call_1", name: "local_shell", arguments: shell },
          { type: "tool-call", id: "call_2", name: "local_shell", arguments: '{"q":1}' },
          { type: "tool-call", id: "call_3", name: "find", arguments: "{}" }
        ],
        finishReason: "tool-calls"
      }

const withShell = { tools: [{ type: "local_shell" }, find] }

describe.each(["anthropic", "gemini", "ollama", "vllm", "openai"])("the local shell of Responses at %s", (model) => {
  it.scopedLive("is a function with a command, whose calls come back as its own, whole and streamed", () =>
    Effect.gen(function* () {
      const { log, url } = yield* runningWith(shellAnswer)
      const { headers, json } = yield* post(url + paths.responses, question(model, withShell))
      expect(headers.get("x-effect-llm-dropped")).toBeNull()
      expect((json as Json)["output"]).toEqual(shellCalls)
      const [exchange] = yield* log
      const sent = JSON.stringify(exchange?.body)
      for (const text of ['"local_shell"', "working_directory", "find"]) expect(sent).toContain(text)
      expect(sent).not.toContain('"type":"local_shell"')
      const events = chunksOf(
        (yield* post(url + paths.responses, question(model, { ...withShell, stream: true }))).text
      )
      const done = events.flatMap((event) => (event["type"] === "response.output_item.done" ? [event["item"]] : []))
      expect(done).toEqual(shellCalls)
      expect((events.at(-1)?.["response"] as Json | undefined)?.["output"]).toEqual(shellCalls)
    })
  )

  it.scopedLive("takes its earlier calls and outputs in the next turn", () =>
    Effect.gen(function* () {
      const { log, url } = yield* runningWith(shellAnswer)
      const call = { type: "local_shell_call", id: "lsh_1", call_id: "call_1", status: "completed", action }
      const outputs = [
        { type: "local_shell_call_output", id: "lo_1", call_id: "call_1", output: "a file" },
        { type: "local_shell_call_output", id: "call_1", output: "a file" },
        { type: "local_shell_call_output", id: "lsh_1", output: "a file" },
        { type: "function_call_output", call_id: "call_1", output: "a file" }
      ]
      for (const output of outputs) {
        const input = [{ role: "user", content: "List." }, call, output]
        const { json, status } = yield* post(url + paths.responses, question(model, { ...withShell, input }))
        expect([status, JSON.stringify(json)]).toEqual([200, expect.stringContaining("Done.")])
      }
      for (const { body } of yield* log) {
        const sent = JSON.stringify(body).replaceAll("\\", "")
        expect(sent).toContain('"command":["ls","-l"]')
        expect(sent).toContain("a file")
      }
    })
  )
})

describe("the local shell of Responses beside a function of its name", () => {
  it.scopedLive("is refused, since the calls of the two could not be told apart", () =>
    Effect.gen(function* () {
      const { url } = yield* runningWith(shellAnswer)
      const tools = [{ type: "local_shell" }, { ...find, name: "local_shell" }]
      const { status, text } = yield* post(url + paths.responses, question("anthropic", { tools }))
      expect([status, text]).toEqual([400, expect.stringContaining("'tools'")])
    })
  )
})

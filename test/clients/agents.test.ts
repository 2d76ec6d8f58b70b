/**
 * The requests of coding agents to each kind of provider, by the clients that they use. A request is answered, or refused with the name of the
 * field and of the header by which it is answered without it. docs/gateway-protocols.md has the table of the results;
 * `UPDATE_MATRIX=1 npm run test:clients` writes it.
 */
import Anthropic from "@anthropic-ai/sdk"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Record } from "effect"
import OpenAI from "openai"
import { start } from "../gateway/support/gateway.js"
import { expectSection, table } from "../matrix/documents.js"
import { providers } from "./matrix/client.js"

/** What a request was answered with. */
interface Answer {
  /** Whether it arrived to its end. */
  readonly isComplete: boolean
  /** The fields that were dropped. */
  readonly dropped: string
}

/** Sends a request for a model. */
type Send = (url: string, model: string, headers: Readonly<Record<string, string>>) => Promise<Answer>

interface Shape {
  readonly agent: string
  readonly name: string
  readonly send: Send
}

const droppedIn = (headers: Headers): string => headers.get("x-effect-llm-dropped") ?? ""

// -------------------------------------------------------------------------------------
// Claude Code
// -------------------------------------------------------------------------------------

type Message = Anthropic.Beta.MessageCreateParamsNonStreaming

const ephemeral = { type: "ephemeral" } as const

/** As many as the agent has by itself. */
const agentTools: Array<Anthropic.Beta.BetaTool> = Array.from({ length: 20 }, (_, index) => ({
  name: `Tool${index}`,
  description: "Does something with a file.",
  input_schema: {
    type: "object",
    $schema: "https://json-schema.org/draft/2020-12/schema",
    properties: {
      file_path: { type: "string", description: "The absolute path" },
      limit: { type: "integer", exclusiveMinimum: 0 },
      todos: {
        type: "array",
        minItems: 1,
        items: { type: "object", properties: { state: { enum: ["open", "done"] } } }
      }
    },
    required: ["file_path"],
    additionalProperties: false
  }
}))

const claudeCode: Omit<Message, "model"> = {
  max_tokens: 32_000,
  betas: ["claude-code-20250219", "interleaved-thinking-2025-05-14", "context-management-2025-06-27"],
  system: [
    { type: "text", text: "You are Claude Code.", cache_control: ephemeral },
    { type: "text", text: "You are an interactive CLI tool.", cache_control: ephemeral }
  ],
  messages: [{ role: "user", content: [{ type: "text", text: "List the files.", cache_control: ephemeral }] }],
  tools: agentTools,
  thinking: { type: "enabled", budget_tokens: 31_999 },
  metadata: { user_id: "user_0123_account__session_4567" }
}

const anthropicAt = (url: string, headers: Readonly<Record<string, string>>): Anthropic =>
  new Anthropic({ apiKey: "any", baseURL: url, maxRetries: 0, defaultHeaders: headers })

const messages = (name: string, changed: Partial<Message> = {}): Shape => ({
  agent: "Claude Code",
  name,
  send: async (url, model, headers) => {
    const { data, response } = await anthropicAt(url, headers)
      .beta.messages.create({ ...claudeCode, ...changed, model, stream: true })
      .withResponse()
    let last = ""
    for await (const { type } of data) last = type
    return { isComplete: last === "message_stop", dropped: droppedIn(response.headers) }
  }
})

const countTokens: Shape = {
  agent: "Claude Code",
  name: "`count_tokens`",
  send: async (url, model, headers) => {
    const { max_tokens: _, metadata: __, ...counted } = claudeCode
    const { data, response } = await anthropicAt(url, headers)
      .beta.messages.countTokens({ ...counted, model })
      .withResponse()
    return { isComplete: data.input_tokens > 100, dropped: droppedIn(response.headers) }
  }
}

const claudeCodeShapes: ReadonlyArray<Shape> = [
  messages("a turn: betas, `cache_control`, 20 tools, `thinking`, `metadata`"),
  messages("`context_management`", {
    context_management: {
      edits: [{ type: "clear_thinking_20251015", keep: "all" }, { type: "clear_tool_uses_20250919" }]
    }
  }),
  messages("adaptive `thinking`, `output_config.effort`", {
    thinking: { type: "adaptive" },
    output_config: { effort: "high" }
  }),
  messages("a failed call in the history, with `cache_control`", {
    messages: [
      { role: "user", content: "Read it." },
      {
        role: "assistant",
        content: [
          { type: "text", text: "I read it." },
          { type: "tool_use", id: "toolu_1", name: "Tool0", input: { file_path: "/a" } }
        ]
      },
      {
        role: "user",
        content: [
          {
            type: "tool_result",
            tool_use_id: "toolu_1",
            is_error: true,
            content: [{ type: "text", text: "not found" }],
            cache_control: ephemeral
          },
          { type: "text", text: "Go on." }
        ]
      }
    ]
  }),
  messages("a forced tool, `disable_parallel_tool_use`", {
    thinking: { type: "disabled" },
    tool_choice: { type: "tool", name: "Tool0", disable_parallel_tool_use: true }
  }),
  messages("`web_search`", { tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 8 }] }),
  countTokens
]

// -------------------------------------------------------------------------------------
// Codex
// -------------------------------------------------------------------------------------

type Response = OpenAI.Responses.ResponseCreateParamsStreaming

const shell: OpenAI.Responses.FunctionTool = {
  type: "function",
  name: "shell",
  description: "Runs a shell command and returns its output.",
  strict: false,
  parameters: {
    type: "object",
    properties: {
      command: { type: "array", items: { type: "string" } },
      timeout_ms: { type: "number" }
    },
    required: ["command"],
    additionalProperties: false
  }
}

const applyPatch: OpenAI.Responses.CustomTool = {
  type: "custom",
  name: "apply_patch",
  description: "Edits files by a patch.",
  format: { type: "grammar", syntax: "lark", definition: 'start: "*** Begin Patch" LF' }
}

const said = (text: string): OpenAI.Responses.ResponseInputItem => ({
  type: "message",
  role: "user",
  content: [{ type: "input_text", text }]
})

const codex: Omit<Response, "model" | "stream"> = {
  instructions: "You are a coding agent running in the Codex CLI.",
  input: [
    { type: "message", role: "developer", content: [{ type: "input_text", text: "Sandbox: read-only." }] },
    said("List the files.")
  ],
  tools: [shell],
  tool_choice: "auto",
  parallel_tool_calls: true,
  reasoning: { effort: "medium", summary: "auto" },
  store: false,
  include: ["reasoning.encrypted_content"],
  prompt_cache_key: "0198-session"
}

const responses = (name: string, changed: Partial<Response> = {}): Shape => ({
  agent: "Codex",
  name,
  send: async (url, model, headers) => {
    const client = new OpenAI({ apiKey: "any", baseURL: `${url}/v1`, maxRetries: 0, defaultHeaders: headers })
    const { data, response } = await client.responses
      .create({ ...codex, ...changed, model, stream: true })
      .withResponse()
    let last = ""
    for await (const { type } of data) last = type
    return { isComplete: last === "response.completed", dropped: droppedIn(response.headers) }
  }
})

const codexShapes: ReadonlyArray<Shape> = [
  responses("a turn: `store: false`, `include`, `reasoning`, `prompt_cache_key`"),
  responses("`text.verbosity`", { text: { verbosity: "low" } }),
  responses("`parallel_tool_calls: false`", { parallel_tool_calls: false }),
  responses("the custom tool `apply_patch`", { tools: [shell, applyPatch] }),
  responses("`apply_patch` in the history", {
    tools: [shell, applyPatch],
    input: [
      said("Add a file."),
      { type: "custom_tool_call", call_id: "call_1", name: "apply_patch", input: "*** Begin Patch\n*** End Patch" },
      { type: "custom_tool_call_output", call_id: "call_1", output: "Done." }
    ]
  }),
  responses("`local_shell`", { tools: [{ type: "local_shell" }] }),
  responses("`local_shell` in the history", {
    tools: [{ type: "local_shell" }],
    input: [
      said("List the files."),
      {
        type: "local_shell_call",
        id: "lsh_1",
        call_id: "call_1",
        status: "completed",
        action: { type: "exec", command: ["ls"], env: {} }
      },
      { type: "local_shell_call_output", id: "lsh_1", output: "a.txt" }
    ]
  }),
  responses("`web_search`", { tools: [shell, { type: "web_search" }] })
]

// -------------------------------------------------------------------------------------
// the tests, and the table of their results
// -------------------------------------------------------------------------------------

const theSwitch = "x-effect-llm-on-unsupported"

const codes = (names: string): string =>
  names
    .split(", ")
    .map((name) => `\`${name}\``)
    .join(", ")

/** Sends a request, and again with the switch where it is refused. Returns what the table says. */
const resultOf = ({ send }: Shape, provider: string) =>
  Effect.gen(function* () {
    const { url } = yield* start()
    const model = `${provider}/large`
    const answered = yield* Effect.either(
      Effect.tryPromise({ try: () => send(url, model, {}), catch: (error) => error })
    )
    if (Either.isRight(answered)) {
      const { dropped, isComplete } = answered.right
      expect(isComplete).toBe(true)
      return dropped === "" ? "✓" : `without ${codes(dropped)}`
    }
    expect(answered.left).toMatchObject({ status: 400 })
    const message = String(answered.left)
    const field = /equivalent of '([^']+)'/.exec(message)?.[1]
    expect([message, field]).toEqual([expect.stringContaining(`'${theSwitch}: drop'`), expect.any(String)])
    const { dropped, isComplete } = yield* Effect.promise(() => send(url, model, { [theSwitch]: "drop" }))
    expect([isComplete, dropped]).toEqual([true, expect.stringMatching(/./)])
    return `400, or without ${codes(dropped)}`
  }).pipe(Effect.scoped)

const rows = [...claudeCodeShapes, ...codexShapes].map((shape) => ({
  shape,
  results: Record.map(providers, (_, provider) => Effect.runSync(Effect.cached(resultOf(shape, provider))))
}))

for (const { results, shape } of rows) {
  describe(`${shape.agent}, ${shape.name}`, () => {
    it.live.each(Record.toEntries(results))(
      "is answered by %s, or refused with the field and the switch",
      ([, result]) => Effect.asVoid(result)
    )
  })
}

const write = Effect.map(
  Effect.forEach(rows, ({ results, shape }) =>
    Effect.map(
      Effect.forEach(Record.values(results), (result) =>
        Effect.catchAllCause(result, () => Effect.succeed("it fails"))
      ),
      (cells) => [`${shape.agent}: ${shape.name}`, ...cells]
    )
  ),
  (body) => table(["request", ...Record.values(providers)], body)
)

it.live("docs/gateway-protocols.md contains the table of agents", () =>
  expectSection("docs/gateway-protocols.md", "agents", write)
)

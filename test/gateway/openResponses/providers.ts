/**
 * A provider that speaks each protocol as its documentation shows it. It answers with reasoning and a text, with a call of the tool that it is
 * given and has no result of, or with a text that its limit of tokens cuts off.
 */
import { answering, sse } from "../support/upstream.js"

type Json = Readonly<Record<string, unknown>>

type Kind = "text" | "call" | "cut"

export const answerText = "Hello to you, Alice."

const half = answerText.length / 2

const halves = [answerText.slice(0, half), answerText.slice(half)]

const thought = "Short is best."

const tool = { name: "get_weather", input: { location: "San Francisco, CA" } }

/** What the client sends to get an answer that is cut off. */
export const longQuestion = "Write a novel."

export const toolResult = "18 degrees, fog"

const kindOf = (body: Json): Kind => {
  const text = JSON.stringify(body)
  if (text.includes(longQuestion)) return "cut"
  return text.includes(tool.name) && !text.includes(toolResult) ? "call" : "text"
}

const named = (events: ReadonlyArray<Json>): string =>
  events.map((event) => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`).join("")

/** A protocol: the body of a whole answer, and the text of a stream. */
interface Protocol {
  readonly whole: (kind: Kind, body: Json) => Json
  readonly stream: (kind: Kind, body: Json) => string
}

// -------------------------------------------------------------------------------------
// OpenAI, API reference: responses, responses-streaming
// -------------------------------------------------------------------------------------

const item = {
  message: (index: number, phase: string, text: string, status: string) => ({
    id: `msg_${index}`,
    type: "message",
    status,
    role: "assistant",
    phase,
    content: status === "in_progress" ? [] : [{ type: "output_text", text, annotations: [], logprobs: [] }]
  }),
  call: (status: string) => ({
    id: "fc_1",
    type: "function_call",
    status,
    call_id: "call_1",
    name: tool.name,
    arguments: status === "in_progress" ? "" : JSON.stringify(tool.input)
  })
}

const outputOf = (kind: Kind): ReadonlyArray<Json> => {
  const reasoning = { id: "rs_1", type: "reasoning", summary: [{ type: "summary_text", text: thought }] }
  const commentary = item.message(1, "commentary", "I think of a name.", "completed")
  return kind === "call"
    ? [reasoning, commentary, item.call("completed")]
    : [reasoning, commentary, item.message(2, "final_answer", answerText, kind === "cut" ? "incomplete" : "completed")]
}

const resource = (fields: Json): Json => ({
  id: "resp_1",
  object: "response",
  created_at: 1_790_000_000,
  completed_at: null,
  status: "in_progress",
  incomplete_details: null,
  model: "large",
  previous_response_id: null,
  instructions: null,
  output: [],
  error: null,
  tools: [],
  tool_choice: "auto",
  truncation: "disabled",
  parallel_tool_calls: true,
  text: { format: { type: "text" }, verbosity: "medium" },
  top_p: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  top_logprobs: 0,
  temperature: 1,
  reasoning: { effort: null, summary: null },
  usage: null,
  max_output_tokens: null,
  max_tool_calls: null,
  store: true,
  background: false,
  service_tier: "default",
  metadata: {},
  safety_identifier: null,
  prompt_cache_key: null,
  ...fields
})

const responses: Protocol = {
  whole: (kind) =>
    resource({
      ...(kind === "cut"
        ? { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } }
        : { status: "completed", completed_at: 1_790_000_001 }),
      output: outputOf(kind),
      usage: {
        input_tokens: 9,
        input_tokens_details: { cached_tokens: 2 },
        output_tokens: 4,
        output_tokens_details: { reasoning_tokens: 1 },
        total_tokens: 13
      }
    }),
  stream: (kind, body) => {
    const response = responses.whole(kind, body)
    const ofText = (index: number, phase: string, text: string, status: string): ReadonlyArray<Json> => {
      const place = { item_id: `msg_${index}`, output_index: index, content_index: 0 }
      const part = (text: string) => ({ type: "output_text", text, annotations: [], logprobs: [] })
      return [
        {
          type: "response.output_item.added",
          output_index: index,
          item: item.message(index, phase, text, "in_progress")
        },
        { type: "response.content_part.added", ...place, part: part("") },
        { type: "response.output_text.delta", ...place, delta: text, logprobs: [] },
        { type: "response.output_text.done", ...place, text, logprobs: [] },
        { type: "response.content_part.done", ...place, part: part(text) },
        { type: "response.output_item.done", output_index: index, item: item.message(index, phase, text, status) }
      ]
    }
    const call: ReadonlyArray<Json> = [
      { type: "response.output_item.added", output_index: 2, item: item.call("in_progress") },
      {
        type: "response.function_call_arguments.delta",
        item_id: "fc_1",
        output_index: 2,
        delta: JSON.stringify(tool.input)
      },
      {
        type: "response.function_call_arguments.done",
        item_id: "fc_1",
        output_index: 2,
        arguments: JSON.stringify(tool.input)
      },
      { type: "response.output_item.done", output_index: 2, item: item.call("completed") }
    ]
    const [reasoning] = outputOf(kind)
    const summary = { item_id: "rs_1", output_index: 0, summary_index: 0 }
    const part = { type: "summary_text", text: thought }
    const events: ReadonlyArray<Json> = [
      { type: "response.created", response: resource({}) },
      { type: "response.in_progress", response: resource({}) },
      { type: "response.output_item.added", output_index: 0, item: { ...reasoning, summary: [] } },
      { type: "response.reasoning_summary_part.added", ...summary, part: { ...part, text: "" } },
      { type: "response.reasoning_summary_text.delta", ...summary, delta: thought },
      { type: "response.reasoning_summary_text.done", ...summary, text: thought },
      { type: "response.reasoning_summary_part.done", ...summary, part },
      { type: "response.output_item.done", output_index: 0, item: reasoning },
      ...ofText(1, "commentary", "I think of a name.", "completed"),
      ...(kind === "call" ? call : ofText(2, "final_answer", answerText, kind === "cut" ? "incomplete" : "completed")),
      { type: `response.${String(response["status"])}`, response }
    ]
    return named(events.map((event, index) => ({ ...event, sequence_number: index })))
  }
}

// -------------------------------------------------------------------------------------
// OpenAI, API reference: chat; DeepSeek, "Reasoning Model" (`reasoning_content`)
// -------------------------------------------------------------------------------------

const chatReasons = { text: "stop", call: "tool_calls", cut: "length" }

const chatUsage = {
  prompt_tokens: 9,
  completion_tokens: 4,
  total_tokens: 13,
  prompt_tokens_details: { cached_tokens: 2, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 1, audio_tokens: 0 }
}

const chatCall = {
  id: "call_1",
  type: "function",
  function: { name: tool.name, arguments: JSON.stringify(tool.input) }
}

const chatCompletions: Protocol = {
  whole: (kind) => ({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_790_000_000,
    model: "large",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          reasoning_content: thought,
          refusal: null,
          annotations: [],
          ...(kind === "call" ? { content: null, tool_calls: [chatCall] } : { content: answerText })
        },
        logprobs: null,
        finish_reason: chatReasons[kind]
      }
    ],
    usage: chatUsage,
    service_tier: "default",
    system_fingerprint: "fp_1"
  }),
  stream: (kind) => {
    const chunk = (delta: Json, finishReason: string | null = null) => ({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      created: 1_790_000_000,
      model: "large",
      service_tier: "default",
      system_fingerprint: "fp_1",
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
      usage: null
    })
    const { function: called, ...call } = chatCall
    return sse([
      chunk({ role: "assistant", content: null, reasoning_content: thought }),
      ...(kind === "call"
        ? [
            chunk({ tool_calls: [{ index: 0, ...call, function: { ...called, arguments: "" } }] }),
            chunk({ tool_calls: [{ index: 0, function: { arguments: called.arguments } }] })
          ]
        : halves.map((content) => chunk({ content }))),
      chunk({}, chatReasons[kind]),
      { ...chunk({}), choices: [], usage: chatUsage },
      "[DONE]"
    ])
  }
}

// -------------------------------------------------------------------------------------
// Anthropic, API reference: messages, "Streaming Messages"
// -------------------------------------------------------------------------------------

const anthropicReasons = { text: "end_turn", call: "tool_use", cut: "max_tokens" }

const anthropicHead = { id: "msg_01", type: "message", role: "assistant", model: "large", stop_sequence: null }

const anthropicUsage = {
  input_tokens: 7,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 2,
  output_tokens: 4,
  service_tier: "standard"
}

const anthropic: Protocol = {
  whole: (kind) => ({
    ...anthropicHead,
    content: [
      { type: "thinking", thinking: thought, signature: "c2lnbmF0dXJl" },
      kind === "call"
        ? { type: "tool_use", id: "toolu_1", name: tool.name, input: tool.input }
        : { type: "text", text: answerText, citations: null }
    ],
    stop_reason: anthropicReasons[kind],
    usage: anthropicUsage
  }),
  stream: (kind) => {
    const delta = (index: number, delta: Json) => ({ type: "content_block_delta", index, delta })
    return named([
      {
        type: "message_start",
        message: { ...anthropicHead, content: [], stop_reason: null, usage: { ...anthropicUsage, output_tokens: 1 } }
      },
      { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } },
      { type: "ping" },
      delta(0, { type: "thinking_delta", thinking: thought }),
      delta(0, { type: "signature_delta", signature: "c2lnbmF0dXJl" }),
      { type: "content_block_stop", index: 0 },
      ...(kind === "call"
        ? [
            {
              type: "content_block_start",
              index: 1,
              content_block: { type: "tool_use", id: "toolu_1", name: tool.name, input: {} }
            },
            delta(1, { type: "input_json_delta", partial_json: "" }),
            delta(1, { type: "input_json_delta", partial_json: JSON.stringify(tool.input) })
          ]
        : [
            { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
            ...halves.map((text) => delta(1, { type: "text_delta", text }))
          ]),
      { type: "content_block_stop", index: 1 },
      {
        type: "message_delta",
        delta: { stop_reason: anthropicReasons[kind], stop_sequence: null },
        usage: { output_tokens: 4 }
      },
      { type: "message_stop" }
    ])
  }
}

// -------------------------------------------------------------------------------------
// Google, Gemini API reference: generateContent
// -------------------------------------------------------------------------------------

const geminiChunk = (parts: ReadonlyArray<Json>, finishReason?: string): Json => ({
  candidates: [
    { content: { parts, role: "model" }, index: 0, ...(finishReason === undefined ? {} : { finishReason }) }
  ],
  usageMetadata: {
    promptTokenCount: 9,
    candidatesTokenCount: 3,
    thoughtsTokenCount: 1,
    cachedContentTokenCount: 2,
    totalTokenCount: 13,
    promptTokensDetails: [{ modality: "TEXT", tokenCount: 9 }]
  },
  modelVersion: "large",
  responseId: "r1"
})

const geminiCall = { functionCall: { name: tool.name, args: tool.input }, thoughtSignature: "c2lnbmF0dXJl" }

const geminiReason = (kind: Kind) => (kind === "cut" ? "MAX_TOKENS" : "STOP")

const gemini: Protocol = {
  whole: (kind) =>
    geminiChunk(
      [{ text: thought, thought: true }, kind === "call" ? geminiCall : { text: answerText }],
      geminiReason(kind)
    ),
  stream: (kind) =>
    sse([
      geminiChunk([{ text: thought, thought: true }]),
      ...(kind === "call" ? [geminiChunk([geminiCall])] : halves.map((text) => geminiChunk([{ text }]))),
      geminiChunk([{ text: "" }], geminiReason(kind))
    ])
}

// -------------------------------------------------------------------------------------
// Ollama, API reference: chat
// -------------------------------------------------------------------------------------

const ollamaLine = (fields: Json, end: Json = {}): Json => ({
  model: "large",
  created_at: "2026-09-21T10:00:00.000000Z",
  message: { role: "assistant", content: "", ...fields },
  done: false,
  ...end
})

const ollamaEnd = (kind: Kind): Json => ({
  done: true,
  done_reason: kind === "cut" ? "length" : "stop",
  total_duration: 5_000_000,
  load_duration: 1_000_000,
  prompt_eval_count: 9,
  prompt_eval_duration: 1_000_000,
  eval_count: 4,
  eval_duration: 3_000_000
})

const ollamaCalls = { tool_calls: [{ function: { name: tool.name, arguments: tool.input } }] }

const ollama: Protocol = {
  whole: (kind) =>
    ollamaLine({ thinking: thought, ...(kind === "call" ? ollamaCalls : { content: answerText }) }, ollamaEnd(kind)),
  stream: (kind) =>
    [
      ollamaLine({ thinking: thought }),
      ...(kind === "call" ? [ollamaLine(ollamaCalls)] : halves.map((content) => ollamaLine({ content }))),
      ollamaLine({}, ollamaEnd(kind))
    ]
      .map((line) => `${JSON.stringify(line)}\n`)
      .join("")
}

// -------------------------------------------------------------------------------------

const protocols: ReadonlyArray<readonly [path: RegExp, protocol: Protocol]> = [
  [/\/responses$/, responses],
  [/\/chat\/completions$/, chatCompletions],
  [/\/messages$/, anthropic],
  [/[gG]enerateContent/, gemini],
  [/\/api\/chat$/, ollama]
]

/** The provider, which has the protocol of the path that is asked for. */
export const provider = answering((body, { url = "" }) => {
  const [, protocol] = protocols.find(([path]) => path.test(url)) ?? []
  if (protocol === undefined) return { status: 404, contentType: "text/plain", text: url }
  const kind = kindOf(body)
  if (body["stream"] === true || url.includes("streamGenerateContent")) {
    return {
      contentType: protocol === ollama ? "application/x-ndjson" : "text/event-stream",
      text: protocol.stream(kind, body)
    }
  }
  return { contentType: "application/json", text: JSON.stringify(protocol.whole(kind, body)) }
})

import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { ChatRequest } from "../../src/Chat.js"
import * as Chat from "../../src/Chat.js"
import * as ChatEvent from "../../src/ChatEvent.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import type { WireEvent } from "../../src/wire/Wire.js"

const source = { provider: "acme", model: "asked", estimatedInputTokens: 7 }
const peer = { provider: "acme", model: "asked", stream: false }

const encoded = (request: ChatRequest, dialect: Partial<ChatCompletions.Dialect> = {}, stream = false) =>
  Either.getOrThrow(ChatCompletions.make(dialect).encodeRequest(request, { ...peer, stream })).body

const decoded = (body: unknown) => ChatCompletions.make().decodeResponse(body, source)

const answerOf = (message: object, rest: object = {}) =>
  Either.getOrThrow(decoded({ id: "1", model: "m", choices: [{ message, finish_reason: "stop" }], ...rest }))

/** What a stream of chunks comes to: the events, and how it ended. */
const streamed = (...chunks: ReadonlyArray<object | string>) => {
  const decoder = ChatCompletions.make().decodeStream(source)
  const events: Array<WireEvent> = []
  const failures = chunks.map((chunk) =>
    decoder.push({ data: typeof chunk === "string" ? chunk : JSON.stringify(chunk) }, events)
  )
  const failure = failures.find((found) => found !== undefined) ?? decoder.end(events)
  const said = events.reduce(ChatEvent.append, ChatEvent.nothing)
  return { decoder, events, failure, said }
}

const delta = (piece: object, finish: string | null = null) => ({
  id: "1",
  model: "m",
  choices: [{ index: 0, delta: piece, finish_reason: finish }]
})

describe("a request", () => {
  it("says every field of the vocabulary", () => {
    expect(
      encoded({
        messages: [
          Chat.system("Be brief."),
          { role: "developer", content: "Be kind." },
          Chat.user([
            Chat.text("What is this?"),
            Chat.image("https://example.com/a.png", { detail: "low" }),
            Chat.audio(new Uint8Array([1, 2, 3]), { mediaType: "audio/mpeg" }),
            Chat.file(new Uint8Array([4, 5]), { filename: "a.pdf" })
          ]),
          Chat.assistant("", [{ id: "c1", name: "look", arguments: '{"at":1}' }]),
          Chat.toolResult("c1", "a cat")
        ],
        tools: [{ name: "look", description: "Looks.", parameters: { type: "object" }, strict: true }],
        toolChoice: { name: "look" },
        parallelToolCalls: false,
        responseFormat: { name: "out", schema: { type: "object" }, strict: true },
        temperature: 0,
        topP: 0.5,
        maxTokens: 10,
        stop: ["."],
        seed: 1,
        reasoning: { effort: "low" },
        user: "u",
        metadata: { a: "b" },
        extra: { logit_bias: {}, tools: [{ type: "web_search" }] }
      })
    ).toEqual({
      model: "asked",
      messages: [
        { role: "system", content: "Be brief." },
        { role: "system", content: "Be kind." },
        {
          role: "user",
          content: [
            { type: "text", text: "What is this?" },
            { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
            { type: "input_audio", input_audio: { data: "AQID", format: "mp3" } },
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,BAU=" } }
          ]
        },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "c1", type: "function", function: { name: "look", arguments: '{"at":1}' } }]
        },
        { role: "tool", tool_call_id: "c1", content: "a cat" }
      ],
      tools: [
        {
          type: "function",
          function: { name: "look", description: "Looks.", parameters: { type: "object" }, strict: true }
        },
        { type: "web_search" }
      ],
      tool_choice: { type: "function", function: { name: "look" } },
      parallel_tool_calls: false,
      response_format: { type: "json_schema", json_schema: { name: "out", schema: { type: "object" }, strict: true } },
      temperature: 0,
      top_p: 0.5,
      max_tokens: 10,
      stop: ["."],
      seed: 1,
      reasoning_effort: "low",
      user: "u",
      metadata: { a: "b" },
      logit_bias: {}
    })
  })

  it("is in the provider's dialect", () => {
    const request: ChatRequest = {
      messages: [{ role: "developer", content: "x" }],
      toolChoice: "required",
      maxTokens: 5,
      seed: 2,
      reasoning: { effort: "high", budgetTokens: 100 },
      responseFormat: { name: "out", schema: {} }
    }
    expect(
      encoded(request, { developerRole: "developer", maxTokensField: "max_completion_tokens", reasoning: "object" })
    ).toMatchObject({
      messages: [{ role: "developer" }],
      max_completion_tokens: 5,
      reasoning: { effort: "high", max_tokens: 100 }
    })
    expect(
      encoded(request, {
        toolChoiceRequired: "any",
        seedField: "random_seed",
        reasoning: "thinking",
        jsonSchema: false
      })
    ).toMatchObject({
      tool_choice: "any",
      random_seed: 2,
      thinking: { type: "enabled", budget_tokens: 100 },
      response_format: { type: "json_object" }
    })
  })

  it("asks for the usage of a stream, and can do without where that is refused", () => {
    const wire = ChatCompletions.make()
    const request = Either.getOrThrow(wire.encodeRequest({ messages: [Chat.user("?")] }, { ...peer, stream: true }))
    expect(request.body).toMatchObject({ stream: true, stream_options: { include_usage: true } })
    expect(wire.withoutRefused(request, "Unknown field: stream_options")?.body).not.toHaveProperty("stream_options")
    expect(wire.withoutRefused(request, "temperature is too high")).toBe(undefined)
    expect(encoded({ messages: [Chat.user("?")] }, { streamUsage: false }, true)).not.toHaveProperty("stream_options")
  })

  it("sends thoughts back to the provider that thought them, in its way, and to no other", () => {
    const thought = {
      type: "reasoning",
      text: "hm",
      signature: "s",
      format: "reasoning.text",
      provider: "acme"
    } as const
    const request = (provider: string): ChatRequest => ({
      messages: [{ role: "assistant", content: [{ ...thought, provider }, Chat.text("yes")] }]
    })
    expect(encoded(request("acme"), { history: "reasoning_content" }).messages).toEqual([
      { role: "assistant", content: "yes", reasoning_content: "hm" }
    ])
    expect(encoded(request("acme"), { history: "reasoning_details" }).messages).toEqual([
      {
        role: "assistant",
        content: "yes",
        reasoning_details: [{ type: "reasoning.text", index: 0, text: "hm", signature: "s" }]
      }
    ])
    expect(encoded(request("acme"), { history: "thinking-parts" }).messages).toEqual([
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: [{ type: "text", text: "hm" }], signature: "s" },
          { type: "text", text: "yes" }
        ]
      }
    ])
    for (const history of ["reasoning_content", "reasoning_details", "thinking-parts"] as const) {
      expect(encoded(request("other"), { history }).messages).toEqual([{ role: "assistant", content: "yes" }])
    }
  })

  it("is refused where the protocol has no word for it", () => {
    const wire = ChatCompletions.make()
    for (const part of [Chat.audio("https://example.com/a.wav"), Chat.file("https://example.com/a.pdf")]) {
      expect(wire.encodeRequest({ messages: [Chat.user([part])] }, peer)).toMatchObject({
        left: { _tag: "Unsupported" }
      })
    }
  })
})

describe("a whole answer", () => {
  it("has text, or parts of text and thoughts", () => {
    expect(answerOf({ content: "Hello" }).text).toBe("Hello")
    expect(
      answerOf({
        content: [
          { type: "thinking", thinking: [{ type: "text", text: "hm" }] },
          { type: "text", text: "Hi" }
        ]
      })
    ).toMatchObject({ text: "Hi", reasoning: "hm" })
    expect(answerOf({ content: null }).text).toBe("")
  })

  it("has its thoughts once, under whichever names they stand", () => {
    expect(answerOf({ content: "", reasoning_content: "hm", reasoning: "hm" }).reasoning).toBe("hm")
    expect(
      answerOf({
        content: "",
        reasoning: "hm",
        reasoning_details: [
          { type: "reasoning.text", text: "hm", signature: "s" },
          { type: "reasoning.encrypted", data: "x", id: "r1" }
        ]
      }).reasoningParts
    ).toEqual([
      { type: "reasoning", text: "hm", signature: "s", format: "reasoning.text", provider: "acme" },
      { type: "reasoning", text: "", signature: "x", id: "r1", format: "reasoning.encrypted", provider: "acme" }
    ])
  })

  it("has its calls, with ids and arguments where there are none", () => {
    expect(
      answerOf({
        content: null,
        tool_calls: [
          { function: { name: "a", arguments: "" } },
          { id: "x", function: { name: "b", arguments: { deep: [1] } } },
          { id: "y", type: "custom", custom: { name: "c", input: "free" } }
        ]
      })
    ).toMatchObject({
      finishReason: "tool-calls",
      rawFinishReason: "stop",
      toolCalls: [
        { id: "call_0", name: "a", arguments: "{}" },
        { id: "x", name: "b", arguments: '{"deep":[1]}' },
        { id: "y", name: "c", arguments: "free", type: "custom" }
      ]
    })
    expect(answerOf({ function_call: { name: "old", arguments: "{}" } }).toolCalls).toEqual([
      { id: "call_0", name: "old", arguments: "{}" }
    ])
  })

  it("has its usage wherever it stands, thoughts inside the output, or an estimate", () => {
    const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }
    expect(answerOf({ content: "x" }, { usage }).usage).toMatchObject({
      inputTokens: 10,
      outputTokens: 5,
      estimated: false
    })
    expect(answerOf({ content: "x" }, { x_groq: { usage } }).usage.totalTokens).toBe(15)
    expect(
      answerOf(
        { content: "x" },
        {
          usage: {
            ...usage,
            total_tokens: 18,
            prompt_cache_hit_tokens: 4,
            completion_tokens_details: { reasoning_tokens: 3 }
          }
        }
      ).usage
    ).toMatchObject({ outputTokens: 8, reasoningTokens: 3, cachedInputTokens: 4, totalTokens: 18 })
    expect(answerOf({ content: "12345678" }, { usage: null }).usage).toMatchObject({
      inputTokens: 7,
      outputTokens: 2,
      estimated: true
    })
  })

  it("is refused where it is none", () => {
    expect(decoded("<html>")).toMatchObject({ left: { _tag: "Malformed", path: "" } })
    expect(decoded({})).toMatchObject({ left: { _tag: "Malformed", path: "choices" } })
    expect(decoded({ choices: [] })).toMatchObject({ left: { _tag: "Malformed", path: "choices[0]" } })
    expect(decoded({ error: { message: "no" } })).toMatchObject({ left: { _tag: "Reported" } })
    expect(Either.isRight(decoded({ choices: [{ finish_reason: "content_filter" }] }))).toBe(true)
  })
})

describe("a stream", () => {
  it("is read through empty choices, null deltas, late ids and repeated roles", () => {
    const { decoder, events, failure } = streamed(
      { id: "", model: "", choices: [], prompt_filter_results: [] },
      { ...delta({ role: "assistant", content: null }), id: "late", model: "exact" },
      delta({ role: "assistant", content: "He" }),
      { choices: [{ index: 0, delta: null }] },
      { choices: [{ index: 1, delta: { content: "another choice" } }] },
      delta({ role: "assistant", content: "llo" }, "stop"),
      "[DONE]"
    )
    expect(failure).toBe(undefined)
    expect([decoder.id, decoder.model]).toEqual(["late", "exact"])
    expect(events.map((event) => event._tag)).toEqual(["TextDelta", "TextDelta", "Finish"])
  })

  it("waits for its usage after the finish, and takes the last of running totals", () => {
    const usage = (completion_tokens: number) => ({ prompt_tokens: 1, completion_tokens })
    const { decoder, said } = streamed(
      { ...delta({ content: "a" }), usage: usage(1) },
      { ...delta({ content: "b" }, "stop"), usage: usage(2) },
      { choices: [], usage: usage(3) }
    )
    expect(decoder.state).toBe("done")
    expect(said.finish?.usage).toMatchObject({ inputTokens: 1, outputTokens: 3, estimated: false })
  })

  it("that has finished needs neither usage nor [DONE]", () => {
    const { decoder, failure, said } = streamed(delta({ content: "12345678" }), delta({}, "length"))
    expect([decoder.state, failure, said.finish?.reason]).toEqual(["done", undefined, "length"])
    expect(said.finish?.usage).toMatchObject({ inputTokens: 7, outputTokens: 2, estimated: true })
  })

  it("that says [DONE] is complete, whatever it did not say before", () => {
    const { said } = streamed(delta({ content: "a" }), "[DONE]")
    expect([said.finish?.reason, said.finish?.rawReason]).toEqual(["other", ""])
  })

  it("that says neither is cut off", () => {
    expect(streamed(delta({ content: "a" })).failure).toEqual({ _tag: "Truncated" })
  })

  it("keeps parallel calls apart, by index, by id, or by their order", () => {
    const call = (piece: object) => delta({ tool_calls: [piece] })
    const byIndex = streamed(
      call({ index: 3, id: "a", function: { name: "one", arguments: "" } }),
      call({ index: 5, id: "b", function: { name: "two", arguments: '{"x"' } }),
      call({ index: 3, id: "", function: { name: "", arguments: "{}" } }),
      call({ index: 5, function: { arguments: ":1}" } }),
      delta({}, "tool_calls")
    )
    expect(byIndex.said.toolCalls).toEqual([
      { id: "a", name: "one", arguments: "{}" },
      { id: "b", name: "two", arguments: '{"x":1}' }
    ])
    const byId = streamed(
      call({ id: "a", function: { name: "one", arguments: "[" } }),
      call({ id: "b", function: { name: "two", arguments: "{}" } }),
      call({ id: "a", function: { arguments: "]" } }),
      delta({}, "tool_calls")
    )
    expect(byId.said.toolCalls.map((found) => found.arguments)).toEqual(["[]", "{}"])
    const byOrder = streamed(
      call({ function: { name: "one", arguments: "{" } }),
      call({ function: { arguments: "}" } }),
      call({ function: { name: "two" } }),
      delta({}, "stop")
    )
    expect(byOrder.said.toolCalls).toEqual([
      { id: "call_0", name: "one", arguments: "{}" },
      { id: "call_1", name: "two", arguments: "{}" }
    ])
    expect(byOrder.said.finish?.reason).toBe("tool-calls")
  })

  it("says its thoughts once, under whichever name, and a refusal apart", () => {
    const { said } = streamed(
      delta({ reasoning: "h", reasoning_details: [{ type: "reasoning.text", text: "h", index: 0 }] }),
      delta({ reasoning: "m", reasoning_details: [{ type: "reasoning.text", text: "m", index: 0 }] }),
      delta({ reasoning_details: [{ type: "reasoning.text", signature: "s", index: 0 }] }),
      delta({ refusal: "I will not." }),
      delta({}, "stop")
    )
    expect(said.reasoningParts).toEqual([
      { type: "reasoning", text: "hm", signature: "s", format: "reasoning.text", provider: "acme" }
    ])
    expect([said.refusal, said.text]).toEqual(["I will not.", ""])
  })

  it("reads the legacy function call", () => {
    const { said } = streamed(
      delta({ function_call: { name: "old", arguments: "{" } }),
      delta({ function_call: { arguments: "}" } }),
      delta({}, "function_call")
    )
    expect(said.toolCalls).toEqual([{ id: "call_0", name: "old", arguments: "{}" }])
  })

  it("tells an error in its middle, and what is no JSON", () => {
    expect(streamed(delta({ content: "a" }), { error: { message: "no" } }).failure).toMatchObject({ _tag: "Reported" })
    expect(streamed("{half").failure).toMatchObject({ _tag: "Malformed" })
    expect(streamed(delta({}, "stop"), ":keepalive:").failure).toBe(undefined)
  })
})

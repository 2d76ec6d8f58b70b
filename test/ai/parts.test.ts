import { LanguageModel, Tool, Toolkit } from "@effect/ai"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Layer, Schema, Stream } from "effect"
import { LLMLanguageModel } from "../../src/ai/index.js"
import { TestLLM } from "../../src/testing/index.js"
import type { AssistantPart, ProviderPart } from "../../src/vocabulary/Chat.js"

const WebSearch = Tool.providerDefined({
  id: "openai.web_search",
  toolkitName: "Search",
  providerName: "web_search",
  args: { search_context_size: Schema.String },
  parameters: { action: Schema.Unknown },
  success: Schema.Struct({ status: Schema.String })
})
const toolkit = Toolkit.make(WebSearch({ search_context_size: "low" }))

const search: ProviderPart = {
  type: "provider",
  provider: "test",
  native: {
    responses: { item: { type: "web_search_call", id: "ws_1", status: "completed", action: { query: "Tiber" } } }
  }
}

const run = <A, E>(
  content: ReadonlyArray<AssistantPart>,
  effect: Effect.Effect<A, E, LanguageModel.LanguageModel | TestLLM.TestLLM>
): Effect.Effect<A, E> =>
  effect.pipe(
    Effect.provide(LLMLanguageModel.layer().pipe(Layer.provideMerge(TestLLM.layer([TestLLM.answer({ content })]))))
  )

describe("parts of @effect/ai", () => {
  it.effect(
    "a tool that the provider runs is sent by its name of the API and is a call and a result of the answer",
    () =>
      run(
        [search, { type: "text", text: "A river." }],
        Effect.gen(function* () {
          const response = yield* LanguageModel.generateText({ prompt: "The Tiber?", toolkit })
          const [request] = yield* TestLLM.calls
          expect(request?.request.tools).toBeUndefined()
          expect(request?.request.extra).toEqual({ tools: [{ type: "web_search", search_context_size: "low" }] })
          const [call] = response.toolCalls
          expect(call).toMatchObject({
            id: "ws_1",
            name: "Search",
            params: { action: { query: "Tiber" } },
            providerExecuted: true
          })
          expect(call?.metadata).toEqual({ effectLlm: { native: search.native, provider: "test" } })
          expect(response.toolResults).toMatchObject([
            { id: "ws_1", result: { status: "completed" }, isFailure: false }
          ])
        })
      )
  )

  it.effect("a citation of a text is a source after it, in an answer and in a stream", () => {
    const annotations = [{ type: "url_citation", url: "https://example.com", title: "Example" }]
    const text: AssistantPart = { type: "text", text: "A river.", native: { responses: { annotations } } }
    const source = { type: "source", sourceType: "url", title: "Example" }
    return Effect.zipRight(
      run(
        [text],
        Effect.map(LanguageModel.generateText({ prompt: "Hi" }), ({ content }) =>
          expect(content.slice(1, 3)).toMatchObject([{ type: "text" }, source])
        )
      ),
      run(
        [text],
        Effect.map(Stream.runCollect(LanguageModel.streamText({ prompt: "Hi" })), (parts) =>
          expect(Chunk.toReadonlyArray(parts).slice(-3)).toMatchObject([
            { type: "text-end" },
            source,
            { type: "finish" }
          ])
        )
      )
    )
  })

  it.effect("a cited document is a source with its title, of OpenAI by its file and of Anthropic by its name", () => {
    const cited: ReadonlyArray<AssistantPart> = [
      {
        type: "text",
        text: "A river.",
        native: { responses: { annotations: [{ type: "file_citation", file_id: "file-1", filename: "rivers.pdf" }] } }
      },
      {
        type: "text",
        text: "It is long.",
        native: {
          "anthropic-messages": {
            citations: [{ type: "page_location", cited_text: "405 km", document_index: 0, document_title: "Rivers" }]
          }
        }
      }
    ]
    return run(
      cited,
      Effect.map(LanguageModel.generateText({ prompt: "Hi" }), ({ content }) =>
        expect(content.filter(({ type }) => type === "source")).toMatchObject([
          { sourceType: "document", id: "0:0", title: "rivers.pdf", metadata: { effectLlm: { file_id: "file-1" } } },
          { sourceType: "document", id: "1:0", title: "Rivers", metadata: { effectLlm: { cited_text: "405 km" } } }
        ])
      )
    )
  })

  it.effect("a server tool of Anthropic is a call and a result of the answer, and both go back in their place", () => {
    const Search = Tool.providerDefined({
      id: "anthropic.web_search_20250305",
      toolkitName: "AnthropicSearch",
      providerName: "web_search",
      args: { max_uses: Schema.Number },
      parameters: { query: Schema.String },
      success: Schema.Array(Schema.Struct({ type: Schema.String, url: Schema.String })),
      failure: Schema.Struct({ type: Schema.String, error_code: Schema.String })
    })
    const toolkit = Toolkit.make(Search({ max_uses: 2 }))
    const block = (native: Record<string, unknown>): ProviderPart => ({
      type: "provider",
      provider: "test",
      native: { "anthropic-messages": native }
    })
    const found = [{ type: "web_search_result", url: "https://example.com" }]
    const failure = { type: "web_search_tool_result_error", error_code: "max_uses_exceeded" }
    const blocks = [
      block({ type: "server_tool_use", id: "srv_1", name: "web_search", input: { query: "Tiber" } }),
      block({ type: "web_search_tool_result", tool_use_id: "srv_1", content: found }),
      block({ type: "server_tool_use", id: "srv_2", name: "web_search", input: { query: "Arno" } }),
      block({ type: "web_search_tool_result", tool_use_id: "srv_2", content: failure })
    ]
    const parts = [
      { type: "tool-call", id: "srv_1", name: "AnthropicSearch", params: { query: "Tiber" }, providerExecuted: true },
      { type: "tool-result", id: "srv_1", result: found, isFailure: false },
      { type: "tool-call", id: "srv_2" },
      { type: "tool-result", id: "srv_2", result: failure, isFailure: true }
    ]
    return run(
      [...blocks, { type: "text", text: "A river." }],
      Effect.gen(function* () {
        const { content } = yield* LanguageModel.generateText({ prompt: "The Tiber?", toolkit })
        const executed = content.filter((part) => part.type === "tool-call" || part.type === "tool-result")
        expect(executed).toMatchObject(parts)
        const [first] = yield* TestLLM.calls
        expect(first?.request.extra).toEqual({
          tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 2 }]
        })
        yield* Effect.ignore(
          LanguageModel.generateText({
            toolkit,
            prompt: [
              {
                role: "assistant",
                content: executed.map((part) => ({ ...part, providerExecuted: true, options: part.metadata }))
              },
              { role: "user", content: "And now?" }
            ]
          })
        )
        const [, second] = yield* TestLLM.calls
        expect(second?.request.messages[0]).toEqual({ role: "assistant", content: blocks })
      })
    )
  })

  it.effect("an image that the model made is a file, and goes back in its place", () => {
    const image: ProviderPart = {
      type: "provider",
      provider: "test",
      native: { gemini: { inlineData: { mimeType: "image/png", data: "AAAA" }, thoughtSignature: "signed" } }
    }
    return run(
      [{ type: "text", text: "Here." }, image],
      Effect.gen(function* () {
        const { content } = yield* LanguageModel.generateText({ prompt: "Draw." })
        const file = content.find((part) => part.type === "file")
        expect(file).toMatchObject({ mediaType: "image/png", data: Uint8Array.of(0, 0, 0) })
        yield* Effect.ignore(
          LanguageModel.generateText({
            prompt: [
              {
                role: "assistant",
                content: [
                  { type: "file", mediaType: "image/png", data: Uint8Array.of(0, 0, 0), options: file?.metadata }
                ]
              },
              { role: "user", content: "Again." }
            ]
          })
        )
        const [, call] = yield* TestLLM.calls
        expect(call?.request.messages[0]).toEqual({ role: "assistant", content: [image] })
      })
    )
  })

  it.effect("a refusal is a text part without text, and goes back to the model as a refusal", () =>
    run(
      [{ type: "refusal", text: "I cannot." }],
      Effect.gen(function* () {
        const { content, text } = yield* LanguageModel.generateText({ prompt: "Hi" })
        expect(text).toBe("")
        expect(content[1]?.metadata).toEqual({ effectLlm: { refusal: "I cannot." } })
        yield* Effect.ignore(
          LanguageModel.generateText({
            prompt: [
              { role: "user", content: "Hi" },
              {
                role: "assistant",
                content: [{ type: "text", text: "", options: { effectLlm: { refusal: "I cannot." } } }]
              },
              { role: "user", content: "Why?" }
            ]
          })
        )
        const [, call] = yield* TestLLM.calls
        expect(call?.request.messages[1]).toEqual({
          role: "assistant",
          content: [{ type: "refusal", text: "I cannot." }]
        })
      })
    )
  )
})

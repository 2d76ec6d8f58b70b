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

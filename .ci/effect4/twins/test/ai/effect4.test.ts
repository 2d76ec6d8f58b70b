/** What only the AI modules of Effect 4 have. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Layer, Option, Redacted, Schema, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as AiChat from "effect/ai/Chat"
import * as EmbeddingModel from "effect/ai/EmbeddingModel"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { LanguageModelLLM, LLMLanguageModel, LLMToolkit } from "../../src/ai/index.js"
import * as LLMs from "../../src/LLM.js"
import { TestLLM } from "../../src/testing/index.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import { toolCall } from "../../src/vocabulary/Chat.js"
import * as Errors from "../../src/vocabulary/LLMError.js"
import { finish } from "../support/ai.js"
import { context } from "../support/scripted.js"

const Delete = Tool.make("delete", {
  parameters: Schema.Struct({ file: Schema.String }),
  success: Schema.String,
  needsApproval: true
})

const Chart = Tool.make("chart", {
  success: Schema.Struct({ png: Schema.String }),
  toModelOutput: ({ png }) => [
    Prompt.makePart("text", { text: "The chart." }),
    Prompt.makePart("file", { mediaType: "image/png", data: png })
  ]
})

const Search = Tool.dynamic("search", {
  description: "Searches.",
  parameters: { type: "object", properties: { query: { type: "string" } }, required: ["query"] },
  success: Schema.String
})

const Progress = Tool.make("progress", { success: Schema.Number })

const toolkit = Toolkit.make(Delete, Chart, Search, Progress)

const deleted: Array<string> = []

const Handlers = toolkit.toLayer({
  delete: ({ file }) =>
    Effect.sync(() => {
      deleted.push(file)
      return `Deleted ${file}.`
    }),
  chart: () => Effect.succeed({ png: "AAAA" }),
  search: (params) => Effect.succeed(JSON.stringify(params)),
  progress: (_, { preliminary }) => Effect.as(Effect.andThen(preliminary(0.5), preliminary(0.9)), 1)
})

const program = <A, E>(
  steps: ReadonlyArray<TestLLM.Step>,
  effect: Effect.Effect<
    A,
    E,
    LanguageModel.LanguageModel | Tool.HandlersFor<Toolkit.Tools<typeof toolkit>> | TestLLM.TestLLM | LLMs.LLM
  >
): Effect.Effect<A, E> =>
  effect.pipe(
    Effect.provide(Layer.merge(Handlers, LLMLanguageModel.layer().pipe(Layer.provideMerge(TestLLM.layer(steps)))))
  )

const deletion = toolCall("call-1", "delete", `{"file":"a.txt"}`)

describe("LLMLanguageModel of Effect 4", () => {
  it.effect("asks for an approval of a tool, and sends its result when it is approved", () =>
    program(
      [TestLLM.answer({ content: [deletion] }), "Done."],
      Effect.gen(function* () {
        deleted.length = 0
        const chat = yield* AiChat.empty
        const { content } = yield* chat.generateText({ prompt: "Delete a.txt.", toolkit })
        const request = content.find((part) => part.type === "tool-approval-request")
        expect(request).toMatchObject({ toolCallId: "call-1" })
        expect(deleted).toEqual([])
        const answer = yield* chat.generateText({
          toolkit,
          prompt: [
            {
              role: "tool",
              content: [{ type: "tool-approval-response", approvalId: request?.approvalId ?? "", approved: true }]
            }
          ]
        })
        expect(answer.text).toBe("Done.")
        expect(deleted).toEqual(["a.txt"])
        const [, second] = yield* TestLLM.calls
        expect(second?.request.messages).toMatchObject([
          { role: "user" },
          { role: "assistant", content: [deletion] },
          { role: "tool", toolCallId: "call-1", content: `"Deleted a.txt."` }
        ])
      })
    )
  )

  it.effect("sends what a tool makes of its result for the model, images included", () =>
    program(
      [TestLLM.answer({ content: [toolCall("call-1", "chart", "{}")] }), "A line."],
      Effect.gen(function* () {
        const chat = yield* AiChat.empty
        yield* chat.generateText({ prompt: "Draw.", toolkit })
        yield* chat.generateText({ prompt: [], toolkit })
        const [, second] = yield* TestLLM.calls
        expect(second?.request.messages.at(-1)).toEqual({
          role: "tool",
          toolCallId: "call-1",
          content: [
            { type: "text", text: "The chart." },
            { type: "image", url: "data:image/png;base64,AAAA" }
          ]
        })
      })
    )
  )

  it.effect("sends the JSON Schema of a dynamic tool as it is", () =>
    program(
      [TestLLM.answer({ content: [toolCall("call-1", "search", `{"query":"Tiber"}`)] })],
      Effect.gen(function* () {
        const { toolResults } = yield* LanguageModel.generateText({ prompt: "Search.", toolkit })
        expect(toolResults).toMatchObject([{ result: `{"query":"Tiber"}` }])
        const [call] = yield* TestLLM.calls
        expect(call?.request.tools?.find(({ name }) => name === "search")).toEqual({
          name: "search",
          description: "Searches.",
          parameters: { type: "object", properties: { query: { type: "string" } }, required: ["query"] }
        })
      })
    )
  )

  it.effect("does not run the tools of an answer that was cut off, and streams why", () =>
    program(
      [TestLLM.answer({ content: [deletion], finishReason: "length" })],
      Effect.gen(function* () {
        deleted.length = 0
        const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "Delete a.txt.", toolkit }))
        expect(deleted).toEqual([])
        expect(parts.slice(-2)).toMatchObject([
          { type: "tool-result", isFailure: true },
          { type: "finish", reason: "length" }
        ])
      })
    )
  )

  it.effect("fails with the reason of the error of the LLM", () => {
    const fields = { ...context, message: "No." }
    const cases: ReadonlyArray<readonly [Errors.LLMError, Partial<AiError.AiErrorReason>]> = [
      [
        new Errors.RateLimitError({ ...fields, source: "provider", status: 429, retryAfter: Duration.seconds(7) }),
        { _tag: "RateLimitError", retryAfter: Duration.seconds(7), isRetryable: true }
      ],
      [new Errors.QuotaExceededError(fields), { _tag: "QuotaExhaustedError" }],
      [new Errors.BudgetExceededError(fields), { _tag: "QuotaExhaustedError" }],
      [new Errors.AuthenticationError(fields), { _tag: "AuthenticationError", kind: "InvalidKey" }],
      [new Errors.PermissionError(fields), { _tag: "AuthenticationError", kind: "InsufficientPermissions" }],
      [new Errors.ContentFilterError(fields), { _tag: "ContentPolicyError" }],
      [new Errors.ContextLengthError(fields), { _tag: "InvalidRequestError", description: "No." }],
      [new Errors.ProviderUnavailableError(fields), { _tag: "InternalProviderError", isRetryable: true }],
      [new Errors.TimeoutError({ ...fields, phase: "idle" }), { _tag: "NetworkError", isRetryable: true }],
      [new Errors.MalformedResponseError({ ...fields, path: "", excerpt: "" }), { _tag: "InvalidOutputError" }],
      [new Errors.KeyPoolExhaustedError(fields), { _tag: "UnknownError", isRetryable: false }]
    ]
    return program(
      cases.map(([error]) => TestLLM.failure(error)),
      Effect.forEach(cases, ([error, reason]) =>
        Effect.gen(function* () {
          const failure = yield* Effect.flip(LanguageModel.generateText({ prompt: "Hi" }))
          expect(failure.reason).toMatchObject(reason)
          expect(LLMLanguageModel.llmError(failure)).toEqual(Option.some(error))
        })
      )
    )
  })
})

describe("LLMToolkit of Effect 4", () => {
  it.effect("does not run a tool that needs an approval, which the tool loop cannot ask for", () =>
    program(
      [TestLLM.answer({ content: [deletion] }), "Done."],
      Effect.gen(function* () {
        deleted.length = 0
        const tools = LLMToolkit.tools(yield* toolkit)
        const error = yield* Effect.flip(LLMs.runTools("Delete a.txt.", { tools }))
        expect(error).toMatchObject({ reason: { _tag: "ToolConfigurationError", toolName: "delete" } })
        expect(deleted).toEqual([])
      })
    )
  )

  it.effect("sends the last result of a tool, as the tool makes it for the model", () =>
    program(
      [TestLLM.answer({ content: [toolCall("call-1", "progress", "{}"), toolCall("call-2", "chart", "{}")] }), "Done."],
      Effect.gen(function* () {
        const tools = LLMToolkit.tools(yield* toolkit)
        const { rounds } = yield* LLMs.runTools("Work.", { tools })
        expect(rounds.flatMap(({ executions }) => executions.map(({ result }) => result.content))).toEqual([
          "1",
          "The chart.\n[image/png omitted]"
        ])
      })
    )
  )
})

describe("LanguageModelLLM of Effect 4", () => {
  const failing = (reason: AiError.AiErrorReason) =>
    Layer.effect(
      LanguageModel.LanguageModel,
      LanguageModel.make({
        generateText: () => Effect.fail(AiError.make({ module: "Test", method: "generateText", reason })),
        streamText: () => Stream.empty
      })
    )

  it.effect("fails with the typed error of each reason", () => {
    const response = { status: 429, headers: { "Retry-After": Redacted.make("7") } }
    const cases: ReadonlyArray<readonly [AiError.AiErrorReason, Partial<Errors.LLMError>]> = [
      [
        new AiError.RateLimitError({ http: { response, body: `{"error":{"message":"Slow down."}}` } }),
        { _tag: "RateLimitError", status: 429, retryAfter: Duration.seconds(7) }
      ],
      [
        new AiError.RateLimitError({ retryAfter: Duration.seconds(3) }),
        { _tag: "RateLimitError", retryAfter: Duration.seconds(3) }
      ],
      [new AiError.QuotaExhaustedError({}), { _tag: "QuotaExceededError" }],
      [new AiError.AuthenticationError({ kind: "ExpiredKey" }), { _tag: "AuthenticationError" }],
      [new AiError.AuthenticationError({ kind: "InsufficientPermissions" }), { _tag: "PermissionError" }],
      [new AiError.ContentPolicyError({ description: "No." }), { _tag: "ContentFilterError" }],
      [new AiError.InvalidRequestError({}), { _tag: "InvalidRequestError" }],
      [new AiError.InternalProviderError({ description: "Down." }), { _tag: "ProviderUnavailableError" }],
      [
        new AiError.NetworkError({ reason: "TransportError", method: "POST", url: "https://example.com" }),
        { _tag: "NetworkError" }
      ],
      [new AiError.InvalidResponseError({ description: "Not JSON." }), { _tag: "MalformedResponseError" }],
      [new AiError.UnknownError({}), { _tag: "ProviderUnavailableError" }]
    ]
    return Effect.forEach(cases, ([reason, expected]) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(LLMs.chat("Hi"))
        expect(error).toMatchObject({ ...expected, provider: "bedrock", model: "claude" })
      }).pipe(
        Effect.provide(
          LanguageModelLLM.layer({ provider: "bedrock", model: "claude" }).pipe(Layer.provide(failing(reason)))
        )
      )
    )
  })

  it.effect("reads usage with the tokens of caches and of reasoning", () =>
    Effect.gen(function* () {
      const { usage } = yield* LLMs.chat("Hi")
      expect(usage).toMatchObject({
        inputTokens: 10,
        cachedInputTokens: 4,
        cacheWriteTokens: 2,
        outputTokens: 7,
        reasoningTokens: 5,
        estimated: false
      })
    }).pipe(
      Effect.provide(
        LanguageModelLLM.layer({ provider: "bedrock", model: "claude" }).pipe(
          Layer.provide(
            Layer.effect(
              LanguageModel.LanguageModel,
              LanguageModel.make({
                generateText: () =>
                  Effect.succeed([
                    {
                      ...finish,
                      usage: {
                        inputTokens: { total: 10, cacheRead: 4, cacheWrite: 2 },
                        outputTokens: { total: 7, reasoning: 5 }
                      }
                    }
                  ]),
                streamText: () => Stream.empty
              })
            )
          )
        )
      )
    )
  )

  it.effect("reads the tokens of embeddings, and estimates those that are no count", () =>
    Effect.gen(function* () {
      const used: Array<unknown> = []
      for (const inputTokens of [3, -1]) {
        const embedding = Layer.effect(
          EmbeddingModel.EmbeddingModel,
          EmbeddingModel.make({ embedMany: () => Effect.succeed({ results: [[1]], usage: { inputTokens } }) })
        )
        const layer = LanguageModelLLM.layer({ provider: "bedrock", model: "claude" }).pipe(
          Layer.provide([embedding, failing(new AiError.UnknownError({}))])
        )
        const { usage } = yield* Effect.provide(LLMs.embed("A river of Italy."), layer)
        used.push([usage.inputTokens > 0, usage.estimated])
      }
      expect(used).toEqual([
        [true, false],
        [true, true]
      ])
    })
  )

  it.effect("refuses a call of a tool that the request does not have", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLMs.chat({ messages: [Chat.user("Hi")], tools: [{ name: "a" }] }))
      expect(error).toMatchObject({ _tag: "MalformedResponseError", provider: "bedrock" })
    }).pipe(
      Effect.provide(
        LanguageModelLLM.layer({ provider: "bedrock", model: "claude" }).pipe(
          Layer.provide(
            Layer.effect(
              LanguageModel.LanguageModel,
              LanguageModel.make({
                generateText: () => Effect.succeed([{ type: "tool-call", id: "1", name: "b", params: {} }, finish]),
                streamText: () => Stream.empty
              })
            )
          )
        )
      )
    )
  )
})

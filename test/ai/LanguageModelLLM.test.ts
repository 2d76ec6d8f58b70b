import { LanguageModel } from "@effect/ai"
import type { AiError, Response } from "@effect/ai"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Context, Deferred, Effect, Exit, Fiber, Layer, Option, Schema, Stream } from "effect"
import { LanguageModelLLM, LLMLanguageModel } from "../../src/ai/index.js"
import { Retry } from "../../src/index.js"
import { LLM } from "../../src/LLM.js"
import * as LLMs from "../../src/LLM.js"
import * as Tool from "../../src/programs/Tool.js"
import type { AssistantPart, Message } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as Events from "../../src/vocabulary/ChatEvent.js"
import { RateLimitError } from "../../src/vocabulary/LLMError.js"
import { TestLLM } from "../../src/testing/index.js"
import { finish, finishWithoutUsage, lengths, malformedOutput, responseError } from "../support/ai.js"
import { context } from "../support/scripted.js"
import { content } from "../wire/generators.js"

/** An `LLM` over a `LanguageModel` over the scripted `LLM`. */
const through = (script: ReadonlyArray<TestLLM.Step>, options: Partial<LanguageModelLLM.Options> = {}) =>
  Layer.effectContext(
    Effect.gen(function* () {
      const { calls, llm } = yield* TestLLM.make(script)
      const languageModel = yield* Effect.provideService(LLMLanguageModel.make(), LLM, llm)
      const outer = yield* LanguageModelLLM.make({ provider: "test", model: "model", ...options }).pipe(
        Effect.provideService(LanguageModel.LanguageModel, languageModel)
      )
      return Context.make(LLM, outer).pipe(Context.add(TestLLM.TestLLM, { calls }))
    })
  )

const withJsonArguments = (parts: ReadonlyArray<AssistantPart>): ReadonlyArray<AssistantPart> =>
  parts.map((part): AssistantPart => {
    if (part.type !== "tool-call") return part
    const { custom: _, ...call } = part
    return { ...call, arguments: JSON.stringify({ value: part.arguments }) }
  })

const contents = content("test").map(withJsonArguments)

/** A scripted `LanguageModel`, and the prompts that it was given. */
const model = (answers: {
  readonly whole?: ReadonlyArray<Response.PartEncoded>
  readonly stream?: Stream.Stream<Response.StreamPartEncoded, AiError.AiError>
  readonly failure?: AiError.AiError
}) => {
  const prompts: Array<LanguageModel.ProviderOptions> = []
  const service = LanguageModel.make({
    generateText: (options) => {
      prompts.push(options)
      return answers.failure === undefined ? Effect.succeed([...(answers.whole ?? [])]) : Effect.fail(answers.failure)
    },
    streamText: (options) => {
      prompts.push(options)
      return answers.stream ?? Stream.empty
    }
  })
  return { prompts, layer: Layer.effect(LanguageModel.LanguageModel, service) }
}

const over = (layer: Layer.Layer<LanguageModel.LanguageModel>, options: Partial<LanguageModelLLM.Options> = {}) =>
  LanguageModelLLM.layer({ provider: "bedrock", model: "claude", ...options }).pipe(Layer.provide(layer))

const unique = (tools: ReadonlyArray<Chat.ToolDefinition>): ReadonlyArray<Chat.ToolDefinition> =>
  tools.filter(({ name }, at) => tools.findIndex((tool) => tool.name === name) === at)

describe("LanguageModelLLM", () => {
  it.effect.prop("answers with every part of the answer in its place, whole and streamed", [contents], ([parts]) =>
    Effect.gen(function* () {
      const request = {
        messages: [Chat.user("Hi")],
        tools: unique(Chat.toolCallsOf(parts).map(({ name }) => ({ name })))
      }
      const whole = yield* LLMs.chat(request)
      const streamed = yield* Events.collect(LLMs.chatStream(request))
      expect(whole.content).toEqual(parts)
      expect({ ...streamed, latency: 0, attempts: [] }).toEqual({ ...whole, latency: 0, attempts: [] })
      expect(whole.finishReason).toBe(request.tools.length > 0 ? "tool-calls" : "stop")
    }).pipe(Effect.provide(through([TestLLM.answer({ content: parts }), TestLLM.answer({ content: parts })])))
  )

  it.effect.prop("sends every message in its place, with the signatures of reasoning", [contents], ([parts]) => {
    const calls = Chat.toolCallsOf(parts)
    const messages: ReadonlyArray<Message> = [
      Chat.system("Be brief."),
      Chat.user([
        Chat.text("What is this?"),
        { type: "image", url: "data:image/png;base64,AAAA", detail: "low" },
        { type: "audio", url: "data:audio/wav;base64,AAAA" },
        { type: "file", url: "https://example.com/a.pdf", filename: "a.pdf" },
        { type: "file", fileId: "file-1" }
      ]),
      Chat.assistant(parts.length === 0 ? [Chat.text("A cat.")] : parts),
      ...calls.map((call) => Chat.toolResult(call, `{"of":"${call.id}"}`)),
      Chat.user("And now?")
    ]
    return Effect.gen(function* () {
      yield* LLMs.chat({ messages })
      const [call] = yield* TestLLM.calls
      expect(call?.request.messages).toEqual(messages)
    }).pipe(Effect.provide(through(["A cat."])))
  })

  it.effect("sends tools with their JSON Schemas, and the choice of one", () =>
    Effect.gen(function* () {
      const tools: ReadonlyArray<Chat.ToolDefinition> = [
        {
          name: "weather",
          description: "The weather.",
          parameters: { type: "object", properties: { city: { type: "string", minLength: 2 } }, required: ["city"] }
        }
      ]
      yield* LLMs.chat({ messages: [Chat.user("Hi")], tools, toolChoice: { name: "weather" } })
      const [call] = yield* TestLLM.calls
      expect(call?.request.tools).toEqual(tools)
      expect(call?.request.toolChoice).toEqual({ name: "weather" })
    }).pipe(Effect.provide(through(["Sunny."])))
  )

  it.effect("runs the tools of this library", () => {
    const weather = Tool.make("weather", {
      parameters: { city: Schema.String },
      handler: ({ city }) => Effect.succeed(`Rain in ${city}.`)
    })
    return Effect.gen(function* () {
      const { response } = yield* LLMs.runTools("Rome?", { tools: [weather] })
      expect(response.text).toBe("Take an umbrella.")
      const [, second] = yield* TestLLM.calls
      expect(second?.request.messages.at(-1)).toMatchObject({ role: "tool", content: `"Rain in Rome."` })
    }).pipe(
      Effect.provide(
        through([
          TestLLM.answer({ toolCalls: [Chat.toolCall("1", "weather", `{"city":"Rome"}`)] }),
          "Take an umbrella."
        ])
      )
    )
  })

  it.effect("asks for objects by their schema, and streams them by a tool", () => {
    const schema = Schema.Struct({ city: Schema.String })
    return Effect.gen(function* () {
      const { value } = yield* LLMs.generateObject("The capital of Italy?", { schema, name: "capital" })
      expect(value).toEqual({ city: "Rome" })
      const events = yield* Stream.runCollect(LLMs.streamObject("The capital of Italy?", { schema, name: "capital" }))
      expect(Chunk.unsafeLast(events)).toMatchObject({ _tag: "Finish", result: { value: { city: "Rome" } } })
      const [native, byTool] = yield* TestLLM.calls
      expect(native?.request.responseFormat).toMatchObject({ name: "capital", schema: { required: ["city"] } })
      expect(byTool?.request.toolChoice).toEqual({ name: "capital" })
    }).pipe(
      Effect.provide(
        through([`{"city":"Rome"}`, TestLLM.answer({ toolCalls: [Chat.toolCall("1", "capital", `{"city":"Rome"}`)] })])
      )
    )
  })

  it.effect("keeps the metadata of another provider's model, and sends it back with the part", () => {
    const { layer, prompts } = model({
      whole: [
        { type: "response-metadata", id: "msg_1", modelId: "claude-1" },
        { type: "reasoning", text: "Hm.", metadata: { bedrock: { signature: "s" } } },
        { type: "tool-call", id: "1", name: "look", params: { at: 1 }, metadata: { bedrock: { index: 2 } } },
        finish
      ]
    })
    return Effect.gen(function* () {
      const tools = [{ name: "look" }]
      const answer = yield* LLMs.chat({ messages: [Chat.user("Hi")], tools })
      expect(answer).toMatchObject({ id: "msg_1", model: "claude-1", provider: "bedrock", finishReason: "stop" })
      expect(answer.usage).toMatchObject({ inputTokens: 3, outputTokens: 2, estimated: false })
      yield* LLMs.chat({
        messages: [
          Chat.user("Hi"),
          Chat.toMessage(answer),
          ...answer.toolCalls.map((call) => Chat.toolResult(call, "2"))
        ],
        tools
      })
      const sent = prompts[1]?.prompt.content.slice(1)
      expect(sent).toMatchObject([
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "Hm.", options: { bedrock: { signature: "s" } } },
            { type: "tool-call", params: { at: 1 }, options: { bedrock: { index: 2 } } }
          ]
        },
        { role: "tool", content: [{ id: "1", name: "look", result: 2 }] }
      ])
    }).pipe(Effect.provide(over(layer)))
  })

  it.effect(
    "keeps files, sources and the tools of the provider as parts, and sends back what a prompt can hold",
    () => {
      const { layer, prompts } = model({
        whole: [
          { type: "file", mediaType: "image/png", data: "AAAA" },
          { type: "source", sourceType: "url", id: "s", url: "https://example.com/", title: "Example" },
          finish
        ]
      })
      return Effect.gen(function* () {
        const answer = yield* LLMs.chat("Draw.")
        expect(answer.content.map((part) => part.type === "provider" && part.native["effect-ai"])).toMatchObject([
          { type: "file", mediaType: "image/png", data: "AAAA" },
          { type: "source", url: "https://example.com/" }
        ])
        yield* LLMs.chat({ messages: [Chat.user("Draw."), Chat.toMessage(answer), Chat.user("Again.")] })
        expect(prompts[1]?.prompt.content[1]?.content).toMatchObject([{ type: "file", data: "AAAA" }])
      }).pipe(Effect.provide(over(layer)))
    }
  )

  it.effect("estimates a usage that the model does not report", () => {
    const { layer } = model({ whole: [{ type: "text", text: "A river of Italy." }, finishWithoutUsage] })
    return Effect.gen(function* () {
      const answer = yield* LLMs.chat("Name one.")
      expect(answer.usage.estimated).toBe(true)
      expect(answer.usage.inputTokens).toBeGreaterThan(0)
      expect(answer.usage.outputTokens).toBeGreaterThan(0)
    }).pipe(Effect.provide(over(layer)))
  })

  it.effect("refuses a field that the model has no setting for, and applies those that it has", () => {
    class Config extends Context.Tag("Config")<Config, { readonly temperature?: number | undefined }>() {}
    const seen: Array<unknown> = []
    const recording = Layer.effect(
      LanguageModel.LanguageModel,
      LanguageModel.make({
        generateText: () =>
          Effect.map(Effect.serviceOption(Config), (config) => {
            seen.push(Option.getOrUndefined(config))
            return [finish]
          }),
        streamText: () =>
          Stream.unwrap(
            Effect.map(Effect.serviceOption(Config), (config) => {
              seen.push(Option.getOrUndefined(config))
              return Stream.make(finish)
            })
          )
      })
    )
    const settings: LanguageModelLLM.Settings = {
      fields: ["temperature"],
      apply: ({ temperature }) => Effect.provideService(Config, { temperature })
    }
    return Effect.gen(function* () {
      yield* LLMs.chat("Hi", { temperature: 0.5 })
      yield* Stream.runDrain(LLMs.chatStream("Hi", { temperature: 0.7 }))
      expect(seen).toEqual([{ temperature: 0.5 }, { temperature: 0.7 }])
      expect(yield* Effect.flip(LLMs.chat("Hi", { seed: 1 }))).toMatchObject({
        _tag: "UnsupportedError",
        feature: "seed"
      })
      expect(seen).toHaveLength(2)
    }).pipe(Effect.provide(over(recording, { settings })))
  })

  it.effect("fails with typed errors by status and body, with Retry-After, and the original of its own", () => {
    const limited = model({
      failure: responseError(429, { "Retry-After": "7" }, { error: { message: "Slow down." } })
    })
    const wrongKey = model({ failure: responseError(401, {}, { error: { message: "Wrong key." } }) })
    const unreadable = model({ failure: malformedOutput })
    const own = new RateLimitError({ ...context, status: 429, message: "Slow down.", source: "provider" })
    return Effect.gen(function* () {
      const failures = yield* Effect.forEach([limited, wrongKey, unreadable], ({ layer }) =>
        Effect.provide(Effect.flip(LLMs.chat("Hi")), over(layer))
      )
      expect(failures).toMatchObject([
        {
          _tag: "RateLimitError",
          provider: "bedrock",
          model: "claude",
          status: 429,
          attempts: [{ error: "RateLimitError", status: 429 }]
        },
        { _tag: "AuthenticationError", status: 401 },
        { _tag: "MalformedResponseError" }
      ])
      expect("retryAfter" in (failures[0] ?? {}) && String(failures[0]?.message)).toContain("7")
      const original = yield* Effect.provide(Effect.flip(LLMs.chat("Hi")), through([TestLLM.failure(own)]))
      expect(original).toMatchObject({ _tag: "RateLimitError", provider: "test", message: "Slow down." })
    })
  })

  it.live("retries with the retries of this library", () => {
    let calls = 0
    const flaky = Layer.effect(
      LanguageModel.LanguageModel,
      LanguageModel.make({
        generateText: () =>
          Effect.suspend(() =>
            ++calls < 3
              ? Effect.fail(responseError(503, { "retry-after": "0" }, { error: { message: "Overloaded." } }))
              : Effect.succeed([{ type: "text" as const, text: "Here." }, finish])
          ),
        streamText: () => Stream.empty
      })
    )
    return Effect.gen(function* () {
      const answer = yield* LLMs.chat("Hi")
      expect([answer.text, answer.attempts.length]).toEqual(["Here.", 3])
    }).pipe(Effect.provide(over(flaky).pipe(LLMs.withMiddleware(Retry.middleware()))))
  })

  it.effect("ends a stream that breaks with the answer so far, and one without an end too", () => {
    const start: ReadonlyArray<Response.StreamPartEncoded> = [
      { type: "response-metadata", id: "1", modelId: "claude-1" },
      { type: "text-start", id: "a" },
      { type: "text-delta", id: "a", delta: "A riv" }
    ]
    const error = responseError(529, {}, { error: { type: "overloaded_error", message: "Overloaded." } })
    const broken = [
      Stream.concat(Stream.fromIterable(start), Stream.fail(error)),
      Stream.fromIterable<Response.StreamPartEncoded>([...start, { type: "error", error: "Overloaded." }]),
      Stream.fromIterable(start)
    ]
    return Effect.forEach(broken, (stream) =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(Stream.runDrain(LLMs.chatStream("Hi")))
        expect(failure).toMatchObject({
          _tag: "StreamInterruptedError",
          begun: true,
          partial: { text: "A riv", model: "claude-1" }
        })
      }).pipe(Effect.provide(over(model({ stream }).layer)))
    )
  })

  it.effect("ends the stream of the model when its consumer leaves", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const stream = Stream.concat(
        Stream.fromIterable<Response.StreamPartEncoded>([
          { type: "text-start", id: "a" },
          { type: "text-delta", id: "a", delta: "A" }
        ]),
        Stream.never
      ).pipe(Stream.ensuring(Deferred.succeed(closed, undefined)))
      const reader = yield* Effect.fork(
        Effect.provide(Stream.runDrain(LLMs.chatStream("Hi")), over(model({ stream }).layer))
      )
      yield* Effect.yieldNow()
      expect(Exit.isInterrupted(yield* Fiber.interrupt(reader))).toBe(true)
      yield* Deferred.await(closed)
    })
  )

  it.effect("embeds with the EmbeddingModel in context, and has no embeddings without one", () => {
    const { layer } = model({})
    return Effect.gen(function* () {
      const { embeddings, usage } = yield* Effect.provide(
        LLMs.embed(["a", "bcd"]),
        over(layer).pipe(Layer.provide(lengths))
      )
      expect([embeddings, usage.estimated]).toEqual([[[1], [3]], true])
      const failure = yield* Effect.flip(Effect.provide(LLMs.embed("a"), over(layer)))
      expect(failure).toMatchObject({ _tag: "UnsupportedError", feature: "embeddings" })
    })
  })

  it.effect("refuses media in the result of a tool, and parts of other protocols", () => {
    const { layer, prompts } = model({})
    const image: Message = {
      role: "tool",
      toolCallId: "1",
      content: [{ type: "image", url: "https://example.com/a.png" }]
    }
    const part: Message = Chat.user([{ type: "provider", native: { anthropic: { type: "document" } } }])
    return Effect.gen(function* () {
      const failures = yield* Effect.forEach([image, part], (message) =>
        Effect.flip(LLMs.chat({ messages: [Chat.user("Hi"), message] }))
      )
      expect(failures.map(({ _tag }) => _tag)).toEqual(["UnsupportedError", "UnsupportedError"])
      expect(prompts).toEqual([])
    }).pipe(Effect.provide(over(layer)))
  })
})

/** The settings of the choice of tokens: what each target takes, refuses, and in which range. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer } from "effect"
import * as FastCheck from "fast-check"
import { HttpClient } from "@effect/platform"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import { presets } from "../../src/provider/presets/chatCompletions.js"
import { presets as responsesPresets } from "../../src/provider/presets/responses.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as DashScope from "../../src/wire/DashScope.js"
import * as Gemini from "../../src/wire/Gemini.js"
import * as Ollama from "../../src/wire/Ollama.js"
import * as Responses from "../../src/wire/Responses.js"
import { samplingFields } from "../../src/wire/sampling.js"
import type { ClientWire, SamplingField, WireFailure } from "../../src/wire/Wire.js"
import { sampling } from "./generators.js"

const encode = (wire: ClientWire, request: Partial<ChatRequest>) =>
  wire.encodeRequest(
    { messages: [Chat.user("Hello")], ...request },
    { provider: "acme", model: "claude-sonnet-4-6", stream: false }
  )

const failureOf = (wire: ClientWire, request: Partial<ChatRequest>): WireFailure | undefined =>
  Either.match(encode(wire, request), { onLeft: (failure) => failure, onRight: () => undefined })

const bodyOf = (wire: ClientWire, request: Partial<ChatRequest>): Record<string, unknown> =>
  Either.getOrThrowWith(encode(wire, request), (failure) => new Error(JSON.stringify(failure))).body

/** A value that has an effect. */
const values = {
  topK: 3,
  frequencyPenalty: 0.5,
  presencePenalty: -0.5,
  logitBias: { "50256": -100 },
  logprobs: true
} as const satisfies Pick<ChatRequest, SamplingField>

const targets: ReadonlyArray<readonly [string, ClientWire, ReadonlyArray<SamplingField>]> = [
  ["OpenAI", ChatCompletions.make(presets.openai.dialect), samplingFields.slice(1)],
  ["OpenRouter", ChatCompletions.make(presets.openrouter.dialect), samplingFields],
  ["DeepSeek", ChatCompletions.make(presets.deepseek.dialect), ["frequencyPenalty", "presencePenalty", "logprobs"]],
  ["Groq", ChatCompletions.make(presets.groq.dialect), ["frequencyPenalty", "presencePenalty"]],
  ["Mistral", ChatCompletions.make(presets.mistral.dialect), ["frequencyPenalty", "presencePenalty"]],
  ["Zhipu", ChatCompletions.make(presets.zhipu.dialect), []],
  ["Model Studio", ChatCompletions.make(presets.dashscope.dialect), ["topK", "presencePenalty", "logprobs"]],
  ["vLLM", ChatCompletions.make(presets.vllm.dialect), samplingFields],
  ["OpenAI's Responses", Responses.make(responsesPresets.openai.dialect), ["logprobs"]],
  [
    "an Open Responses server",
    Responses.make(responsesPresets.lmStudio.dialect),
    ["frequencyPenalty", "presencePenalty", "logprobs"]
  ],
  ["Anthropic", Anthropic.make(), ["topK"]],
  ["Gemini", Gemini.make(), ["topK", "frequencyPenalty", "presencePenalty", "logprobs"]],
  ["Ollama", Ollama.make(), ["topK", "frequencyPenalty", "presencePenalty", "logprobs"]],
  ["DashScope", DashScope.make(), ["topK", "presencePenalty", "logprobs"]]
]

describe("settings of the choice of tokens", () => {
  it.each(targets)("%s takes its own settings and refuses the others by name", (_, wire, supported) => {
    for (const field of samplingFields) {
      expect(failureOf(wire, { [field]: values[field] }), field).toEqual(
        supported.includes(field) ? undefined : { _tag: "Unsupported", feature: field }
      )
    }
  })

  it.each(targets)("%s accepts settings without an effect", (_, wire, supported) => {
    const neutral = { frequencyPenalty: 0, presencePenalty: 0, logitBias: {}, logprobs: false }
    const text = JSON.stringify(bodyOf(wire, neutral))
    expect(text.includes("requency")).toBe(supported.includes("frequencyPenalty"))
    expect(text.includes("resence")).toBe(supported.includes("presencePenalty"))
  })

  it.prop(
    "a wire encodes every setting that it takes, and nothing else changes",
    [FastCheck.record(sampling), FastCheck.constantFrom(...targets)],
    ([settings, [, wire, supported]]) => {
      for (const field of supported) {
        const without = JSON.stringify(bodyOf(wire, {}))
        const body = JSON.stringify(bodyOf(wire, { [field]: settings[field] }))
        expect(body.length > without.length || settings[field] === false).toBe(true)
      }
    }
  )

  it("writes the fields of Chat Completions", () => {
    const wire = ChatCompletions.make(presets.openrouter.dialect)
    expect(bodyOf(wire, { ...values, logprobs: 4 })).toMatchObject({
      top_k: 3,
      frequency_penalty: 0.5,
      presence_penalty: -0.5,
      logit_bias: { "50256": -100 },
      logprobs: true,
      top_logprobs: 4
    })
    expect(bodyOf(wire, { logprobs: true })).not.toHaveProperty("top_logprobs")
    expect(bodyOf(wire, { logprobs: false })).toMatchObject({ logprobs: false })
  })

  it("writes include and top_logprobs for Responses, beside what else is included", () => {
    const wire = Responses.make()
    const logprobs = "message.output_text.logprobs"
    expect(bodyOf(wire, { model: "gpt-5", logprobs: 4 })).toMatchObject({
      include: ["reasoning.encrypted_content", logprobs],
      top_logprobs: 4
    })
    expect(bodyOf(wire, { model: "gpt-4o", logprobs: true })["include"]).toEqual([logprobs])
    expect(bodyOf(wire, { logprobs: true, extra: { include: ["a", logprobs] } })["include"]).toEqual(["a", logprobs])
    expect(bodyOf(wire, { logprobs: true, extra: { include: ["a"] } })["include"]).toEqual(["a", logprobs])
    expect(bodyOf(wire, { model: "gpt-4o", logprobs: false })).not.toHaveProperty("include")
  })

  it("writes the generationConfig of Gemini, the options of Ollama and the parameters of DashScope", () => {
    expect(bodyOf(Gemini.make(), { topK: 3, presencePenalty: 1, frequencyPenalty: 2, logprobs: 4 })).toMatchObject({
      generationConfig: { topK: 3, presencePenalty: 1, frequencyPenalty: 2, responseLogprobs: true, logprobs: 4 }
    })
    expect(bodyOf(Ollama.make(), { topK: 3, presencePenalty: 1, frequencyPenalty: 2, logprobs: 4 })).toMatchObject({
      options: { top_k: 3, presence_penalty: 1, frequency_penalty: 2 },
      logprobs: true,
      top_logprobs: 4
    })
    expect(bodyOf(DashScope.make(), { topK: 3, presencePenalty: 1, logprobs: 4 })).toMatchObject({
      parameters: { top_k: 3, presence_penalty: 1, logprobs: true, top_logprobs: 4 }
    })
    expect(bodyOf(Anthropic.make(), { topK: 3 })).toMatchObject({ top_k: 3 })
  })
})

describe("ranges of a target", () => {
  it.each<readonly [string, ClientWire, number]>([
    ["Anthropic", Anthropic.make(), 1],
    ["Gemini", Gemini.make(), 2],
    ["OpenAI", ChatCompletions.make(presets.openai.dialect), 2],
    ["OpenAI's Responses", Responses.make(), 2],
    ["Mistral", ChatCompletions.make(presets.mistral.dialect), 1.5],
    ["Zhipu", ChatCompletions.make(presets.zhipu.dialect), 1],
    ["DashScope", DashScope.make(), 2]
  ])("%s has a largest temperature", (_, wire, max) => {
    expect(failureOf(wire, { temperature: max })).toBeUndefined()
    expect(failureOf(wire, { temperature: max + 0.1 })).toEqual({
      _tag: "Invalid",
      field: "temperature",
      message: `temperature: must be between 0 and ${max}, not ${max + 0.1}`
    })
  })

  it("servers with other models have no largest temperature", () => {
    for (const wire of [
      Ollama.make(),
      ChatCompletions.make(presets.vllm.dialect),
      Anthropic.make({ modelLimits: false })
    ]) {
      expect(failureOf(wire, { temperature: 5 })).toBeUndefined()
    }
  })

  it("DashScope, Model Studio and xAI have a largest number of logprobs", () => {
    for (const [wire, max] of [
      [DashScope.make(), 5],
      [ChatCompletions.make(presets.dashscope.dialect), 5],
      [ChatCompletions.make(presets.xai.dialect), 8]
    ] as const) {
      expect(failureOf(wire, { logprobs: max })).toBeUndefined()
      expect(failureOf(wire, { logprobs: max + 1 })).toMatchObject({ _tag: "Invalid", field: "logprobs" })
    }
  })

  it.effect("a call with a value that the provider does not accept fails before anything is sent", () =>
    Effect.gen(function* () {
      const sent: Array<string> = []
      const http = HttpClient.make((request) => {
        sent.push(request.url)
        return Effect.never
      })
      const llm = yield* LLM.make({ model: "claude-sonnet-4-6" }).pipe(
        Effect.provide(
          Layer.mergeAll(
            Layer.provide(AnthropicClient.layer(), Layer.succeed(HttpClient.HttpClient, http)),
            KeyPool.layer({ provider: "anthropic", keys: ["sk-1"] }),
            RateLimiter.layerUnlimited
          )
        )
      )
      expect(yield* Effect.flip(llm.chat({ messages: [Chat.user("Hello")], temperature: 1.7 }))).toMatchObject({
        _tag: "InvalidRequestError",
        provider: "anthropic",
        model: "claude-sonnet-4-6",
        field: "temperature",
        message: "anthropic does not accept the request. temperature: must be between 0 and 1, not 1.7."
      })
      expect(yield* Effect.flip(llm.chat({ messages: [Chat.user("Hello")], logprobs: true }))).toMatchObject({
        _tag: "UnsupportedError",
        feature: "logprobs"
      })
      expect(sent).toEqual([])
    })
  )
})

describe("several answers", () => {
  it.each(targets)("%s refuses extra.n above 1 as Unsupported", (_, wire) => {
    expect(failureOf(wire, { extra: { n: 2 } })).toEqual({ _tag: "Unsupported", feature: "n" })
    expect(failureOf(wire, { extra: { n: 1 } })).toBeUndefined()
  })

  it("Gemini refuses a candidateCount above 1 as Unsupported", () => {
    const extra = (candidateCount: number) => ({ extra: { generationConfig: { candidateCount } } })
    expect(failureOf(Gemini.make(), extra(2))).toEqual({ _tag: "Unsupported", feature: "candidateCount" })
    expect(failureOf(Gemini.make(), extra(1))).toBeUndefined()
  })
})

describe("settings that the vocabulary does not cover", () => {
  it("a server keeps a number of logprobs without the request for them in extra", () => {
    const messages = [{ role: "user", content: "Hello" }]
    const extraOf = (
      wire: {
        readonly decodeRequest: (body: unknown) => Either.Either<{ readonly request: ChatRequest }, WireFailure>
      },
      body: object
    ) => Either.getOrThrow(wire.decodeRequest(body)).request.extra
    expect(extraOf(ChatCompletions.make(), { messages, top_logprobs: 2 })).toEqual({ top_logprobs: 2 })
    expect(extraOf(Ollama.make(), { messages, top_logprobs: 2 })).toEqual({ top_logprobs: 2 })
    expect(extraOf(Responses.make(), { input: "Hello", top_logprobs: 2 })).toMatchObject({ top_logprobs: 2 })
    expect(
      extraOf(Gemini.make(), {
        contents: [{ role: "user", parts: [{ text: "a" }] }],
        generationConfig: { logprobs: 2 }
      })
    ).toEqual({ generationConfig: { logprobs: 2 } })
  })
})

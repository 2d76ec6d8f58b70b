/** The `ai` package against the gateway over sockets, by three protocols and in front of three kinds of provider. */
import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { describe, expect, it } from "@effect/vitest"
import type { LanguageModel } from "ai"
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai"
import type { Scope } from "effect"
import { Effect } from "effect"
import { z } from "zod"
import type { ChatRequest, ChatResponse } from "../../src/vocabulary/Chat.js"
import type { Upstream } from "../gateway/support/gateway.js"
import { start } from "../gateway/support/gateway.js"

const clients = {
  "chat completions": (url: string, model: string) => createOpenAI({ baseURL: `${url}/v1`, apiKey: "any" }).chat(model),
  responses: (url: string, model: string) => createOpenAI({ baseURL: `${url}/v1`, apiKey: "any" }).responses(model),
  messages: (url: string, model: string) => createAnthropic({ baseURL: `${url}/v1`, apiKey: "any" })(model)
} satisfies Record<string, (url: string, model: string) => LanguageModel>

const upstreams: ReadonlyArray<Upstream> = ["openai", "anthropic", "gemini"]

const pairs = Object.entries(clients).flatMap(([protocol, modelAt]) =>
  upstreams.map((upstream) => [protocol, upstream, modelAt] as const)
)

/** Calls a tool first, and then answers with its result. */
const withTool = (request: ChatRequest): Partial<ChatResponse> => {
  const last = request.messages.at(-1)
  return last?.role === "tool"
    ? { text: `It is ${JSON.stringify(last.content)}` }
    : { toolCalls: [{ type: "tool-call", id: "call_1", name: "clock", arguments: '{"zone":"UTC"}' }] }
}

const withModel = <A>(
  [, upstream, modelAt]: (typeof pairs)[number],
  use: (model: LanguageModel) => PromiseLike<A>,
  answer?: (request: ChatRequest) => string | Partial<ChatResponse>
): Effect.Effect<A, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const { url } = yield* start(answer === undefined ? {} : { provider: { answer } })
    return yield* Effect.promise(async () => use(modelAt(url, `${upstream}/large`)))
  })

describe.each(pairs)("ai by %s in front of %s", (...pair) => {
  it.scopedLive("generates and streams text with the ai package", () =>
    Effect.gen(function* () {
      const { streamed, usage, whole } = yield* withModel(pair, async (model) => {
        const whole = await generateText({ model, prompt: "Hello", maxRetries: 0, maxOutputTokens: 100 })
        let streamed = ""
        const stream = streamText({ model, prompt: "Hello", maxRetries: 0, maxOutputTokens: 100 })
        for await (const piece of stream.textStream) streamed += piece
        return { whole: whole.text, streamed, usage: await stream.usage }
      })
      expect([whole, streamed]).toEqual(["You said: Hello", "You said: Hello"])
      expect(usage.outputTokens).toBeGreaterThan(0)
    })
  )

  it.scopedLive("runs a tool with the ai package", () =>
    Effect.gen(function* () {
      const { calls, text } = yield* withModel(
        pair,
        async (model) => {
          const calls: Array<string> = []
          const { text } = await generateText({
            model,
            prompt: "What time is it?",
            maxRetries: 0,
            maxOutputTokens: 100,
            stopWhen: stepCountIs(3),
            tools: {
              clock: tool({
                inputSchema: z.object({ zone: z.string() }),
                execute: ({ zone }) => {
                  calls.push(zone)
                  return "noon"
                }
              })
            }
          })
          return { calls, text }
        },
        withTool
      )
      expect(calls).toEqual(["UTC"])
      expect(text).toContain("noon")
    })
  )

  it.scopedLive("generates an object with the ai package", () =>
    Effect.gen(function* () {
      const object = yield* withModel(
        pair,
        (model) =>
          generateObject({
            model,
            prompt: "A city",
            maxRetries: 0,
            maxOutputTokens: 100,
            schema: z.object({ name: z.string() })
          }).then(({ object }) => object),
        ({ tools }) =>
          tools === undefined
            ? '{"name":"Oslo"}'
            : {
                toolCalls: [
                  { type: "tool-call", id: "call_1", name: tools[0]?.name ?? "", arguments: '{"name":"Oslo"}' }
                ]
              }
      )
      expect(object).toEqual({ name: "Oslo" })
    })
  )
})

describe("ai embeddings", () => {
  it.scopedLive("embeds several values with the ai package", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const model = createOpenAI({ baseURL: `${url}/v1`, apiKey: "any" }).embedding("openai/large")
      const { embeddings } = yield* Effect.promise(() => embedMany({ model, values: ["a cat", "a dog"] }))
      expect(embeddings.map((vector) => vector.length)).toEqual([8, 8])
    })
  )
})

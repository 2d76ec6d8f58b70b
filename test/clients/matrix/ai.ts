/** The `ai` package with its providers. */
import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import type { EmbeddingModel, LanguageModel } from "ai"
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai"
import type { Client, Target } from "./client.js"
import { City, classOf, ClockInput, fieldOf, makeTools, WeatherInput } from "./client.js"

interface Models {
  readonly chat: LanguageModel
  readonly embedding?: EmbeddingModel
}

const clientOf = (name: string, modelsOf: (target: Target) => Models): Client => ({
  name,
  errors: { 401: "AI_APICallError 401", 404: "AI_APICallError 404", 429: "AI_APICallError 429" },
  errorName: (error) => `${error instanceof Error ? error.name : classOf(error)} ${fieldOf(error, "statusCode")}`,
  connect: (target) => {
    const { chat: model, embedding } = modelsOf(target)
    // Some of its models have no token limit that fits the budget of reasoning by default.
    const common = { model, maxRetries: 0, maxOutputTokens: 2000 }
    return {
      ask: async (prompt, stream) =>
        stream ? streamText({ ...common, prompt }).text : (await generateText({ ...common, prompt })).text,
      run: async (prompt, stream) => {
        const { calls, execute } = makeTools()
        const options = {
          ...common,
          prompt,
          stopWhen: stepCountIs(5),
          tools: {
            clock: tool({ inputSchema: ClockInput, execute: (input) => execute("clock", input) }),
            weather: tool({ inputSchema: WeatherInput, execute: (input) => execute("weather", input) })
          }
        }
        const text = stream ? await streamText(options).text : (await generateText(options)).text
        return { calls, text }
      },
      object: async (prompt) => (await generateObject({ ...common, prompt, schema: City })).object,
      abort: async (prompt) => {
        const controller = new AbortController()
        const { textStream } = streamText({ ...common, prompt, abortSignal: controller.signal })
        for await (const piece of textStream) if (piece !== "") controller.abort()
      },
      ...(embedding === undefined
        ? {}
        : { embed: async (values) => (await embedMany({ model: embedding, values, maxRetries: 0 })).embeddings })
    }
  }
})

const openai = ({ apiKey, url }: Target) => createOpenAI({ apiKey, baseURL: `${url}/v1` })

export const ai: ReadonlyArray<Client> = [
  clientOf("`ai` with `@ai-sdk/openai`, chat", (target) => ({
    chat: openai(target).chat(target.model),
    embedding: openai(target).embedding(target.model)
  })),
  clientOf("`ai` with `@ai-sdk/openai`, Responses", (target) => ({
    chat: openai(target)(target.model),
    embedding: openai(target).embedding(target.model)
  })),
  clientOf("`ai` with `@ai-sdk/anthropic`", ({ apiKey, model, url }) => ({
    chat: createAnthropic({ apiKey, baseURL: `${url}/v1` })(model)
  })),
  clientOf("`ai` with `@ai-sdk/openai-compatible`", ({ apiKey, model, url }) => {
    const provider = createOpenAICompatible({
      name: "gateway",
      apiKey,
      baseURL: `${url}/v1`,
      supportsStructuredOutputs: true
    })
    return { chat: provider(model), embedding: provider.embeddingModel(model) }
  })
]

/** LangChain's models. */
import { ChatAnthropic } from "@langchain/anthropic"
import type { BaseChatModel } from "@langchain/core/language_models/chat_models"
import type { AIMessageChunk, BaseMessage } from "@langchain/core/messages"
import { HumanMessage, ToolMessage } from "@langchain/core/messages"
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai"
import type { Client, Target } from "./client.js"
import { City, classOf, fieldOf, functions, makeTools } from "./client.js"

interface Models {
  readonly chat: BaseChatModel
  /** Its thinking is on, where that is an option of the client. */
  readonly thinking?: BaseChatModel
  readonly embeddings?: OpenAIEmbeddings
}

const collect = async (stream: AsyncIterable<AIMessageChunk>): Promise<AIMessageChunk> => {
  let all: AIMessageChunk | undefined
  for await (const chunk of stream) all = all === undefined ? chunk : all.concat(chunk)
  if (all === undefined) throw new Error("The stream was empty.")
  return all
}

const clientOf = (name: string, modelsOf: (target: Target) => Models): Client => ({
  name,
  errors: {
    401: "AuthenticationError MODEL_AUTHENTICATION",
    404: "NotFoundError MODEL_NOT_FOUND",
    429: "RateLimitError MODEL_RATE_LIMIT"
  },
  errorName: (error) => `${classOf(error)} ${fieldOf(error, "lc_error_code")}`,
  connect: (target) => {
    const { chat, embeddings, thinking = chat } = modelsOf(target)
    return {
      ask: async (prompt, stream) =>
        stream ? (await collect(await chat.stream(prompt))).text : (await chat.invoke(prompt)).text,
      run: async (prompt, stream) => {
        const { calls, execute } = makeTools()
        if (thinking.bindTools === undefined) throw new Error("The model has no tools.")
        const model = thinking.bindTools(functions)
        const messages: Array<BaseMessage> = [new HumanMessage(prompt)]
        for (;;) {
          const message = stream ? await collect(await model.stream(messages)) : await model.invoke(messages)
          const called = message.tool_calls ?? []
          if (called.length === 0) return { calls, text: message.text }
          messages.push(message)
          for (const { args, id = "", name } of called) {
            messages.push(new ToolMessage({ tool_call_id: id, content: execute(name, args) }))
          }
        }
      },
      object: async (prompt) => chat.withStructuredOutput(City, { name: "city" }).invoke(prompt),
      abort: async (prompt) => {
        const controller = new AbortController()
        for await (const chunk of await chat.stream(prompt, { signal: controller.signal })) {
          if (chunk.text !== "") controller.abort()
        }
      },
      ...(embeddings === undefined ? {} : { embed: (texts) => embeddings.embedDocuments(texts) })
    }
  }
})

const openai = (useResponsesApi: boolean) => (target: Target) => {
  const { apiKey, model, url } = target
  const shared = { model, apiKey, maxRetries: 0, configuration: { baseURL: `${url}/v1` } }
  return { chat: new ChatOpenAI({ ...shared, useResponsesApi }), embeddings: new OpenAIEmbeddings(shared) }
}

export const langchain: ReadonlyArray<Client> = [
  clientOf("`@langchain/openai`, chat", openai(false)),
  clientOf("`@langchain/openai`, Responses", openai(true)),
  clientOf("`@langchain/anthropic`", ({ apiKey, model, url }) => {
    const shared = { model, apiKey, anthropicApiUrl: url, maxRetries: 0, maxTokens: 2000 }
    return {
      chat: new ChatAnthropic(shared),
      thinking: new ChatAnthropic({ ...shared, thinking: { type: "enabled", budget_tokens: 1024 } })
    }
  })
]

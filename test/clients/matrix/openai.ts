/** The `openai` package, by each of its protocols. */
import OpenAI, { AzureOpenAI } from "openai"
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod"
import type { Client, Session, Target } from "./client.js"
import { City, classOf, functions, makeTools, tools } from "./client.js"

const clientOf = ({ apiKey, url }: Target): OpenAI => new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 })

const errors = { 401: "AuthenticationError", 404: "NotFoundError", 429: "RateLimitError" }

const shared = (client: OpenAI, model: string): Required<Pick<Session, "embed" | "models">> => ({
  embed: async (input) => (await client.embeddings.create({ model, input })).data.map(({ embedding }) => embedding),
  models: async () => (await client.models.list()).data.map(({ id }) => id)
})

const chatClient = (name: string, clientOf: (target: Target) => OpenAI): Client => ({
  name,
  errors,
  errorName: classOf,
  connect: (target) => {
    const client = clientOf(target)
    const { model } = target
    const complete = (params: OpenAI.ChatCompletionCreateParamsNonStreaming, stream: boolean) =>
      stream
        ? client.chat.completions.stream({ ...params, stream: true }).finalChatCompletion()
        : client.chat.completions.create(params)
    return {
      ...shared(client, model),
      ask: async (prompt, stream) => {
        const completion = await complete({ model, messages: [{ role: "user", content: prompt }] }, stream)
        return completion.choices[0]?.message.content ?? ""
      },
      run: async (prompt, stream) => {
        const { calls, execute } = makeTools()
        const messages: Array<OpenAI.ChatCompletionMessageParam> = [{ role: "user", content: prompt }]
        for (;;) {
          const { choices } = await complete({ model, messages, tools: functions }, stream)
          const message = choices[0]?.message
          if (message?.tool_calls === undefined) return { calls, text: message?.content ?? "" }
          messages.push(message)
          for (const call of message.tool_calls) {
            if (call.type !== "function") continue
            const content = execute(call.function.name, JSON.parse(call.function.arguments))
            messages.push({ role: "tool", tool_call_id: call.id, content })
          }
        }
      },
      object: async (prompt) => {
        const { choices } = await client.chat.completions.parse({
          model,
          messages: [{ role: "user", content: prompt }],
          response_format: zodResponseFormat(City, "city")
        })
        return choices[0]?.message.parsed
      },
      abort: async (prompt) => {
        const stream = await client.chat.completions.create({
          model,
          messages: [{ role: "user", content: prompt }],
          stream: true
        })
        for await (const { choices } of stream) if (choices[0]?.delta.content) stream.controller.abort()
      }
    }
  }
})

export const chatCompletions = chatClient("`openai`, Chat Completions", clientOf)

/** The model is in the path of its requests, and the key in `api-key`. */
export const azure = chatClient(
  "`openai`, `AzureOpenAI`",
  ({ apiKey, url }) => new AzureOpenAI({ apiKey, endpoint: url, apiVersion: "2024-10-21", maxRetries: 0 })
)

type Items = OpenAI.Responses.ResponseOutputItem

const isCall = (item: Items): item is OpenAI.Responses.ResponseFunctionToolCallItem => item.type === "function_call"

/** The items that the providers here send. Those of other types can differ between an answer and a request. */
const isKnown = (
  item: Items
): item is
  | OpenAI.Responses.ResponseFunctionToolCallItem
  | OpenAI.Responses.ResponseOutputMessage
  | OpenAI.Responses.ResponseReasoningItem => ["function_call", "message", "reasoning"].includes(item.type)

export const responses: Client = {
  name: "`openai`, Responses",
  errors,
  errorName: classOf,
  connect: (target) => {
    const client = clientOf(target)
    const { model } = target
    const respond = (
      params: OpenAI.Responses.ResponseCreateParamsNonStreaming,
      stream: boolean
    ): Promise<OpenAI.Responses.Response> =>
      stream ? client.responses.stream({ ...params, stream: true }).finalResponse() : client.responses.create(params)
    return {
      ...shared(client, model),
      ask: async (prompt, stream) => (await respond({ model, input: prompt }, stream)).output_text,
      run: async (prompt, stream) => {
        const { calls, execute } = makeTools()
        const input: Array<OpenAI.Responses.ResponseInputItem> = [{ role: "user", content: prompt }]
        for (;;) {
          const response = await respond(
            {
              model,
              input,
              tools: tools.map(({ schema, ...tool }) => ({
                type: "function",
                ...tool,
                parameters: schema,
                strict: true
              })),
              store: false,
              include: ["reasoning.encrypted_content"]
            },
            stream
          )
          const called = response.output.filter(isCall)
          if (called.length === 0) return { calls, text: response.output_text }
          input.push(...response.output.filter(isKnown))
          for (const call of called) {
            const output = execute(call.name, JSON.parse(call.arguments))
            input.push({ type: "function_call_output", call_id: call.call_id, output })
          }
        }
      },
      object: async (prompt) => {
        const text = { format: zodTextFormat(City, "city") }
        return (await client.responses.parse({ model, input: prompt, text })).output_parsed
      },
      abort: async (prompt) => {
        const stream = await client.responses.create({ model, input: prompt, stream: true })
        for await (const { type } of stream) if (type === "response.output_text.delta") stream.controller.abort()
      }
    }
  }
}

/** The `@anthropic-ai/sdk` package. */
import Anthropic from "@anthropic-ai/sdk"
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod"
import type { Client } from "./client.js"
import { City, classOf, makeTools, tools } from "./client.js"

export const anthropic: Client = {
  name: "`@anthropic-ai/sdk`",
  errors: { 401: "AuthenticationError", 404: "NotFoundError", 429: "RateLimitError" },
  errorName: classOf,
  connect: ({ apiKey, model, url }) => {
    const client = new Anthropic({ apiKey, baseURL: url, maxRetries: 0 })
    const create = (
      params: Omit<Anthropic.MessageCreateParamsNonStreaming, "model" | "max_tokens">,
      stream: boolean
    ) => {
      const all = { model, max_tokens: 2000, ...params }
      return stream ? client.messages.stream(all).finalMessage() : client.messages.create(all)
    }
    const textIn = ({ content }: Anthropic.Message): string =>
      content.map((block) => (block.type === "text" ? block.text : "")).join("")
    return {
      ask: async (prompt, stream) => textIn(await create({ messages: [{ role: "user", content: prompt }] }, stream)),
      run: async (prompt, stream) => {
        const { calls, execute } = makeTools()
        const messages: Array<Anthropic.MessageParam> = [{ role: "user", content: prompt }]
        for (;;) {
          const message = await create(
            {
              messages,
              thinking: { type: "enabled", budget_tokens: 1024 },
              tools: tools.map(({ schema, ...tool }) => ({ ...tool, input_schema: schema }))
            },
            stream
          )
          const used = message.content.filter((block) => block.type === "tool_use")
          if (used.length === 0) return { calls, text: textIn(message) }
          messages.push({ role: "assistant", content: message.content })
          messages.push({
            role: "user",
            content: used.map(({ id, input, name }) => ({
              type: "tool_result",
              tool_use_id: id,
              content: execute(name, input)
            }))
          })
        }
      },
      object: async (prompt) => {
        const message = await client.messages.parse({
          model,
          max_tokens: 100,
          messages: [{ role: "user", content: prompt }],
          output_config: { format: zodOutputFormat(City) }
        })
        return message.parsed_output
      },
      abort: async (prompt) => {
        const stream = client.messages.stream({
          model,
          max_tokens: 100,
          messages: [{ role: "user", content: prompt }]
        })
        for await (const { type } of stream) if (type === "content_block_delta") stream.abort()
      },
      models: async () => (await client.models.list()).data.map(({ id }) => id)
    }
  }
}

/** The requests to every contestant. */

/** Chunks of text in a streamed answer. */
export const chunksPerStream = 50

/** Chunks of text in a slow stream, and the milliseconds between two of them. */
export const slowStream = { chunks: 20, interval: 50 } as const

/** The `user` of a request whose answer the provider streams slowly. */
export const slowUser = "slow"

/** The secret of the client key, for contestants with client keys. */
export const secret = "sk-bench"

/** The names of the model at the provider of OpenAI's protocol and at the provider of Anthropic's. */
export const models = { openai: "bench", anthropic: "bench-anthropic" } as const

const instructions = "You are a helpful assistant. Answer in one sentence, and say so where you do not know. "

const conversation = [
  { role: "user", content: "What is the capital of France?" },
  { role: "assistant", content: "Paris." },
  { role: "user", content: "And what is it known for? ".repeat(8) }
]

const chatBody = { messages: [{ role: "system", content: instructions }, ...conversation], temperature: 0.7 }

const streamed = { stream: true, stream_options: { include_usage: true } }

const messagesBody = {
  model: models.openai,
  system: instructions,
  messages: conversation,
  max_tokens: 1000,
  temperature: 0.7
}

export interface Question {
  readonly path: string
  /** In addition to those of the contestant. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly streamed: boolean
  /** What the answer contains in the client's protocol: a whole answer anywhere, a streamed one in its last bytes. */
  readonly marker: string
}

const chat = (body: object, headers: Readonly<Record<string, string>> = {}): Question => ({
  path: "/v1/chat/completions",
  headers,
  body: JSON.stringify({ ...chatBody, ...body }),
  streamed: "stream" in body,
  marker: "stream" in body ? "data: [DONE]\n\n" : '"object":"chat.completion"'
})

const messages = (body: object): Question => ({
  path: "/v1/messages",
  headers: { "anthropic-version": "2023-06-01" },
  body: JSON.stringify({ ...messagesBody, ...body }),
  streamed: "stream" in body,
  marker: "stream" in body ? '"type":"message_stop"}\n\n' : '"type":"message"'
})

/** A whole and a streamed answer of each pair of protocols. */
export interface Questions {
  readonly whole: Question
  readonly stream: Question
}

/** A client and a provider of OpenAI's chat completions. */
export const passthrough: Questions = {
  whole: chat({ model: models.openai }),
  stream: chat({ model: models.openai, ...streamed })
}

/** A client of Anthropic's messages, a provider of OpenAI's chat completions. */
export const fromAnthropic: Questions = { whole: messages({}), stream: messages({ stream: true }) }

const toAnthropicHeaders = { "x-portkey-provider": "anthropic" }

/** A client of OpenAI's chat completions, a provider of Anthropic's messages. */
export const toAnthropic: Questions = {
  whole: chat({ model: models.anthropic, max_tokens: 1000 }, toAnthropicHeaders),
  stream: chat({ model: models.anthropic, max_tokens: 1000, ...streamed }, toAnthropicHeaders)
}

export const slow: Question = chat({ model: models.openai, ...streamed, user: slowUser })

/** The requests to every contestant. */

/** Chunks of text in a streamed answer. */
export const chunksPerStream = 50

/** The secret of the client key, for contestants with client keys. */
export const secret = "sk-bench"

const messages = [
  {
    role: "system",
    content: "You are a helpful assistant. Answer in one sentence, and say so where you do not know. "
  },
  { role: "user", content: "What is the capital of France?" },
  { role: "assistant", content: "Paris." },
  { role: "user", content: "And what is it known for? ".repeat(8) }
]

export interface Question {
  readonly name: string
  readonly streamed: boolean
  readonly body: string
}

export const questions: ReadonlyArray<Question> = [
  { name: "JSON", streamed: false, body: JSON.stringify({ model: "bench", messages, temperature: 0.7 }) },
  {
    name: "a stream",
    streamed: true,
    body: JSON.stringify({
      model: "bench",
      messages,
      temperature: 0.7,
      stream: true,
      stream_options: { include_usage: true }
    })
  }
]

/** What the providers behind the gateway answer: by the first message of the user, and the results of tools since. */
import type { AssistantPart, ChatRequest, ChatResponse, ToolCall } from "../../../src/vocabulary/Chat.js"
import { textOf } from "../../../src/vocabulary/Chat.js"
import { oslo } from "./client.js"

export const prompts = {
  chat: "Hello",
  steps: "First the time, then the weather.",
  parallel: "The time and the weather at once.",
  reasoning: "Think about the time.",
  object: "A city",
  long: "A long story"
} as const

export const thought = "Look at the clock."

/** The signature of the thought, and that of the call after it, which Gemini has instead. */
export const signatures = ["c2lnbmF0dXJlLW9mLXRoZS10aG91Z2h0", "c2lnbmF0dXJlLW9mLXRoZS1jYWxs"] as const

const call = (id: string, name: string, input: object): ToolCall => ({
  type: "tool-call",
  id,
  name,
  arguments: JSON.stringify(input)
})

const clock = call("call_clock", "clock", { zone: "UTC" })
const weather = call("call_weather", "weather", { city: "Oslo" })

const turns: Readonly<Record<string, ReadonlyArray<ReadonlyArray<AssistantPart>>>> = {
  [prompts.steps]: [[clock], [weather]],
  [prompts.parallel]: [[clock, weather]],
  [prompts.reasoning]: [
    [
      { type: "reasoning", text: thought, signature: signatures[0] },
      { ...clock, signature: signatures[1] }
    ]
  ]
}

export const answer = ({ messages, tools }: ChatRequest): string | Partial<ChatResponse> => {
  const question = messages.find(({ role }) => role === "user")
  const prompt = question === undefined ? "" : textOf(question.content)
  if (prompt === prompts.long) return "word ".repeat(50)
  if (prompt === prompts.object) {
    // Some clients ask for an object by a tool.
    const [tool] = tools ?? []
    return tool === undefined ? JSON.stringify(oslo) : { content: [call("call_object", tool.name, oslo)] }
  }
  const turn = messages.filter(({ role }) => role === "assistant").length
  const content = turns[prompt]?.[turn]
  if (content !== undefined) return { content }
  const results = messages.flatMap((message) => (message.role === "tool" ? [textOf(message.content)] : []))
  return results.length === 0 ? `You said: ${prompt}` : `The tools say: ${results.join(", ")}`
}

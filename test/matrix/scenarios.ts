/** The requests to every provider, and their answers. */
import { Schema } from "effect"
import type { ChatRequest, ChatResponse, Message, ToolCall, ToolDefinition } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as Usage from "../../src/vocabulary/Usage.js"

export interface Scenario {
  /** The head of its column. */
  readonly name: string
  /** The description in the legend below the table. */
  readonly meaning: string
  readonly request: ChatRequest
  readonly answer: Partial<ChatResponse> & Pick<ChatResponse, "usage">
}

// -------------------------------------------------------------------------------------
// texts, tools and values
// -------------------------------------------------------------------------------------

/** Several scripts, and characters that must be escaped. */
const story = 'Once "upon" a time, très loin: 从前有座山\n\\ and \t a 🦊 lived there. The end.'

/** A picture of one pixel. */
const pixel = Uint8Array.from([
  137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 31, 21, 196, 137
])

/** Closed and with all properties required, so that strict servers do not change it. */
const parameters = {
  type: "object",
  properties: {
    city: { type: "string", description: "Its name in English." },
    unit: { type: "string", enum: ["celsius", "fahrenheit"] }
  },
  required: ["city", "unit"],
  additionalProperties: false
}

const weather: ToolDefinition = { name: "weather", description: "The weather in a city.", parameters }

const clock: ToolDefinition = {
  name: "clock",
  description: "The time in a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false
  }
}

const weatherCall: ToolCall = {
  type: "tool-call",
  id: "call00001",
  name: "weather",
  arguments: '{"city":"Santa Cruz de \\"Tenerife\\" 🌴","unit":"celsius"}'
}

const clockCall: ToolCall = { type: "tool-call", id: "call00002", name: "clock", arguments: '{"city":"São Paulo"}' }

const secondWeatherCall: ToolCall = {
  type: "tool-call",
  id: "call00003",
  name: "weather",
  arguments: '{"city":"Kyoto","unit":"fahrenheit"}'
}

/** The value of the `LLM.generateObject` call. */
export const Person = Schema.Struct({ name: Schema.String, age: Schema.Int }).annotations({ identifier: "Person" })

export const ada: typeof Person.Type = { name: "Ada Lovelace", age: 27 }

export const personQuestion = "Who wrote the first program?"

/** Closed and with all properties required, like those of the tools. */
const personSchema = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false
}

const usage = Usage.make({ inputTokens: 34, outputTokens: 21 })

/** Usage with cached input and reasoning tokens. */
const nestedUsage = Usage.make({ inputTokens: 120, outputTokens: 75, cachedInputTokens: 64, reasoningTokens: 40 })

// -------------------------------------------------------------------------------------
// the ten scenarios
// -------------------------------------------------------------------------------------

export const scenarios: ReadonlyArray<Scenario> = [
  {
    name: "plain",
    meaning: "a question and its settings",
    request: { messages: [Chat.user("The capital of France?")], temperature: 0.5, maxTokens: 2000 },
    answer: { text: "Paris.", usage }
  },
  {
    name: "system",
    meaning: "with instructions",
    request: { messages: [Chat.system("Answer in Latin.\nBe brief."), Chat.user("Who goes there?")] },
    answer: { text: "Amicus.", usage }
  },
  {
    name: "turns",
    meaning: "a conversation of several turns",
    request: {
      messages: [
        Chat.user("My name is Ada."),
        Chat.assistant("Hello, Ada!"),
        Chat.user("What did I say?"),
        Chat.assistant("Your name."),
        Chat.user("Which is?")
      ]
    },
    answer: { text: "Ada.", usage }
  },
  {
    name: "image",
    meaning: "an image as bytes",
    request: { messages: [Chat.user([Chat.text("What is in this picture?"), Chat.image(pixel)])] },
    answer: { text: "A pixel.", usage }
  },
  {
    name: "tool",
    meaning: "a call of a tool",
    request: {
      messages: [Chat.user("How warm is it in Santa Cruz?")],
      tools: [weather, clock],
      toolChoice: "auto"
    },
    answer: { toolCalls: [weatherCall], usage }
  },
  {
    name: "tools",
    meaning: "several calls at once, beside a text",
    request: { messages: [Chat.user("Where is it warm, and how late is it?")], tools: [weather, clock] },
    answer: { text: "Let me see.", toolCalls: [weatherCall, clockCall, secondWeatherCall], usage }
  },
  {
    name: "results",
    meaning: "what the tools returned",
    request: {
      messages: [
        Chat.user("How warm is it in Santa Cruz, and how late in São Paulo?"),
        Chat.assistant("", [weatherCall, clockCall]),
        Chat.toolResult(weatherCall, '{"degrees":23.5}'),
        Chat.toolResult(clockCall, "Half past nine.")
      ],
      tools: [weather, clock]
    },
    answer: { text: "23.5 degrees, and half past nine.", usage }
  },
  {
    name: "schema",
    meaning: "an answer held to a JSON Schema by the provider",
    request: {
      messages: [Chat.user("Which person wrote the first program?")],
      responseFormat: { name: "person", schema: personSchema }
    },
    answer: { text: JSON.stringify(ada), usage }
  },
  {
    name: "stream",
    meaning: "a text as it is written",
    request: { messages: [Chat.user("Tell me a story.")] },
    answer: { text: story, usage: Usage.make({ inputTokens: 34, outputTokens: 21, cachedInputTokens: 12 }) }
  },
  {
    name: "reasoning",
    meaning: "a stream of reasoning, a text and tool calls",
    request: {
      messages: [Chat.user("Think: where is it warmer?")],
      tools: [weather, clock],
      reasoning: { effort: "high", summary: "auto" }
    },
    answer: {
      content: [
        { type: "reasoning", text: "Two cities, so two calls.\nThe units differ.", signature: "c2VhbGVk" },
        Chat.text("I shall compare."),
        weatherCall,
        secondWeatherCall
      ],
      usage: nestedUsage
    }
  }
]

/** The user text, which identifies the scenario. */
const questionOf = (messages: ReadonlyArray<Message>): string =>
  messages.flatMap((message) => (message.role === "user" ? [Chat.textOf(message.content)] : [])).join("\n")

/** The value in the requested mode. */
const valueFor = ({ responseFormat, toolChoice }: ChatRequest): Partial<ChatResponse> => {
  const json = JSON.stringify(ada)
  if (typeof responseFormat === "object") return { text: json }
  return typeof toolChoice === "object"
    ? { toolCalls: [{ type: "tool-call", id: "call00001", name: toolChoice.name, arguments: json }] }
    : { text: `Here you are:\n\`\`\`json\n${json}\n\`\`\`` }
}

/** The answer of the scenario that a request belongs to. */
export const answerTo = (request: ChatRequest): Partial<ChatResponse> => {
  const question = questionOf(request.messages)
  if (question === personQuestion) return valueFor(request)
  const match = scenarios.find((scenario) => questionOf(scenario.request.messages) === question)
  return match === undefined ? { text: `Not understood: ${question}` } : { id: `answer-${match.name}`, ...match.answer }
}

/** The answer of the simulated provider when no other is set: tool calls, JSON, or a text. */
import type { ChatRequest, ChatResponse, Message, ToolCall, ToolDefinition } from "../../vocabulary/Chat.js"
import { textOf, toolCall } from "../../vocabulary/Chat.js"
import { isRecord, parseJson } from "../../wire/json.js"
import type { JsonSchema } from "../../wire/schema/walker.js"
import type { Mentions } from "./text.js"
import { mentionsOf, wordsOf } from "./text.js"
import { valueOf } from "./value.js"

/** What the answer is about. */
interface Turn {
  /** The text of the last user message. */
  readonly question: string
  /** The results of the tools since then, by the names of the tools. */
  readonly results: ReadonlyArray<{ readonly name: string; readonly text: string; readonly isError: boolean }>
}

const turnOf = (messages: ReadonlyArray<Message>): Turn => {
  const start = messages.findLastIndex(({ role }) => role === "user")
  const names = new Map<string, string>()
  const results: Array<Turn["results"][number]> = []
  for (const message of messages.slice(start + 1)) {
    if (message.role === "assistant" && typeof message.content !== "string") {
      for (const part of message.content) if (part.type === "tool-call") names.set(part.id, part.name)
    } else if (message.role === "tool") {
      results.push({
        name: names.get(message.toolCallId) ?? "the tool",
        text: textOf(message.content),
        isError: message.isError === true
      })
    }
  }
  const question = messages[start] ?? messages[messages.length - 1]
  return { question: question === undefined ? "" : textOf(question.content), results }
}

const wordSet = (text: string): ReadonlySet<string> =>
  new Set(
    wordsOf(text)
      .split(/[^\p{L}\p{N}]+/u)
      .filter((word) => word.length > 2)
  )

/** The tool that shares the most words with the question; the first of several. */
const bestTool = (tools: ReadonlyArray<ToolDefinition>, question: string): ToolDefinition | undefined => {
  const asked = wordSet(question)
  const common = tools.map(({ description = "", name }) => {
    const words = wordSet(`${name} ${description}`)
    return [...asked].filter((word) => words.has(word)).length
  })
  return tools[common.indexOf(Math.max(...common))]
}

/** The tool to call. A tool that is forced is called again after its result; otherwise the result is answered. */
const toolFor = ({ toolChoice = "auto", tools = [] }: ChatRequest, turn: Turn): ToolDefinition | undefined => {
  if (typeof toolChoice === "object") return tools.find(({ name }) => name === toolChoice.name) ?? toolChoice
  if (toolChoice === "none" || (toolChoice === "auto" && turn.results.length > 0)) return undefined
  return bestTool(tools, turn.question)
}

const callOf = ({ name, parameters }: ToolDefinition, id: string, mentions: Mentions): ToolCall => {
  const value = parameters === undefined ? {} : valueOf(parameters, mentions)
  return toolCall(id, name, JSON.stringify(isRecord(value) ? value : {}))
}

/** The schema in the instructions of a request for JSON without one: its last JSON that looks like a schema. */
const schemaInText = (text: string): JsonSchema | undefined => {
  const starts = [...text.matchAll(/\{/g)].map(({ index }) => index)
  const end = text.lastIndexOf("}")
  for (const start of starts.slice(0, 20)) {
    const value = parseJson(text.slice(start, end + 1))
    if (isRecord(value) && ["type", "properties", "anyOf", "$ref", "enum"].some((keyword) => keyword in value))
      return value
  }
  return undefined
}

const instructions = /\bJSON Schema\b/i

/** The schema of the JSON that the request asks for; `any` for JSON without a schema, undefined for a text. */
const requestedSchema = ({ messages, responseFormat = "text" }: ChatRequest): JsonSchema | "any" | undefined => {
  if (typeof responseFormat === "object") return responseFormat.schema
  const texts = messages.flatMap((message) => (message.role === "assistant" ? [] : [textOf(message.content)]))
  const schema = texts
    .filter((text) => instructions.test(text))
    .map(schemaInText)
    .findLast((found) => found !== undefined)
  return schema ?? (responseFormat === "json" ? "any" : undefined)
}

const sentenceOf = ({ question, results }: Turn): string =>
  [
    `You said: ${question}`,
    ...results.map(({ isError, name, text }) => `${name} ${isError ? "failed" : "answered"}: ${text}`)
  ].join("\n")

const wantsReasoning = ({ reasoning }: ChatRequest): boolean =>
  reasoning !== undefined && reasoning.effort !== "none" && reasoning.budgetTokens !== 0

/**
 * The answer to a request, always the same for the same request:
 *
 * - with tools, a call of one, with arguments that satisfy its schema: the forced tool, else the one that shares the most words
 *   with the question;
 * - after the results of tools a text that contains them, so that a tool loop ends, unless the request forces another call;
 * - with a JSON Schema in `responseFormat`, or in the instructions, JSON that satisfies it;
 * - else `You said: ` and the last user message.
 *
 * The values contain the names and numbers that the question mentions. Reasoning comes before it when the request asks for it.
 */
export const answerOf = (request: ChatRequest): Partial<ChatResponse> => {
  const turn = turnOf(request.messages)
  const mentions = mentionsOf([turn.question, ...turn.results.map(({ text }) => text)].join("\n"))
  const tool = toolFor(request, turn)
  const schema = tool === undefined ? requestedSchema(request) : undefined
  const reasoning = wantsReasoning(request)
    ? [
        {
          type: "reasoning" as const,
          text: `The question is "${turn.question.slice(0, 200)}". ${
            tool === undefined ? "I can answer it." : `I need ${tool.name} for it.`
          }`,
          signature: "simulated"
        }
      ]
    : []
  if (tool !== undefined) {
    return { content: [...reasoning, callOf(tool, `call_${request.messages.length}`, mentions)] }
  }
  const text =
    schema === undefined
      ? sentenceOf(turn)
      : JSON.stringify(schema === "any" ? { answer: sentenceOf(turn) } : (valueOf(schema, mentions) ?? null))
  return { content: [...reasoning, { type: "text", text }] }
}

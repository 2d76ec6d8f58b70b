/**
 * The UI message stream of the AI SDK: server-sent events whose data is one chunk of a message. Source: ai-sdk.dev, "Stream Protocols", and the
 * schema of its chunks.
 */
import { Either } from "effect"
import type { FinishReason, ToolCall } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type * as ToolLoop from "../tools/loopModel.js"
import type { Encoder, Event } from "./model.js"

type Chunk = Readonly<Record<string, unknown>> & { readonly type: string }

const render = (chunks: ReadonlyArray<Chunk>): string =>
  chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("")

const parsed = (text: string): Either.Either<unknown, unknown> => Either.try((): unknown => JSON.parse(text))

const inputChunk = ({ arguments: args, custom, id, name }: ToolCall): Chunk => {
  const input = custom === true ? Either.right(args) : parsed(args)
  const call = { toolCallId: id, toolName: name }
  return Either.match(input, {
    onLeft: () => ({ type: "tool-input-error", ...call, input: args, errorText: "The arguments are not valid JSON." }),
    onRight: (input) => ({ type: "tool-input-available", ...call, input })
  })
}

const outputChunk = ({ call, result }: ToolLoop.Execution): Chunk => {
  const text = typeof result.content === "string" ? result.content : JSON.stringify(result.content)
  return result.isError === true
    ? { type: "tool-output-error", toolCallId: call.id, errorText: text }
    : { type: "tool-output-available", toolCallId: call.id, output: Either.getOrElse(parsed(text), () => text) }
}

/** The SDK has no pauses. */
const finishReason = (reason: FinishReason): string => (reason === "pause" ? "other" : reason)

interface Open {
  readonly type: "text" | "reasoning"
  readonly index: number
  readonly id: string
}

export const makeEncoder = (): Encoder => {
  let hasStarted = false
  let round = 0
  let isInStep = false
  let open: Open | undefined
  const calls = new Set<string>()

  const endPart = (): ReadonlyArray<Chunk> => {
    if (open === undefined) return []
    const { id, type } = open
    open = undefined
    return [{ type: `${type}-end`, id }]
  }

  const endStep = (): ReadonlyArray<Chunk> => {
    const end = endPart()
    if (!isInStep) return end
    isInStep = false
    return [...end, { type: "finish-step" }]
  }

  const startStep = (messageId: string): ReadonlyArray<Chunk> => {
    const start = hasStarted ? [] : [{ type: "start", ...(messageId === "" ? {} : { messageId }) }]
    const earlier = endStep()
    hasStarted = true
    isInStep = true
    round++
    return [...earlier, ...start, { type: "start-step" }]
  }

  const delta = (type: Open["type"], index: number, text: string): ReadonlyArray<Chunk> => {
    const isOpen = open?.type === type && open.index === index
    // A piece without text has fields for the provider alone.
    if (text === "" && !isOpen) return []
    const before = isOpen ? [] : endPart()
    const id = `${round}-${index}`
    if (!isOpen) open = { type, index, id }
    const start = isOpen ? [] : [{ type: `${type}-start`, id }]
    return [...before, ...start, ...(text === "" ? [] : [{ type: `${type}-delta`, id, delta: text }])]
  }

  const startCall = (toolCallId: string, toolName: string): ReadonlyArray<Chunk> => {
    if (calls.has(toolCallId)) return []
    calls.add(toolCallId)
    return [...endPart(), { type: "tool-input-start", toolCallId, toolName }]
  }

  const ofAnswer = (event: ChatEvent): ReadonlyArray<Chunk> => {
    switch (event._tag) {
      case "Start":
        return startStep(event.id)
      case "TextDelta":
      case "RefusalDelta":
        return delta("text", event.index, event.text)
      case "ReasoningDelta":
        return delta("reasoning", event.index, event.text)
      case "ToolCallDelta": {
        const { argumentsDelta, id, name } = event
        const start = startCall(id, name)
        return argumentsDelta === ""
          ? start
          : [...start, { type: "tool-input-delta", toolCallId: id, inputTextDelta: argumentsDelta }]
      }
      case "ToolCallEnd":
        return [...startCall(event.call.id, event.call.name), inputChunk(event.call)]
      case "Finish":
        return endPart()
      default:
        return []
    }
  }

  const finish = (reason: FinishReason): ReadonlyArray<Chunk> => [
    ...endStep(),
    { type: "finish", finishReason: finishReason(reason) }
  ]

  const chunksOf = (event: Event): ReadonlyArray<Chunk> => {
    switch (event._tag) {
      case "Answer":
        return ofAnswer(event.event)
      case "ToolEnd":
        return [outputChunk(event.execution)]
      case "ToolStart":
        return []
      case "RoundEnd":
        return endStep()
      case "Finish":
        return "result" in event ? finish(event.result.response.finishReason) : finish(event.reason)
      default:
        return ofAnswer(event)
    }
  }

  return {
    write: (event) => render(chunksOf(event)),
    fail: ({ message }) => `${render([...endPart(), { type: "error", errorText: message }])}data: [DONE]\n\n`,
    end: "data: [DONE]\n\n"
  }
}

/** The messages that the AI SDK's `useChat` posts. Source: the types `UIMessage` and `UIMessagePart` of the package `ai`. */
import type { ParseResult } from "effect"
import { Effect, Predicate, Schema } from "effect"
import type { Message, ToolMessage, UserPart } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"

const TextPart = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })

const ReasoningPart = Schema.Struct({ type: Schema.Literal("reasoning"), text: Schema.String })

const FilePart = Schema.Struct({
  type: Schema.Literal("file"),
  mediaType: Schema.String,
  url: Schema.String.pipe(Schema.pattern(/^(https?:\/\/|data:)/i)),
  filename: Schema.optional(Schema.String)
})

/** A call with its result, if there is one: `tool-<name>`, or `dynamic-tool` with the name beside it. */
const ToolPart = Schema.Struct({
  type: Schema.Union(Schema.TemplateLiteral("tool-", Schema.String), Schema.Literal("dynamic-tool")),
  toolName: Schema.optional(Schema.String),
  toolCallId: Schema.NonEmptyString,
  state: Schema.String,
  input: Schema.optional(Schema.Unknown),
  output: Schema.optional(Schema.Unknown),
  errorText: Schema.optional(Schema.String)
})

/** Steps, sources and data of the program: not for the model. */
const OtherPart = Schema.Struct({
  type: Schema.String.pipe(Schema.filter((type) => !/^(text|reasoning|file|dynamic-tool|tool-.*)$/.test(type)))
})

const Part = Schema.Union(TextPart, ReasoningPart, FilePart, ToolPart, OtherPart)

const UIMessage = Schema.Struct({ role: Schema.Literal("system", "user", "assistant"), parts: Schema.Array(Part) })

const Body = Schema.Struct({ messages: Schema.NonEmptyArray(UIMessage) })

type Part = typeof Part.Type

const is = {
  text: Schema.is(TextPart),
  file: Schema.is(FilePart),
  tool: Schema.is(ToolPart)
}

const textOf = (parts: ReadonlyArray<Part>): string =>
  parts
    .filter(is.text)
    .map(({ text }) => text)
    .join("")

const userPart = (part: Part): ReadonlyArray<UserPart> => {
  if (is.text(part)) return [Chat.text(part.text)]
  if (!is.file(part)) return []
  const { filename, mediaType, url } = part
  if (mediaType.startsWith("image/")) return [{ type: "image", url }]
  if (mediaType.startsWith("audio/")) return [{ type: "audio", url }]
  return [{ type: "file", url, ...(filename === undefined ? {} : { filename }) }]
}

const userMessage = (parts: ReadonlyArray<Part>): Message =>
  Chat.user(parts.every(is.text) ? textOf(parts) : parts.flatMap(userPart))

const callOf = ({ input, toolCallId, toolName, type }: typeof ToolPart.Type) =>
  Chat.toolCall(toolCallId, toolName ?? type.slice("tool-".length), JSON.stringify(input ?? {}))

/** The result of a call; undefined for one that has none, which a model must not see. */
const resultOf = ({ errorText, output, state, toolCallId }: typeof ToolPart.Type): ToolMessage | undefined => {
  if (state === "output-error") return { ...Chat.toolResult(toolCallId, errorText ?? "It failed."), isError: true }
  if (state !== "output-available") return undefined
  return Chat.toolResult(toolCallId, typeof output === "string" ? output : (JSON.stringify(output) ?? "null"))
}

/**
 * The messages of an assistant: its steps are answers of their own, each with the results of its calls. Text after a call without a step between
 * them is of the next answer.
 */
const assistantMessages = (parts: ReadonlyArray<Part>): ReadonlyArray<Message> => {
  const messages: Array<Message> = []
  let text = ""
  let calls: Array<typeof ToolPart.Type> = []
  const endStep = (): void => {
    const answered = calls.flatMap((call) => {
      const result = resultOf(call)
      return result === undefined ? [] : [{ call: callOf(call), result }]
    })
    const content = [...(text === "" ? [] : [Chat.text(text)]), ...answered.map(({ call }) => call)]
    if (content.length > 0) messages.push(Chat.assistant(content), ...answered.map(({ result }) => result))
    text = ""
    calls = []
  }
  for (const part of parts) {
    if (part.type === "step-start" || (is.text(part) && calls.length > 0)) endStep()
    if (is.text(part)) text += part.text
    else if (is.tool(part)) calls.push(part)
  }
  endStep()
  return messages
}

/**
 * Reads the body that `useChat` posts, `{ messages }`, as messages of a request: texts, files, tool calls and their results. Reasoning, sources
 * and data of the program are left out, and so are calls without a result. Fails with a `ParseError` for any other body.
 *
 * @since 0.2.0
 * @category decoding
 */
export const messagesOf = (body: unknown): Effect.Effect<ReadonlyArray<Message>, ParseResult.ParseError> =>
  Effect.map(Schema.decodeUnknown(Body)(Predicate.isRecord(body) ? body : { messages: body }), ({ messages }) =>
    messages.flatMap(({ parts, role }): ReadonlyArray<Message> => {
      switch (role) {
        case "system":
          return [Chat.system(textOf(parts))]
        case "user":
          return [userMessage(parts)]
        case "assistant":
          return assistantMessages(parts)
      }
    })
  )

/**
 * Tokens of a request besides its texts, for every model by the rules of OpenAI's cookbook ("How to count tokens with tiktoken"),
 * the only ones that a provider documents. The caller chooses how a text is counted: by a tokenizer or an estimate.
 */
import { Predicate } from "effect"
import type { AssistantPart, ChatRequest, Message, ToolDefinition, UserPart } from "../vocabulary/Chat.js"
import * as Depth from "../internal/depth.js"
import * as MediaTokens from "./media.js"

export type CountText = (text: string) => number

/** The counted fields of a request. */
export type CountedRequest = Pick<ChatRequest, "messages" | "tools" | "responseFormat">

/** The tokens around a message, and its role. */
const perMessage = 4

const perName = 1

/** The tokens around a call, as in the function calls of the same models. */
const perToolCall = 3

/** The beginning of the answer, which is part of the input. */
const perAnswer = 3

const sum = <A>(items: ReadonlyArray<A>, tokens: (item: A) => number): number => {
  let total = 0
  for (const item of items) total += tokens(item)
  return total
}

/** An estimate of a provider part: its strings, but those without a space, which are ids, addresses and bytes. */
const ofJson = (value: unknown, text: CountText, depthLeft = Depth.most): number => {
  if (typeof value === "string") return value.includes(" ") ? text(value) : 0
  return typeof value === "object" && value !== null && depthLeft > 0
    ? sum(Object.values(value), (inner) => ofJson(inner, text, depthLeft - 1))
    : 0
}

const ofPart = (part: UserPart | AssistantPart, text: CountText): number => {
  switch (part.type) {
    case "text":
    case "refusal":
    case "reasoning":
      return text(part.text)
    case "tool-call":
      return perToolCall + text(part.name) + text(part.arguments)
    case "image":
      return MediaTokens.ofImage(part)
    case "audio":
      return MediaTokens.ofAudio(part)
    case "file":
      return MediaTokens.ofFile(part)
    case "provider":
      return ofJson(part.native, text)
  }
}

const partsOf = ({ content }: Message): ReadonlyArray<UserPart | AssistantPart> =>
  typeof content === "string" ? [{ type: "text", text: content }] : content

export const ofMessage = (message: Message, text: CountText): number => {
  const content = sum(partsOf(message), (part) => ofPart(part, text))
  const name = message.role === "user" && message.name !== undefined ? perName + text(message.name) : 0
  return perMessage + content + name
}

export const ofMessages = (messages: ReadonlyArray<Message>, text: CountText): number =>
  sum(messages, (message) => ofMessage(message, text))

// -------------------------------------------------------------------------------------
// tools and schemas: the cookbook's numbers for GPT-4o, used as well for nested properties, which it leaves out
// -------------------------------------------------------------------------------------

const perTool = 7 + 12
const perProperties = 3
const perProperty = 3
const perEnum = -3
const perEnumValue = 3

const schemaText = (value: unknown): string =>
  typeof value === "string" ? value : Array.isArray(value) ? value.map(schemaText).join(",") : ""

const withoutPeriod = (description: unknown): string => schemaText(description).replace(/\.$/, "")

const ofSchemas = (schemas: unknown, text: CountText, depthLeft: number): number =>
  Predicate.isRecord(schemas)
    ? sum(Object.values(schemas), (schema) => ofSchema(schema, text, depthLeft))
    : Array.isArray(schemas)
      ? sum(schemas, (schema: unknown) => ofSchema(schema, text, depthLeft))
      : 0

/** Requests with schemas of greater depth are rejected later; the limit keeps this from overflowing the stack before. */
const ofSchema = (schema: unknown, text: CountText, maxDepth = Depth.most): number => {
  if (!Predicate.isRecord(schema) || maxDepth === 0) return 0
  const depthLeft = maxDepth - 1
  const { properties } = schema
  const named = Predicate.isRecord(properties) ? Object.entries(properties) : []
  return (
    (named.length === 0 ? 0 : perProperties) +
    sum(
      named,
      ([name, property]) => perProperty + text(propertyText(name, property)) + ofSchema(property, text, depthLeft)
    ) +
    (Array.isArray(schema.enum)
      ? perEnum +
        sum(
          schema.enum,
          (value: unknown) => perEnumValue + text(typeof value === "string" ? value : (JSON.stringify(value) ?? ""))
        )
      : 0) +
    ofSchema(schema.items, text, depthLeft) +
    ofSchemas(schema.anyOf, text, depthLeft) +
    ofSchemas(schema.oneOf, text, depthLeft) +
    ofSchemas(schema.allOf, text, depthLeft) +
    ofSchemas(schema.$defs, text, depthLeft) +
    ofSchemas(schema.definitions, text, depthLeft)
  )
}

const propertyText = (name: string, property: unknown): string =>
  Predicate.isRecord(property) ? `${name}:${schemaText(property.type)}:${withoutPeriod(property.description)}` : name

const ofTool = (tool: ToolDefinition, text: CountText): number =>
  perTool + text(`${tool.name}:${withoutPeriod(tool.description)}`) + ofSchema(tool.parameters, text)

const ofResponseFormat = (format: ChatRequest["responseFormat"], text: CountText): number =>
  typeof format === "object"
    ? perTool + text(`${format.name}:${withoutPeriod(format.description)}`) + ofSchema(format.schema, text)
    : 0

/** The UTF-16 units of a request whose tokens are estimated from the texts. */
const maxEstimated = 262_144

/**
 * An estimate for the texts of one request: those after the first 262,144 units are estimated by their length, with the mean of the texts
 * before, so that the time for one request is bounded.
 */
export const bounded = (estimate: CountText): CountText => {
  let units = 0
  let tokens = 0
  return (text) => {
    if (units >= maxEstimated) return Math.ceil((text.length * tokens) / units)
    const estimated = estimate(text)
    units += text.length
    tokens += estimated
    return estimated
  }
}

/** The input tokens of a whole request. */
export const ofRequest = (request: CountedRequest, text: CountText): number =>
  perAnswer +
  ofMessages(request.messages, text) +
  sum(request.tools ?? [], (tool) => ofTool(tool, text)) +
  ofResponseFormat(request.responseFormat, text)

// -------------------------------------------------------------------------------------
// exactness
// -------------------------------------------------------------------------------------

/** Whether a message contains only text: only for that are the rules documented as exact. */
export const isText = (message: Message): boolean =>
  message.role !== "tool" && partsOf(message).every((part) => part.type === "text")

/**
 * Providers drop the reasoning of earlier turns, but not all of them and not always. Parts of one provider are not sent to others.
 */
const withoutReasoning = (message: Message): Message =>
  message.role === "assistant" && typeof message.content !== "string"
    ? { ...message, content: message.content.filter(({ type }) => type !== "reasoning" && type !== "provider") }
    : message

/** The texts of a request that every provider counts. */
export const textsOf = (request: CountedRequest): ReadonlyArray<string> => {
  const texts: Array<string> = []
  const collect: CountText = (text) => {
    texts.push(text)
    return 0
  }
  ofRequest({ ...request, messages: request.messages.map(withoutReasoning) }, collect)
  return texts
}

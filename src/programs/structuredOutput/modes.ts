/** The modes of structured output: how each asks for a value and finds it in an answer. */
import type { ParseResult } from "effect"
import { Iterable, Option } from "effect"
import { isTooDeep } from "../../internal/depth.js"
import { faultsOf, summary } from "../../internal/faults.js"
import type { ChatRequest, ChatResponse, Message } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import type { JsonSchema } from "../tools/jsonSchema.js"
import { isObjectSchema, jsonSchemaOf } from "../tools/jsonSchema.js"
import { identifierOf } from "../tools/schemaDocument.js"
import type { Mode, Options } from "./model.js"

export type Request = ChatRequest.Messages

const parse = (text: string): Option.Option<unknown> =>
  Option.filter(Option.liftThrowable((): unknown => JSON.parse(text))(), (value) => !isTooDeep(text, value))

/** The text from the first opening to the last closing bracket. */
const bracketed = (text: string, open: string, close: string): ReadonlyArray<string> => {
  const start = text.indexOf(open)
  const end = text.lastIndexOf(close)
  return start >= 0 && end > start ? [text.slice(start, end + 1)] : []
}

/** The contents of Markdown fences, without language names. */
const fenced = (text: string): ReadonlyArray<string> =>
  text
    .split("```")
    .filter((block, index) => index % 2 === 1 && (block.includes("{") || block.includes("[")))
    .map((block) => block.replace(/^[\w-]+/, ""))

/** The JSON of an answer: all of its text, or the contents of a Markdown fence, or a text in brackets. */
const jsonIn = (text: string): Option.Option<unknown> =>
  Option.firstSomeOf(
    Iterable.map([text, ...fenced(text), ...bracketed(text, "{", "}"), ...bracketed(text, "[", "]")], parse)
  )

const at = (value: unknown, steps: ReadonlyArray<PropertyKey>): unknown =>
  steps.reduce<unknown>(
    (inner, step) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, step) : undefined),
    value
  )

/** The maximum characters of a faulty answer in an error. */
export const maxExcerpt = 200

export const excerptOf = (value: unknown): string =>
  (typeof value === "string" ? value : (JSON.stringify(value) ?? "")).slice(0, maxExcerpt)

/** Why an answer does not decode. */
export interface Fault {
  readonly path: string
  readonly excerpt: string
  readonly message: string
}

export const faultOf = (value: unknown, { issue }: ParseResult.ParseError): Fault => {
  const faults = faultsOf(issue)
  const [first] = faults
  return {
    path: first?.path ?? "",
    excerpt: excerptOf(at(value, first?.steps ?? [])),
    message: `It does not fit the schema. ${summary(faults)}`
  }
}

/** The name, description and JSON Schema of the value. */
export interface OutputFormat {
  readonly name: string
  readonly description?: string
  readonly strict?: boolean
  /** Always the schema of an object. */
  readonly schema: JsonSchema
  /** Whether the value is wrapped in `{ value }`. */
  readonly wrapped: boolean
}

const wrap = ({ $defs, ...schema }: JsonSchema): JsonSchema => ({
  type: "object",
  required: ["value"],
  properties: { value: schema },
  additionalProperties: false,
  ...($defs === undefined ? {} : { $defs })
})

/** A name that every provider accepts (OpenAI, API reference: letters, digits, `_` and `-`, at most 64). */
const nameOf = (name: string): string => name.replace(/[^\w-]/g, "_").slice(0, 64)

export const outputFormatOf = <A, I, R>({ description, name, schema, strict }: Options<A, I, R>): OutputFormat => {
  const json = jsonSchemaOf(schema)
  const wrapped = !isObjectSchema(json)
  return {
    name: nameOf(name ?? Option.getOrElse(identifierOf(schema), () => "answer")),
    ...(description === undefined ? {} : { description }),
    ...(strict === undefined ? {} : { strict }),
    schema: wrapped ? wrap(json) : json,
    wrapped
  }
}

/** The request and the decoding of one mode. */
export interface ModeHandler {
  readonly request: (request: Request, format: OutputFormat) => Request
  /** Finds the JSON of the value in an answer. */
  readonly find: (response: ChatResponse, format: OutputFormat) => Option.Option<unknown>
}

const jsonInText = (response: ChatResponse): Option.Option<unknown> => jsonIn(response.text)

/** Keeps the tools of the conversation, but forbids calls of them. */
const withoutCalls = (request: Request): Request => {
  const { toolChoice: _, ...rest } = request
  return request.tools === undefined || request.tools.length === 0 ? rest : { ...rest, toolChoice: "none" }
}

const native: ModeHandler = {
  request: (request, { wrapped: _, ...format }) => ({ ...withoutCalls(request), responseFormat: format }),
  find: jsonInText
}

const tool: ModeHandler = {
  request: ({ responseFormat: _, ...request }, { description = "Gives the answer.", name, schema, strict }) => ({
    ...request,
    tools: [
      ...(request.tools ?? []),
      { name, description, parameters: schema, ...(strict === undefined ? {} : { strict }) }
    ],
    toolChoice: { name }
  }),
  // Some models answer with text instead of calling the tool.
  find: (response, { name }) =>
    Option.orElse(
      Option.flatMap(Option.fromNullable(response.toolCalls.find((call) => call.name === name)), (call) =>
        jsonIn(call.arguments)
      ),
      () => jsonInText(response)
    )
}

const instructions = ({ description, schema }: OutputFormat): string =>
  [
    "Answer with JSON alone: no other text, no Markdown.",
    ...(description === undefined ? [] : [description]),
    `The JSON must fit this JSON Schema:\n${JSON.stringify(schema)}`
  ].join("\n")

/** Appends to an existing system message, since some models accept only one. */
const withInstructions = (messages: ReadonlyArray<Message>, text: string): ReadonlyArray<Message> => {
  const [first, ...rest] = messages
  return first?.role === "system" && typeof first.content === "string"
    ? [Chat.system(`${first.content}\n\n${text}`), ...rest]
    : [Chat.system(text), ...messages]
}

const prompt: ModeHandler = {
  request: ({ responseFormat: _, ...request }, format) => ({
    ...withoutCalls(request),
    messages: withInstructions(request.messages, instructions(format))
  }),
  find: jsonInText
}

export const handlers: Readonly<Record<Exclude<Mode, "auto">, ModeHandler>> = { native, tool, prompt }

/** The messages after an answer that does not fit. Every tool call gets a result, as providers require. */
export const repairMessages = (response: ChatResponse, fault: Fault): ReadonlyArray<Message> => {
  const feedback = `Your answer cannot be used. ${fault.message}\nGive the whole answer again, corrected.`
  if (response.toolCalls.length === 0) {
    return [...(response.text === "" ? [] : [Chat.toMessage(response)]), Chat.user(feedback)]
  }
  return [
    Chat.toMessage(response),
    ...response.toolCalls.map((call): Message => ({ ...Chat.toolResult(call, feedback), isError: true }))
  ]
}

/**
 * Answers that fit a Schema: the request asks for them in the best mode of the provider, the answer is decoded, and when it does
 * not fit, its faults are sent to the model once. `LLM.object` uses the `LLM` in context, `generate` takes one as an argument.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { LLM } from "effect-llm"
 *
 * const Invoice = Schema.Struct({
 *   number: Schema.String,
 *   items: Schema.Array(Schema.Struct({ name: Schema.String, price: Schema.Number }))
 * })
 *
 * const program = LLM.object("Invoice 7: two pens at 1.50 each.", { schema: Invoice }).pipe(
 *   Effect.map(({ value }) => value.items.reduce((sum, item) => sum + item.price, 0))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { ParseResult, Schema } from "effect"
import { Effect, Iterable, Option, SchemaAST } from "effect"
import type { ChatRequest, ChatResponse, Message } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"
import { isTooDeep } from "../internal/depth.js"
import { faultsOf, summary } from "../internal/faults.js"
import * as Generated from "./tools/generated.js"
import type { JsonSchema } from "./tools/jsonSchema.js"
import { isObjectSchema, jsonSchemaOf } from "./tools/jsonSchema.js"
import { asObject } from "../call/request.js"
import type { Service } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { ContentFilterError, MalformedResponseError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import { isRecord } from "../wire/json.js"

// -------------------------------------------------------------------------------------
// model
// -------------------------------------------------------------------------------------

/**
 * How the schema is enforced.
 *
 * - `native`: by the provider (`responseFormat`).
 * - `tool`: by a tool that the model must call, with the schema as parameters.
 * - `prompt`: by instructions only. The JSON is found in the answer also inside other text or a Markdown fence.
 * - `auto`: the first of these that the provider's protocol supports. An unsupported mode fails with an `UnsupportedError` before
 *   anything is sent, but each mode is a call to the limiter and to middleware: set the mode if you know it.
 *
 * @since 0.1.0
 * @category model
 */
export type Mode = "auto" | "native" | "tool" | "prompt"

/**
 * The requested value and the mode.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<A, I, R> {
  /** The schema of the value. Any schema with a JSON encoding: an outermost array, text or union is wrapped in `{ value }`. */
  readonly schema: Schema.Schema<A, I, R>
  /** The name of the value, for the model. @default the schema's identifier, else "answer" */
  readonly name?: string
  /** The description of the value, for the model. @default the schema's description, if it has one */
  readonly description?: string
  /** How the schema is enforced. @default "auto" */
  readonly mode?: Mode
  /** Asks the provider to enforce the schema exactly. @default the provider's */
  readonly strict?: boolean
  /** Whether an answer that does not decode is sent back with its faults, once. @default true */
  readonly repair?: boolean
}

/**
 * The value, with its answer and usage.
 *
 * @since 0.1.0
 * @category model
 */
export interface Result<A> {
  readonly value: A
  /** The answer that the value was decoded from. */
  readonly response: ChatResponse
  /** The usage of all rounds: one, or two with a repair. */
  readonly usage: Usage.Usage
}

type Request = ChatRequest.Messages

// -------------------------------------------------------------------------------------
// finding the value
// -------------------------------------------------------------------------------------

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
const maxExcerpt = 200

const excerptOf = (value: unknown): string =>
  (typeof value === "string" ? value : (JSON.stringify(value) ?? "")).slice(0, maxExcerpt)

/** Why an answer does not decode. */
interface Fault {
  readonly path: string
  readonly excerpt: string
  readonly message: string
}

const faultOf = (value: unknown, { issue }: ParseResult.ParseError): Fault => {
  const faults = faultsOf(issue)
  const [first] = faults
  return {
    path: first?.path ?? "",
    excerpt: excerptOf(at(value, first?.steps ?? [])),
    message: `It does not fit the schema. ${summary(faults)}`
  }
}

// -------------------------------------------------------------------------------------
// asking for the value
// -------------------------------------------------------------------------------------

/** The name, description and JSON Schema of the value. */
interface OutputFormat {
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

const outputFormatOf = <A, I, R>({ description, name, schema, strict }: Options<A, I, R>): OutputFormat => {
  const json = jsonSchemaOf(schema)
  const wrapped = !isObjectSchema(json)
  return {
    name: nameOf(name ?? Option.getOrElse(SchemaAST.getIdentifierAnnotation(schema.ast), () => "answer")),
    ...(description === undefined ? {} : { description }),
    ...(strict === undefined ? {} : { strict }),
    schema: wrapped ? wrap(json) : json,
    wrapped
  }
}

/** The request and the decoding of one mode. */
interface ModeHandler {
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

/** The messages after an answer that does not fit. Every tool call gets a result, as providers require. */
const repairMessages = (response: ChatResponse, fault: Fault): ReadonlyArray<Message> => {
  const feedback = `Your answer cannot be used. ${fault.message}\nGive the whole answer again, corrected.`
  if (response.toolCalls.length === 0) {
    return [...(response.text === "" ? [] : [Chat.toMessage(response)]), Chat.user(feedback)]
  }
  return [
    Chat.toMessage(response),
    ...response.toolCalls.map((call): Message => ({ ...Chat.toolResult(call, feedback), isError: true }))
  ]
}

// -------------------------------------------------------------------------------------
// errors
// -------------------------------------------------------------------------------------

const errorContext = ({ attempts, keyId, model, provider }: ChatResponse) => ({ attempts, keyId, model, provider })

const contentFilterError = (response: ChatResponse): ContentFilterError =>
  new ContentFilterError({
    ...errorContext(response),
    message:
      response.refusal === ""
        ? "The provider's safety system cut the answer off."
        : `The model declined to answer: ${response.refusal.slice(0, maxExcerpt)}`
  })

const truncation: Pick<Fault, "message"> = {
  message: "It was cut off at its token limit. Raise maxTokens, or ask for less."
}

const malformedError = (
  response: ChatResponse,
  fault: Fault,
  usage: Usage.Usage,
  format: OutputFormat
): MalformedResponseError => {
  const { id, model, reasoning, text, toolCalls } = response
  return new MalformedResponseError({
    ...errorContext(response),
    path: fault.path,
    excerpt: fault.excerpt,
    message: `The answer is not a valid ${format.name}. ${fault.message}`,
    // An error with a `partial` is not retried: the repair was the second attempt.
    partial: { id, model, reasoning, text, toolCalls, usage }
  })
}

// -------------------------------------------------------------------------------------
// generating
// -------------------------------------------------------------------------------------

/**
 * Makes a function that asks for values of one schema. The JSON Schema is computed once for all calls.
 *
 * @throws when the schema has no JSON Schema and no `jsonSchema` annotation.
 * @since 0.1.0
 * @category generating
 */
export const make = <A, I, R>(
  options: Options<A, I, R>
): ((llm: Pick<Service, "chat">, request: ChatRequest.Input) => Effect.Effect<Result<A>, LLMError, R>) => {
  const { mode = "auto", repair = true } = options
  const format = outputFormatOf(options)
  const decode = Generated.decoder(options.schema)

  const decodeAnswer = (handler: ModeHandler, response: ChatResponse): Effect.Effect<A, Fault, R> =>
    Option.match(handler.find(response, format), {
      onNone: () => Effect.fail<Fault>({ path: "", excerpt: excerptOf(response.text), message: "It holds no JSON." }),
      onSome: (json) => {
        const value = format.wrapped && isRecord(json) && "value" in json ? json["value"] : json
        return Effect.mapError(decode(value), (error) => faultOf(value, error))
      }
    })

  return (llm, input) => {
    const ask = (
      handler: ModeHandler,
      request: Request,
      earlier?: Usage.Usage
    ): Effect.Effect<Result<A>, LLMError, R> =>
      Effect.flatMap(llm.chat(handler.request(request, format)), (response) => {
        if (response.refusal !== "" || response.finishReason === "content-filter") {
          return Effect.fail(contentFilterError(response))
        }
        const usage = earlier === undefined ? response.usage : Usage.combine(earlier, response.usage)
        return Effect.matchEffect(decodeAnswer(handler, response), {
          onSuccess: (value) => Effect.succeed({ value, response, usage }),
          onFailure: (fault) =>
            response.finishReason === "length"
              ? Effect.fail(malformedError(response, { ...fault, ...truncation }, usage, format))
              : repair && earlier === undefined
                ? ask(
                    handler,
                    { ...request, messages: [...request.messages, ...repairMessages(response, fault)] },
                    usage
                  )
                : Effect.fail(malformedError(response, fault, usage, format))
        })
      })

    const request: Request = asObject(input)
    switch (mode) {
      case "native":
        return ask(native, request)
      case "tool":
        return ask(tool, request)
      case "prompt":
        return ask(prompt, request)
      case "auto":
        return ask(native, request).pipe(
          Effect.catchTag("UnsupportedError", () => ask(tool, request)),
          Effect.catchTag("UnsupportedError", () => ask(prompt, request))
        )
    }
  }
}

/**
 * Asks the given `LLM` for a value. See `LLM.object`.
 *
 * @since 0.1.0
 * @category generating
 */
export const generate = <A, I, R>(
  llm: Pick<Service, "chat">,
  request: ChatRequest.Input,
  options: Options<A, I, R>
): Effect.Effect<Result<A>, LLMError, R> => Effect.suspend(() => make(options)(llm, request))

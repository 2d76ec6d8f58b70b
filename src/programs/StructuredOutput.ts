/**
 * Answers that are values: the model is held to a Schema in the best way that the provider has, its answer is decoded, and
 * where it does not fit, the model is shown why and asked once more. `LLM.object` does it on the `LLM` in context, `generate`
 * on one at hand.
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
 * How the model is held to the schema.
 *
 * - `native`: by the provider (`responseFormat`).
 * - `tool`: by a tool whose parameters are the schema, and which the model must call.
 * - `prompt`: by words alone. The answer's JSON is found also where text or a Markdown fence stands around it.
 * - `auto`: the first of these that the provider's protocol has. To find out, nothing is sent: what a protocol has no word
 *   for is an `UnsupportedError` before that. But each way is a call to the limiter and to middleware, so where you know the
 *   way, say it.
 *
 * @since 0.1.0
 * @category model
 */
export type Mode = "auto" | "native" | "tool" | "prompt"

/**
 * What value is asked for, and in which way.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<A, I, R> {
  /** What the value is. Any schema that JSON can carry: an outermost array, text or union goes in a `{ value }` of its own. */
  readonly schema: Schema.Schema<A, I, R>
  /** What the value is called, to the model. @default the schema's identifier, else "answer" */
  readonly name?: string
  /** What the value is, in words. @default the schema's description, if it has one */
  readonly description?: string
  /** @default "auto" */
  readonly mode?: Mode
  /** Ask the provider to hold the model to the schema exactly. @default the provider's */
  readonly strict?: boolean
  /** Whether an answer that does not decode is shown to the model with its faults, once. @default true */
  readonly repair?: boolean
}

/**
 * The value, and what it took.
 *
 * @since 0.1.0
 * @category model
 */
export interface Result<A> {
  readonly value: A
  /** The answer that the value was decoded from. */
  readonly response: ChatResponse
  /** Of both rounds, where there were two. */
  readonly usage: Usage.Usage
}

type Asked = Exclude<ChatRequest.Input, string>

// -------------------------------------------------------------------------------------
// finding the value
// -------------------------------------------------------------------------------------

const parse = (text: string): Option.Option<unknown> =>
  Option.filter(Option.liftThrowable((): unknown => JSON.parse(text))(), (value) => !isTooDeep(text, value))

/** From the first opening bracket to the last closing one. */
const bracketed = (text: string, open: string, close: string): ReadonlyArray<string> => {
  const start = text.indexOf(open)
  const end = text.lastIndexOf(close)
  return start >= 0 && end > start ? [text.slice(start, end + 1)] : []
}

/** What stands in Markdown fences, without the names of languages. */
const fenced = (text: string): ReadonlyArray<string> =>
  text
    .split("```")
    .filter((block, index) => index % 2 === 1 && (block.includes("{") || block.includes("[")))
    .map((block) => block.replace(/^[\w-]+/, ""))

/** The JSON of an answer: the whole of it, or what stands in a Markdown fence, or what stands in brackets. */
const jsonIn = (text: string): Option.Option<unknown> =>
  Option.firstSomeOf(
    Iterable.map([text, ...fenced(text), ...bracketed(text, "{", "}"), ...bracketed(text, "[", "]")], parse)
  )

const at = (value: unknown, steps: ReadonlyArray<PropertyKey>): unknown =>
  steps.reduce<unknown>(
    (found, step) => (typeof found === "object" && found !== null ? Reflect.get(found, step) : undefined),
    value
  )

/** The most of a faulty answer that an error holds. */
const maxExcerpt = 200

const excerptOf = (value: unknown): string =>
  (typeof value === "string" ? value : (JSON.stringify(value) ?? "")).slice(0, maxExcerpt)

/** Why an answer is not the value. */
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

/** What the model is told of the value. */
interface Shape {
  readonly name: string
  readonly description?: string
  readonly strict?: boolean
  /** Always of an object. */
  readonly schema: JsonSchema
  /** Whether the value stands in a `{ value }` of its own. */
  readonly wrapped: boolean
}

const wrap = ({ $defs, ...schema }: JsonSchema): JsonSchema => ({
  type: "object",
  required: ["value"],
  properties: { value: schema },
  additionalProperties: false,
  ...($defs === undefined ? {} : { $defs })
})

/** As far as every provider allows (OpenAI, API reference: letters, digits, `_` and `-`, at most 64). */
const nameOf = (name: string): string => name.replace(/[^\w-]/g, "_").slice(0, 64)

const shapeOf = <A, I, R>({ description, name, schema, strict }: Options<A, I, R>): Shape => {
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

/** A way to hold a model to a shape. */
interface Form {
  readonly request: (request: Asked, shape: Shape) => Asked
  /** What stands where the value should. */
  readonly find: (response: ChatResponse, shape: Shape) => Option.Option<unknown>
}

const inText = (response: ChatResponse): Option.Option<unknown> => jsonIn(response.text)

/** Tools that the conversation speaks of stay known, but shall not be called now. */
const withoutCalls = (request: Asked): Asked => {
  const { toolChoice: _, ...rest } = request
  return request.tools === undefined || request.tools.length === 0 ? rest : { ...rest, toolChoice: "none" }
}

const native: Form = {
  request: (request, { wrapped: _, ...shape }) => ({ ...withoutCalls(request), responseFormat: shape }),
  find: inText
}

const tool: Form = {
  request: ({ responseFormat: _, ...request }, { description = "Gives the answer.", name, schema, strict }) => ({
    ...request,
    tools: [
      ...(request.tools ?? []),
      { name, description, parameters: schema, ...(strict === undefined ? {} : { strict }) }
    ],
    toolChoice: { name }
  }),
  // Some models answer in text what they should have called the tool with.
  find: (response, { name }) =>
    Option.orElse(
      Option.flatMap(Option.fromNullable(response.toolCalls.find((call) => call.name === name)), (call) =>
        jsonIn(call.arguments)
      ),
      () => inText(response)
    )
}

const instructions = ({ description, schema }: Shape): string =>
  [
    "Answer with JSON alone: no other text, no Markdown.",
    ...(description === undefined ? [] : [description]),
    `The JSON must fit this JSON Schema:\n${JSON.stringify(schema)}`
  ].join("\n")

/** Behind the system message that there is, since some models take one alone. */
const instructed = (messages: ReadonlyArray<Message>, text: string): ReadonlyArray<Message> => {
  const [first, ...rest] = messages
  return first?.role === "system" && typeof first.content === "string"
    ? [Chat.system(`${first.content}\n\n${text}`), ...rest]
    : [Chat.system(text), ...messages]
}

const prompt: Form = {
  request: ({ responseFormat: _, ...request }, shape) => ({
    ...withoutCalls(request),
    messages: instructed(request.messages, instructions(shape))
  }),
  find: inText
}

/** The conversation after an answer that does not fit: every call in it is answered, as providers demand. */
const shown = (response: ChatResponse, fault: Fault): ReadonlyArray<Message> => {
  const complaint = `Your answer cannot be used. ${fault.message}\nGive the whole answer again, corrected.`
  if (response.toolCalls.length === 0) {
    return [...(response.text === "" ? [] : [Chat.toMessage(response)]), Chat.user(complaint)]
  }
  return [
    Chat.toMessage(response),
    ...response.toolCalls.map((call): Message => ({ ...Chat.toolResult(call, complaint), isError: true }))
  ]
}

// -------------------------------------------------------------------------------------
// errors
// -------------------------------------------------------------------------------------

const common = ({ attempts, keyId, model, provider }: ChatResponse) => ({ attempts, keyId, model, provider })

const filtered = (response: ChatResponse): ContentFilterError =>
  new ContentFilterError({
    ...common(response),
    message:
      response.refusal === ""
        ? "The provider's safety system cut the answer off."
        : `The model declined to answer: ${response.refusal.slice(0, maxExcerpt)}`
  })

const cutOff: Pick<Fault, "message"> = {
  message: "It was cut off at its token limit. Raise maxTokens, or ask for less."
}

const malformed = (response: ChatResponse, fault: Fault, usage: Usage.Usage, shape: Shape): MalformedResponseError => {
  const { id, model, reasoning, text, toolCalls } = response
  return new MalformedResponseError({
    ...common(response),
    path: fault.path,
    excerpt: fault.excerpt,
    message: `The answer is no ${shape.name}. ${fault.message}`,
    // It also says that asking again has been tried.
    partial: { id, model, reasoning, text, toolCalls, usage }
  })
}

// -------------------------------------------------------------------------------------
// generating
// -------------------------------------------------------------------------------------

/**
 * Asks for values of one kind: what is told of the schema is worked out once, for as many calls as you like.
 *
 * @throws where the schema holds what JSON Schema has no word for and no `jsonSchema` annotation says.
 * @since 0.1.0
 * @category generating
 */
export const make = <A, I, R>(
  options: Options<A, I, R>
): ((llm: Pick<Service, "chat">, request: ChatRequest.Input) => Effect.Effect<Result<A>, LLMError, R>) => {
  const { mode = "auto", repair = true } = options
  const shape = shapeOf(options)
  const decode = Generated.decoder(options.schema)

  const judge = (form: Form, response: ChatResponse): Effect.Effect<A, Fault, R> =>
    Option.match(form.find(response, shape), {
      onNone: () => Effect.fail<Fault>({ path: "", excerpt: excerptOf(response.text), message: "It holds no JSON." }),
      onSome: (found) => {
        const value = shape.wrapped && isRecord(found) && "value" in found ? found["value"] : found
        return Effect.mapError(decode(value), (error) => faultOf(value, error))
      }
    })

  return (llm, input) => {
    const ask = (form: Form, asked: Asked, earlier?: Usage.Usage): Effect.Effect<Result<A>, LLMError, R> =>
      Effect.flatMap(llm.chat(form.request(asked, shape)), (response) => {
        if (response.refusal !== "" || response.finishReason === "content-filter") {
          return Effect.fail(filtered(response))
        }
        const usage = earlier === undefined ? response.usage : Usage.combine(earlier, response.usage)
        return Effect.matchEffect(judge(form, response), {
          onSuccess: (value) => Effect.succeed({ value, response, usage }),
          onFailure: (fault) =>
            response.finishReason === "length"
              ? Effect.fail(malformed(response, { ...fault, ...cutOff }, usage, shape))
              : repair && earlier === undefined
                ? ask(form, { ...asked, messages: [...asked.messages, ...shown(response, fault)] }, usage)
                : Effect.fail(malformed(response, fault, usage, shape))
        })
      })

    const request: Asked = asObject(input)
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
 * Asks an `LLM` at hand for a value. See `LLM.object`.
 *
 * @since 0.1.0
 * @category generating
 */
export const generate = <A, I, R>(
  llm: Pick<Service, "chat">,
  request: ChatRequest.Input,
  options: Options<A, I, R>
): Effect.Effect<Result<A>, LLMError, R> => Effect.suspend(() => make(options)(llm, request))

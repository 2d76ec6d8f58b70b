/**
 * Requests with holes: a system text, examples and a user message whose parts take their values from a typed input.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { LLM, Prompt } from "effect-llm"
 *
 * const translate = Prompt.make({
 *   input: Schema.Struct({ text: Schema.String, to: Schema.String, tone: Schema.optional(Schema.String) }),
 *   system: "Translate into {{to}}, in a {{tone|neutral}} tone. Answer with the translation alone.",
 *   prompt: "{{text}}",
 *   examples: [{ input: { text: "Guten Tag", to: "English" }, output: "Hello" }],
 *   temperature: 0
 * })
 *
 * const program = translate({ text: "Es regnet.", to: "French" }).pipe(Effect.flatMap(LLM.chat))
 * ```
 *
 * @since 0.2.0
 */
import { Effect, Either, Schema } from "effect"
import * as Depth from "../internal/depth.js"
import { faultsOf, summary } from "../internal/faults.js"
import type { AssistantPart, ChatRequest, Message, UserPart } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"
import { InvalidRequestError } from "../vocabulary/LLMError.js"
import type { Checked } from "./prompt/template.js"
import * as Template from "./prompt/template.js"
import { fromEither } from "../internal/asEffect.js"

/**
 * The texts and parts of a user message.
 *
 * @since 0.2.0
 * @category model
 */
export type Content = string | UserPart | ReadonlyArray<string | UserPart>

/**
 * A text with holes, a part of a message, or a function of the input that makes them: for images and files, lists and conditions.
 *
 * @since 0.2.0
 * @category model
 */
export type Piece<In> = string | UserPart | ((input: In) => Content)

/**
 * An input with the answer that it should have: a text, the parts of an answer, or a value that is written as JSON.
 *
 * @since 0.2.0
 * @category model
 */
export interface Example<in out In> {
  readonly input: In
  readonly output: string | ReadonlyArray<AssistantPart> | { readonly [field: string]: unknown }
}

/**
 * The parts of a prompt, and any other field of its requests, such as `temperature` or `maxTokens`.
 *
 * In a text, `{{name}}` is the field of the encoded input: a text unchanged, anything else as JSON. `{{name|default}}` has a text for a
 * field that is absent or null, and `{{input}}` is the input as a whole. Values are not searched for holes. A function takes the input
 * itself.
 *
 * @since 0.2.0
 * @category model
 */
export interface Options<In, I, R, System extends string, Text extends string> extends Omit<
  ChatRequest.Options,
  "system" | "prompt" | "messages"
> {
  readonly input: Schema.Schema<In, I, R>
  /** @default no system message */
  readonly system?: (System & Checked<System, I>) | ((input: In) => string)
  /** Messages before the user's, made of the same parts with the inputs of the examples. @default none */
  readonly examples?: ReadonlyArray<Example<In>>
  /** The user message. @default the encoded input: a text unchanged, anything else as JSON */
  readonly prompt?: (Text & Checked<Text, I>) | ((input: In) => Content) | ReadonlyArray<Piece<In>>
  /** The name in errors. @default "the prompt" */
  readonly name?: string
}

/**
 * Makes the request of an input. Fails with an `InvalidRequestError` when the input does not fit its schema, or a hole has no value; its
 * `field` is the first fault.
 *
 * @since 0.2.0
 * @category model
 */
export interface Prompt<in In, out R = never> {
  (input: In): Effect.Effect<ChatRequest.Messages, InvalidRequestError, R>
}

const isList = <A>(value: A | ReadonlyArray<A>): value is ReadonlyArray<A> => Array.isArray(value)

/** Adjacent texts are one message with a text; anything else is a list of parts. */
const userMessage = (content: ReadonlyArray<string | UserPart>): Message => {
  const texts = content.filter((part) => typeof part === "string")
  return Chat.user(
    texts.length === content.length
      ? texts.join("\n\n")
      : content.map((part) => (typeof part === "string" ? Chat.text(part) : part))
  )
}

const answer = (output: Example<never>["output"]): Message =>
  Chat.assistant(typeof output === "string" || isParts(output) ? output : JSON.stringify(output))

const isParts = (output: Exclude<Example<never>["output"], string>): output is ReadonlyArray<AssistantPart> =>
  Array.isArray(output)

/**
 * Makes a prompt.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Prompt } from "effect-llm"
 *
 * const summary = Prompt.make({
 *   input: Schema.Struct({ text: Schema.String }),
 *   system: "Answer in one sentence.",
 *   prompt: "Summarize: {{text}}"
 * })
 * ```
 *
 * @throws TypeError when a hole names no field of the input
 * @since 0.2.0
 * @category constructors
 */
export const make = <In, I, R, const System extends string = string, const Text extends string = string>({
  examples = [],
  input,
  name = "the prompt",
  prompt,
  system,
  ...request
}: Options<In, I, R, System, Text>): Prompt<In, R> => {
  const pieces: ReadonlyArray<Piece<In>> =
    prompt === undefined ? ["{{input}}"] : isList<Piece<In>>(prompt) ? prompt : [prompt]
  const fields = Template.fieldsOf(input.ast)
  for (const template of [system, ...pieces]) {
    const unknown = typeof template === "string" ? Template.unknownHole(template, fields) : undefined
    if (unknown !== undefined) throw new TypeError(`The input of ${name} has no field ${unknown}.`)
  }
  const encode = Schema.encode(input, { errors: "all" })

  const invalid = (field: string, fault: string): InvalidRequestError =>
    new InvalidRequestError({
      provider: "",
      model: "",
      attempts: [],
      field,
      message: `The input of ${name} is not valid. ${fault}`
    })

  const encoded = (value: In): Effect.Effect<I, InvalidRequestError, R> => {
    const path = Depth.tooDeep(value)
    if (path !== undefined) {
      const field = Depth.fieldOf(path)
      return Effect.fail(invalid(field, `${field}: ${Depth.fault}`))
    }
    return Effect.mapError(encode(value), ({ issue }) => {
      const faults = faultsOf(issue)
      return invalid(faults[0]?.path ?? "", summary(faults))
    })
  }

  const fill = (template: string, values: I): Either.Either<string, InvalidRequestError> =>
    Either.mapLeft(Template.fill(template, values), (field) =>
      invalid(field, `${field}: is absent, and its hole has no default`)
    )

  const contentOf = (value: In, values: I): Either.Either<Message, InvalidRequestError> =>
    Either.map(
      Either.all(
        pieces.map((piece): Either.Either<ReadonlyArray<string | UserPart>, InvalidRequestError> => {
          if (typeof piece === "string") return Either.map(fill(piece, values), (text) => [text])
          const content = typeof piece === "function" ? piece(value) : piece
          return Either.right(isList<string | UserPart>(content) ? content : [content])
        })
      ),
      (content) => userMessage(content.flat())
    )

  const systemOf = (value: In, values: I): Either.Either<ReadonlyArray<Message>, InvalidRequestError> =>
    system === undefined
      ? Either.right([])
      : Either.map(typeof system === "function" ? Either.right(system(value)) : fill(system, values), (text) => [
          Chat.system(text)
        ])

  return (value) =>
    Effect.gen(function* () {
      const shown = yield* Effect.forEach(examples, ({ input, output }) =>
        Effect.flatMap(encoded(input), (values) =>
          fromEither(Either.map(contentOf(input, values), (message) => [message, answer(output)]))
        )
      )
      const values = yield* encoded(value)
      const messages = [
        ...(yield* fromEither(systemOf(value, values))),
        ...shown.flat(),
        yield* fromEither(contentOf(value, values))
      ]
      return { ...request, messages }
    })
}

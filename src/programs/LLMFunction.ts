/**
 * Typed functions that a model computes: input and output have schemas, and the prompt is the body.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { LLMFunction } from "effect-llm"
 *
 * const judge = LLMFunction.make({
 *   name: "judgement",
 *   input: Schema.Struct({ review: Schema.NonEmptyString }),
 *   output: Schema.Struct({ mood: Schema.Literal("good", "bad"), because: Schema.String }),
 *   prompt: "Judge the mood of the review."
 * })
 *
 * const program = judge({ review: "It broke on the first day." }).pipe(Effect.map(({ mood }) => mood))
 * ```
 *
 * @since 0.1.0
 */
import type { Schema } from "effect"
import { Effect } from "effect"
import type { ChatRequest } from "../vocabulary/Chat.js"
import { LLM } from "../call/model.js"
import type { InvalidRequestError, LLMError } from "../vocabulary/LLMError.js"
import * as Errors from "../vocabulary/LLMError.js"
import * as Prompt from "./Prompt.js"
import type { Checked } from "./prompt/template.js"
import * as Objects from "./structuredOutput/generate.js"
import type * as StructuredOutput from "./structuredOutput/model.js"

/**
 * The schemas and the prompt of a function.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<In, InI, InR, Out, OutI, OutR, Text extends string, PromptR> extends Omit<
  StructuredOutput.Options<Out, OutI, OutR>,
  "name" | "schema"
> {
  /** The name of the output, for the model and in errors. */
  readonly name: string
  readonly input: Schema.Schema<In, InI, InR>
  readonly output: Schema.Schema<Out, OutI, OutR>
  /**
   * The instructions: a text, sent as the system message before the encoded input (a text unchanged, anything else as JSON), in which
   * `{{name}}` is a field of it; a `Prompt`; or a function that makes the whole request.
   */
  readonly prompt:
    | (Text & Checked<Text, InI>)
    | ((input: In) => ChatRequest.Input | Effect.Effect<ChatRequest.Input, InvalidRequestError, PromptR>)
}

/**
 * A function of `In` that a model computes.
 *
 * @since 0.1.0
 * @category model
 */
export interface LLMFunction<in In, out Out, out R = never> {
  (input: In): Effect.Effect<Out, LLMError, LLM | R>
}

/**
 * Makes a function from its schemas and its prompt. Fails with an `InvalidRequestError` when the input does not fit its schema;
 * its `field` is the first fault, and nothing is sent. See `LLM.generateObject` for the errors of the output.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { LLMFunction } from "effect-llm"
 *
 * const sentiment = LLMFunction.make({
 *   name: "sentiment",
 *   input: Schema.Struct({ review: Schema.String }),
 *   output: Schema.Struct({ sentiment: Schema.Literal("positive", "negative") }),
 *   prompt: "The sentiment of this review: {{review}}"
 * })
 * ```
 *
 * @throws when the output schema has no JSON Schema and no `jsonSchema` annotation, or a hole of the prompt names no field of the input.
 * @since 0.1.0
 * @category constructors
 */
export const make = <In, InI, InR, Out, OutI, OutR, const Text extends string = string, PromptR = never>({
  input,
  name,
  output,
  prompt,
  ...options
}: Options<In, InI, InR, Out, OutI, OutR, Text, PromptR>): LLMFunction<In, Out, InR | OutR | PromptR> => {
  const generate = Objects.make({ ...options, schema: output, name })
  const makeRequest = Prompt.make<In, InI, InR, string, string>({
    input,
    name,
    ...(typeof prompt === "string" ? { system: prompt } : {})
  })
  return (value) =>
    Effect.flatMap(LLM, (llm) =>
      makeRequest(value).pipe(
        Effect.flatMap((request): Effect.Effect<ChatRequest.Input, InvalidRequestError, PromptR> => {
          const made = typeof prompt === "function" ? prompt(value) : request
          return Effect.isEffect(made) ? made : Effect.succeed(made)
        }),
        Effect.mapError((error) => Errors.update(error, { provider: llm.info.provider, model: llm.info.model })),
        Effect.flatMap((request) => generate(llm, request)),
        Effect.map((result) => result.value)
      )
    )
}

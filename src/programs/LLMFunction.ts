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
import { Effect, Schema } from "effect"
import type { ChatRequest } from "../vocabulary/Chat.js"
import * as Depth from "../internal/depth.js"
import { faultsOf, summary } from "../internal/faults.js"
import { LLM } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { InvalidRequestError } from "../vocabulary/LLMError.js"
import type * as StructuredOutput from "./structuredOutput/model.js"
import * as Objects from "./structuredOutput/generate.js"

/**
 * The schemas and the prompt of a function.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<In, InI, InR, Out, OutI, OutR> extends Omit<
  StructuredOutput.Options<Out, OutI, OutR>,
  "name" | "schema"
> {
  /** The name of the output, for the model and in errors. */
  readonly name: string
  readonly input: Schema.Schema<In, InI, InR>
  readonly output: Schema.Schema<Out, OutI, OutR>
  /**
   * The instructions: a text, sent as the system message before the encoded input (a text unchanged, anything else as JSON), or a
   * function that makes the whole request.
   */
  readonly prompt: string | ((input: In) => ChatRequest.Input)
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
 * @throws when the output schema has no JSON Schema and no `jsonSchema` annotation.
 * @since 0.1.0
 * @category constructors
 */
export const make = <In, InI, InR, Out, OutI, OutR>({
  input,
  name,
  output,
  prompt,
  ...options
}: Options<In, InI, InR, Out, OutI, OutR>): LLMFunction<In, Out, InR | OutR> => {
  const encode = Schema.encode(input, { errors: "all" })
  const generate = Objects.make({ ...options, schema: output, name })
  return (value) =>
    Effect.flatMap(LLM, (llm) => {
      const invalid = (field: string, fault: string): InvalidRequestError =>
        new InvalidRequestError({
          provider: llm.info.provider,
          model: llm.info.model,
          attempts: [],
          field,
          message: `The input of ${name} is not valid. ${fault}`
        })
      const path = Depth.tooDeep(value)
      if (path !== undefined) {
        const field = Depth.fieldOf(path)
        return Effect.fail(invalid(field, `${field}: ${Depth.fault}`))
      }
      return encode(value).pipe(
        Effect.mapError(({ issue }) => {
          const faults = faultsOf(issue)
          return invalid(faults[0]?.path ?? "", summary(faults))
        }),
        Effect.map((encoded): ChatRequest.Input =>
          typeof prompt === "function"
            ? prompt(value)
            : { system: prompt, prompt: typeof encoded === "string" ? encoded : JSON.stringify(encoded) }
        ),
        Effect.flatMap((request) => generate(llm, request)),
        Effect.map((result) => result.value)
      )
    })
}

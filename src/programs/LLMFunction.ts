/**
 * Functions whose body is a prompt: typed from Schema to Schema, checked on both sides, and in need of nothing but an `LLM`.
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
import * as Chat from "../vocabulary/Chat.js"
import * as Depth from "../internal/depth.js"
import { faultsOf, summary } from "../internal/faults.js"
import { LLM } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { InvalidRequestError } from "../vocabulary/LLMError.js"
import * as StructuredOutput from "./StructuredOutput.js"

/**
 * What a function takes and gives, and what the model is told to do.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<In, InI, InR, Out, OutI, OutR> extends Omit<
  StructuredOutput.Options<Out, OutI, OutR>,
  "name" | "schema"
> {
  /** What the output is called, to the model and in errors. */
  readonly name: string
  readonly input: Schema.Schema<In, InI, InR>
  readonly output: Schema.Schema<Out, OutI, OutR>
  /**
   * What the model shall do: a text, which stands before the encoded input (a text as it is, anything else as JSON), or a
   * function that writes the whole request.
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
 * A function from its schemas and its prompt. Input that its schema refuses is an `InvalidRequestError`, whose `field` names
 * the first fault, and nothing is sent. What the output may fail with is said at `LLM.object`.
 *
 * @throws where the output holds what JSON Schema has no word for and no `jsonSchema` annotation says.
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
  const generate = StructuredOutput.make({ ...options, schema: output, name })
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
            : {
                messages: [
                  Chat.system(prompt),
                  Chat.user(typeof encoded === "string" ? encoded : JSON.stringify(encoded))
                ]
              }
        ),
        Effect.flatMap((request) => generate(llm, request)),
        Effect.map((result) => result.value)
      )
    })
}

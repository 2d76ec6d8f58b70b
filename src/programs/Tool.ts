/**
 * Functions that a model can call: their description and parameters for the model, and their handlers.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { LLM, Tool } from "effect-llm"
 *
 * const weather = Tool.make("weather", {
 *   description: "The weather in a city, now.",
 *   parameters: { city: Schema.String, unit: Schema.optional(Schema.Literal("C", "F")) },
 *   success: Schema.Struct({ temperature: Schema.Number, sky: Schema.String }),
 *   handler: ({ city, unit = "C" }) => Effect.succeed({ temperature: city === "Oslo" ? -3 : 21, sky: `blue (${unit})` })
 * })
 *
 * const program = LLM.runTools("What should I wear in Oslo?", { tools: [weather] })
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Schema, flow } from "effect"
import { faultsOf, summary } from "../internal/faults.js"
import type { ToolDefinition } from "../vocabulary/Chat.js"
import * as Generated from "./tools/generated.js"
import { isObjectSchema, jsonSchemaOf } from "./tools/jsonSchema.js"
import type { Any, HandlerArguments, Options, Parameters, ParametersContext, Tool } from "./tools/model.js"
import { InvalidResultError } from "./tools/model.js"

export * from "./tools/model.js"

export {
  type Arguments,
  InvalidArgumentsError,
  parse as parseArguments,
  preview as previewArguments
} from "./tools/arguments.js"

const isFields = (parameters: Parameters): parameters is Schema.Struct.Fields => !Schema.isSchema(parameters)

// Turns fields into a schema, so that all other code has a schema with its types.
function schemaOf<P extends Parameters>(
  parameters: P | undefined
): Schema.Schema<HandlerArguments<P>, unknown, ParametersContext<P>>

function schemaOf(parameters: Parameters = {}): Schema.Schema.All {
  return isFields(parameters) ? Schema.Struct(parameters) : parameters
}

/**
 * Makes a tool from its description and its handler.
 *
 * Arguments that do not decode never reach the handler. A result that `success` cannot encode, or that cannot be written as JSON,
 * fails with an {@link InvalidResultError} and never reaches the model.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { LLM, Tool } from "effect-llm"
 *
 * const weather = Tool.make("weather", {
 *   description: "The current temperature of a city, in degrees Celsius.",
 *   parameters: { city: Schema.String.annotations({ description: "The name of the city, such as Paris." }) },
 *   success: Schema.Struct({ celsius: Schema.Number }),
 *   handler: ({ city }) => Effect.succeed({ celsius: city === "Paris" ? 21 : 15 })
 * })
 *
 * const program = LLM.runTools("How warm is it in Paris?", { tools: [weather] })
 * ```
 *
 * @throws when the parameters are not an object, or have no JSON Schema and no `jsonSchema` annotation.
 * @since 0.1.0
 * @category constructors
 */
export const make = <
  const Name extends string,
  P extends Parameters = {},
  A = string,
  I = A,
  RS = never,
  E = never,
  R = never
>(
  name: Name,
  options: Options<P, A, I, RS, E, R>
): Tool<Name, HandlerArguments<P>, A, E, R | RS | ParametersContext<P>> => {
  const { description, handler, strict, success } = options
  const schema = schemaOf(options.parameters)
  const parameters = jsonSchemaOf(schema)
  if (!isObjectSchema(parameters)) throw new TypeError(`The parameters of the tool ${name} are not an object.`)
  const decode = Generated.decoder(schema)
  const invalidResult = (fault: string): InvalidResultError => new InvalidResultError({ tool: name, fault })
  const encode: (result: A) => Effect.Effect<unknown, InvalidResultError, RS> =
    success === undefined
      ? Effect.succeed
      : flow(
          Schema.encode(success),
          Effect.mapError(({ issue }) => invalidResult(summary(faultsOf(issue))))
        )
  /** The text of a result for the model. */
  const encodeText = (value: unknown): Effect.Effect<string, InvalidResultError> =>
    typeof value === "string"
      ? Effect.succeed(value)
      : Effect.try({
          try: () => JSON.stringify(value) ?? "null",
          catch: (cause) => invalidResult(`It cannot be written as JSON. ${cause}`)
        })
  return {
    name,
    definition: {
      name,
      ...(description === undefined ? {} : { description }),
      parameters,
      ...(strict === undefined ? {} : { strict })
    },
    handler,
    prepare: (args) =>
      Effect.map(decode(args), (decoded) => handler(decoded).pipe(Effect.flatMap(encode), Effect.flatMap(encodeText)))
  }
}

/**
 * The definition of a tool, for a custom request.
 *
 * @since 0.1.0
 * @category accessors
 */
export const definition = (tool: Any): ToolDefinition => tool.definition

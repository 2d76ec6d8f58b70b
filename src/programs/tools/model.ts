/** The types of tools. */
import type { ParseResult, Effect } from "effect"
import { Schema } from "effect"
import type { ToolDefinition } from "../../vocabulary/Chat.js"
import type { Arguments } from "./arguments.js"

/**
 * A function that a model can call, with its handler.
 *
 * @since 0.1.0
 * @category model
 */
export interface Tool<out Name extends string, in Args, out A, out E = never, out R = never> {
  readonly name: Name
  /** Name, description and parameters, as sent to the model. */
  readonly definition: ToolDefinition
  /** The handler of the options, unchanged: tests can call it. */
  readonly handler: (args: Args) => Effect.Effect<A, E, R>
  /** Decodes the arguments of one call and returns the effect that runs the handler and encodes its result as text for the model. */
  readonly prepare: (
    args: Arguments
  ) => Effect.Effect<Effect.Effect<string, E | InvalidResultError, R>, ParseResult.ParseError, R>
}

/**
 * The error of a handler's result that does not fit its `success` schema or cannot be written as JSON: a bug of the tool.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidResultError extends Schema.TaggedError<InvalidResultError>()("InvalidResultError", {
  tool: Schema.String,
  /** Path and reason, such as `items[2].price: Expected number, actual "?"`. */
  fault: Schema.String
}) {
  override get message(): string {
    return `The result of ${this.tool} cannot be sent to the model. ${this.fault}`
  }
}

/**
 * A tool of any arguments, results, errors and requirements.
 *
 * @since 0.1.0
 * @category model
 */
export type Any = Tool<string, never, unknown, unknown, unknown>

/**
 * The errors of the handlers of tools.
 *
 * @since 0.1.0
 * @category type-level
 */
export type Failure<T extends Any> = T extends Tool<infer _Name, infer _Args, infer _A, infer E, infer _R> ? E : never

/**
 * The requirements of the handlers of tools and of their schemas.
 *
 * @since 0.1.0
 * @category type-level
 */
export type Requirements<T extends Any> =
  T extends Tool<infer _Name, infer _Args, infer _A, infer _E, infer R> ? R : never

/**
 * The parameters of a tool: the fields of a struct, or a schema whose encoded side is an object.
 *
 * @since 0.1.0
 * @category model
 */
export type Parameters = Schema.Struct.Fields | Schema.Schema.All

/**
 * The decoded arguments of a handler.
 *
 * @since 0.1.0
 * @category type-level
 */
export type HandlerArguments<P extends Parameters> = P extends Schema.Schema.All
  ? Schema.Schema.Type<P>
  : P extends Schema.Struct.Fields
    ? Schema.Struct.Type<P>
    : never

/**
 * The requirements of decoding the arguments.
 *
 * @since 0.1.0
 * @category type-level
 */
export type ParametersContext<P extends Parameters> = P extends Schema.Schema.All
  ? Schema.Schema.Context<P>
  : P extends Schema.Struct.Fields
    ? Schema.Struct.Context<P>
    : never

/**
 * The options of `Tool.make`.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<P extends Parameters, A, I, RS, E, R> {
  /** What the tool does and when to call it, for the model. @default none */
  readonly description?: string
  /** The parameters. @default none */
  readonly parameters?: P
  /** Encodes the result. A text is sent to the model unchanged, anything else as JSON. @default `Schema.String` */
  readonly success?: Schema.Schema<A, I, RS>
  /** Asks the provider to enforce the schema exactly. @default the provider's */
  readonly strict?: boolean
  /** The function. Its failures fail the loop or are reported: see `ToolLoop.Options.onFailure`. */
  readonly handler: (args: HandlerArguments<P>) => Effect.Effect<NoInfer<A>, E, R>
}

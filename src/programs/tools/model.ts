/** The contract of a tool. */
import type { ParseResult, Effect } from "effect"
import { Schema } from "effect"
import type { ToolDefinition } from "../../vocabulary/Chat.js"
import type { Arguments } from "../ToolArguments.js"

/**
 * A function that the model may call, and what it does.
 *
 * @since 0.1.0
 * @category model
 */
export interface Tool<out Name extends string, in Args, out A, out E = never, out R = never> {
  readonly name: Name
  /** What the model is told. */
  readonly definition: ToolDefinition
  /** What the tool does, as it was given: call it in a test. */
  readonly handler: (args: Args) => Effect.Effect<A, E, R>
  /**
   * Decodes the arguments of one call and gives the effect that runs the handler and encodes its result as the text that the
   * model reads.
   */
  readonly prepare: (
    args: Arguments
  ) => Effect.Effect<Effect.Effect<string, E | InvalidResultError, R>, ParseResult.ParseError, R>
}

/**
 * A handler gave what cannot be told to the model: its `success` schema refuses it, or it is no JSON. The tool is to be mended.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidResultError extends Schema.TaggedError<InvalidResultError>()("InvalidResultError", {
  tool: Schema.String,
  /** Where and why, such as `items[2].price: Expected number, actual "?"`. */
  fault: Schema.String
}) {
  override get message(): string {
    return `The result of ${this.tool} cannot be told to the model. ${this.fault}`
  }
}

/**
 * Any tool, whatever it takes, gives and needs.
 *
 * @since 0.1.0
 * @category model
 */
export type Any = Tool<string, never, unknown, unknown, unknown>

/**
 * What the handlers of tools may fail with.
 *
 * @since 0.1.0
 * @category type-level
 */
export type Failure<T extends Any> = T extends Tool<infer _Name, infer _Args, infer _A, infer E, infer _R> ? E : never

/**
 * What the handlers of tools, and the schemas of what they take and give, need.
 *
 * @since 0.1.0
 * @category type-level
 */
export type Requirements<T extends Any> =
  T extends Tool<infer _Name, infer _Args, infer _A, infer _E, infer R> ? R : never

/**
 * How parameters are described: as the fields of a struct, or as a schema whose encoded side is an object.
 *
 * @since 0.1.0
 * @category model
 */
export type Parameters = Schema.Struct.Fields | Schema.Schema.All

/**
 * What a handler is given.
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
 * What decoding the arguments needs.
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
 * What the model is told of a tool, and what the tool does.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<P extends Parameters, A, I, RS, E, R> {
  /** What the tool does and when to call it: what the model decides by. @default nothing */
  readonly description?: string
  /** What the tool takes. @default nothing */
  readonly parameters?: P
  /** How its result is encoded. A text is given to the model as it is, anything else as JSON. @default `Schema.String` */
  readonly success?: Schema.Schema<A, I, RS>
  /** Ask the provider to hold the model to the schema exactly. @default the provider's */
  readonly strict?: boolean
  /** What the tool does. Its failures are the loop's: see `ToolLoop.Options.onFailure`. */
  readonly handler: (args: HandlerArguments<P>) => Effect.Effect<NoInfer<A>, E, R>
}

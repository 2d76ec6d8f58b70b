/** The options, events and results of a tool loop. */
import type { Types } from "effect"
import { Schema } from "effect"
import type { ChatResponse, Message, ToolCall, ToolMessage } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import * as Usage from "../../vocabulary/Usage.js"
import type * as Tool from "./model.js"
import type { Arguments } from "./arguments.js"

/**
 * One executed tool call.
 *
 * @since 0.1.0
 * @category model
 */
export interface Execution {
  /** The call as the model wrote it. */
  readonly call: ToolCall
  /** The result that is sent to the model. */
  readonly result: ToolMessage
  /** In milliseconds. */
  readonly duration: number
  /** The arguments that replaced broken ones; absent when the model's arguments were used. */
  readonly repaired?: Arguments
}

/**
 * One answer of the model and its executed calls, in the order of the answer. The continuation of an answer that the provider
 * interrupted (finish reason `pause`) is a round of its own.
 *
 * @since 0.1.0
 * @category model
 */
export interface Round {
  readonly response: ChatResponse
  readonly executions: ReadonlyArray<Execution>
}

/**
 * The result of a loop.
 *
 * @since 0.1.0
 * @category model
 */
export interface Result {
  /** The last answer. Of an answer with pauses, it is the last piece; the earlier ones are in `rounds`. */
  readonly response: ChatResponse
  /** The whole conversation for a next request: the request's messages, every answer, every result. */
  readonly messages: ReadonlyArray<Message>
  /** Calls without a handler. Append a `Chat.toolResult` for each to `messages` before the next request. */
  readonly pending: ReadonlyArray<ToolCall>
  /** The usage of all rounds. */
  readonly usage: Usage.Usage
  readonly rounds: ReadonlyArray<Round>
}

/**
 * The events of a loop. Rounds count from 1. In a round all `Answer` events come first, then `ToolStart` and `ToolEnd` as they
 * happen, then `RoundEnd`. `Finish` is the last event of a loop that succeeds.
 *
 * @since 0.1.0
 * @category model
 */
export type Event =
  | { readonly _tag: "Answer"; readonly round: number; readonly event: ChatEvent }
  | { readonly _tag: "ToolStart"; readonly round: number; readonly call: ToolCall }
  | { readonly _tag: "ToolEnd"; readonly round: number; readonly execution: Execution }
  | { readonly _tag: "RoundEnd"; readonly round: number; readonly done: Round }
  | { readonly _tag: "Finish"; readonly result: Result }

/**
 * What happens when a handler fails: with `fail` the loop fails with the same error; with `report` the model gets the failure as a
 * result marked as an error, and the loop continues.
 *
 * @since 0.1.0
 * @category model
 */
export type OnFailure = "fail" | "report"

/**
 * The tools and limits of a loop.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<Tools extends ReadonlyArray<Tool.Any>, Failing extends OnFailure = "fail"> {
  /** The tools with handlers. They come before the tools of the request. */
  readonly tools: Tools
  /**
   * The maximum number of requests, including those that continue an answer after a pause: on the finish reason `pause`, the
   * conversation is sent again with the answer at its end. @default 8
   */
  readonly maxRounds?: number
  /**
   * Ends the loop after a round whose calls were run, though the model has called tools: with the rounds so far, the last one at the end.
   * The result has the last answer, and `messages` with the results of its calls. @default the loop ends with an answer without a call
   *
   * @since 0.2.0
   */
  readonly stopWhen?: (rounds: ReadonlyArray<Round>) => boolean
  /** The maximum number of concurrent calls of one answer. @default "unbounded" */
  readonly concurrency?: Types.Concurrency
  /**
   * Whether failures of handlers fail the loop or are reported to the model. By default no error is swallowed and none is sent to a
   * provider; report errors that the model can act upon. Defects are never reported. @default "fail"
   */
  readonly onFailure?: Failing
  /**
   * Whether arguments that are not valid JSON are completed as `Tool.previewArguments` does. The completed arguments appear in
   * `Execution.repaired` and, instead of the broken text, in `messages`, and must still decode. Arguments that the token limit cut
   * off are never completed, since their values can be incomplete. @default false
   */
  readonly repair?: boolean
}

/**
 * The errors of a loop with these tools besides `LLMError` and {@link RoundsExceededError}: the errors of the handlers, and
 * `Tool.InvalidResultError` for a result that does not fit its schema.
 *
 * @since 0.1.0
 * @category type-level
 */
export type Failure<Tools extends ReadonlyArray<Tool.Any>, Failing extends OnFailure> = "fail" extends Failing
  ? Tool.Failure<Tools[number]> | Tool.InvalidResultError
  : never

/**
 * The error of a model that still calls tools, or whose answer is still interrupted by a pause, after `maxRounds`. The calls of the
 * last round were run: `messages` can be used for the next request.
 *
 * @since 0.1.0
 * @category errors
 */
export class RoundsExceededError extends Schema.TaggedError<RoundsExceededError>()("RoundsExceededError", {
  maxRounds: Schema.Number,
  messages: Schema.Array(Chat.Message),
  /** The usage of all rounds. */
  usage: Usage.Usage
}) {
  override get message(): string {
    return `The model has not finished after ${this.maxRounds} round(s). Raise maxRounds, or continue with the messages of this error.`
  }
}

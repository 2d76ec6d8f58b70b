/** The options, events and results of a tool loop. */
import type { Types } from "effect"
import { Schema } from "effect"
import type { ChatResponse, Message, ToolCall, ToolMessage } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import * as Usage from "../../vocabulary/Usage.js"
import type * as Tool from "./model.js"
import type { Arguments } from "../ToolArguments.js"

/**
 * One call of one tool, done.
 *
 * @since 0.1.0
 * @category model
 */
export interface Execution {
  /** As the model wrote it. */
  readonly call: ToolCall
  /** What the model is told. */
  readonly result: ToolMessage
  /** In milliseconds. */
  readonly duration: number
  /** The arguments that were used in place of the broken ones; absent where the model's own were. */
  readonly repaired?: Arguments
}

/**
 * One answer of the model, and the calls in it that were run, in the order in which it asked for them.
 *
 * @since 0.1.0
 * @category model
 */
export interface Round {
  readonly response: ChatResponse
  readonly executions: ReadonlyArray<Execution>
}

/**
 * How a loop ended.
 *
 * @since 0.1.0
 * @category model
 */
export interface Result {
  /** The last answer. */
  readonly response: ChatResponse
  /** The whole conversation, to go on with: what was asked, every answer, every result. */
  readonly messages: ReadonlyArray<Message>
  /** Calls that no handler here is for. Put a `Chat.toolResult` for each behind `messages` before you ask again. */
  readonly pending: ReadonlyArray<ToolCall>
  /** Of all rounds together. */
  readonly usage: Usage.Usage
  readonly rounds: ReadonlyArray<Round>
}

/**
 * What happens in the loop; rounds count from 1. Within a round all `Answer`s come first, then the tools start and end as
 * they do, then the round ends. `Finish` is the last event of a loop that succeeds.
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
 * What becomes of a handler that fails: `fail`: the loop fails with the same error; `report`: the model is told of it, as a
 * result marked as an error, and the loop goes on.
 *
 * @since 0.1.0
 * @category model
 */
export type OnFailure = "fail" | "report"

/**
 * Which tools there are, and how far the loop may go.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<Tools extends ReadonlyArray<Tool.Any>, Failing extends OnFailure = "fail"> {
  /** The tools whose handlers are run, told to the model before those of the request. */
  readonly tools: Tools
  /** How often the model is asked at most. @default 8 */
  readonly maxRounds?: number
  /** How many calls of one answer run at the same time. @default "unbounded" */
  readonly concurrency?: Types.Concurrency
  /**
   * Errors are yours by default: none is swallowed, and none is sent to a provider that you did not mean to tell. Report
   * those that the model can act upon. Defects are never reported. @default "fail"
   */
  readonly onFailure?: Failing
  /**
   * Whether arguments that are no JSON are closed by guess (see `ToolArguments.complete`) before they are given up. The
   * guess stands in `Execution.repaired` and, in place of the broken text, in `messages`. It must still decode. Arguments that
   * the token limit cut off are never completed: half a value is not a value. @default false
   */
  readonly repair?: boolean
}

/**
 * What a loop over these tools fails with, beside `LLMError` and {@link RoundsExceededError}: what the handlers fail with, and
 * `Tool.InvalidResultError` where one gives what its tool's schema refuses.
 *
 * @since 0.1.0
 * @category type-level
 */
export type Failure<Tools extends ReadonlyArray<Tool.Any>, Failing extends OnFailure> = "fail" extends Failing
  ? Tool.Failure<Tools[number]> | Tool.InvalidResultError
  : never

/**
 * The model still calls tools after the last round that was allowed. The calls of that round were run: `messages` is the
 * conversation to go on with, if you want to.
 *
 * @since 0.1.0
 * @category errors
 */
export class RoundsExceededError extends Schema.TaggedError<RoundsExceededError>()("RoundsExceededError", {
  maxRounds: Schema.Number,
  messages: Schema.Array(Chat.Message),
  /** Of all rounds together. */
  usage: Usage.Usage
}) {
  override get message(): string {
    return `The model still calls tools after ${this.maxRounds} round(s). Raise maxRounds, or go on with the messages of this error.`
  }
}

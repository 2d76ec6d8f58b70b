/** Counts the tokens of texts and requests, with a tokenizer if there is one, else by estimate. */
import { Context, Effect } from "effect"
import type { ChatRequest, Message } from "../vocabulary/Chat.js"
import * as Usage from "../vocabulary/Usage.js"
import * as RequestTokens from "./request.js"

/**
 * A number of tokens, and whether it is exact.
 *
 * @since 0.1.0
 * @category model
 */
export interface Count {
  readonly tokens: number
  /** False if the model's own tokenizer counted the texts and its provider documents all tokens around them. */
  readonly estimated: boolean
}

/**
 * The input of a count:
 *
 * - a text, without a message around it;
 * - messages, each with the tokens around it (so that the counts of messages add up);
 * - a request: its messages, tools and response format, and the tokens that begin the answer.
 *
 * @since 0.1.0
 * @category model
 */
export type Input = string | ReadonlyArray<Message> | Pick<ChatRequest, "messages" | "tools" | "responseFormat">

/**
 * Counts tokens before a call. It never fails: unknown parts are estimated.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Counts for a model, by its provider's name for it. */
  readonly count: (input: Input, model: string) => Effect.Effect<Count>
}

/**
 * Counts the texts of a model.
 *
 * @since 0.1.0
 * @category model
 */
export interface Tokenizer {
  /** The tokens of a text without a message around it. */
  readonly text: (text: string) => Count
  /** Whether the model is known to use four tokens around a message and three before its answer. @default false */
  readonly knownChatFormat?: boolean
}

const estimator: Tokenizer = { text: (text) => ({ tokens: Usage.estimateTokens(text), estimated: true }) }

/** Whether everything except the texts is counted by documented rules. */
const isDocumented = (input: Input, tokenizer: Tokenizer): boolean => {
  if (typeof input === "string") return true
  const request: RequestTokens.CountedRequest = "messages" in input ? input : { messages: input }
  return (
    tokenizer.knownChatFormat === true &&
    (request.tools ?? []).length === 0 &&
    typeof request.responseFormat !== "object" &&
    request.messages.every(RequestTokens.isText)
  )
}

const countWith = (tokenizer: Tokenizer, input: Input): Count => {
  let estimated = !isDocumented(input, tokenizer)
  const ofText: RequestTokens.CountText = (text) => {
    const counted = tokenizer.text(text)
    estimated ||= counted.estimated
    return counted.tokens
  }
  const tokens =
    typeof input === "string"
      ? ofText(input)
      : "messages" in input
        ? RequestTokens.ofRequest(input, ofText)
        : RequestTokens.ofMessages(input, ofText)
  return { tokens, estimated }
}

/**
 * Makes a counter from tokenizers: `tokenizerOf` returns the tokenizer of a model; without one the count is an estimate.
 *
 * Everything around the texts is counted by the rules of OpenAI's cookbook: four tokens a message, three to begin the answer, and
 * for each tool its names and descriptions with fixed numbers between them. An image counts 85 tokens with the detail `low`, else
 * 85 and 170 for each tile of 512 × 512 pixels (four tiles if its size is unknown); audio ten tokens a second; a document 1,500,
 * because its number of pages is unknown; a text file one token for four bytes. Reasoning counts by its visible text. Only
 * requests that contain nothing but text can be exact.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (tokenizerOf: (model: string) => Tokenizer | undefined): Service => ({
  count: (input, model) => Effect.sync(() => countWith(tokenizerOf(model) ?? estimator, input))
})

/**
 * Estimates every model with `Usage.estimateTokens` (see there for its accuracy).
 *
 * @since 0.1.0
 * @category constructors
 */
export const estimate: Service = make(() => estimator)

/**
 * The counter in use: the estimate, unless a layer provides another.
 *
 * @since 0.1.0
 * @category tags
 */
export class TokenCounter extends Context.Reference<TokenCounter>()("effect-llm/TokenCounter", {
  defaultValue: (): Service => estimate
}) {}

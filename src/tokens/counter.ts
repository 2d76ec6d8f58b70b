/** Counts the tokens of texts and requests, with a tokenizer where there is one, else by estimate. */
import { Context, Effect } from "effect"
import type { ChatRequest, Message } from "../vocabulary/Chat.js"
import * as Usage from "../vocabulary/Usage.js"
import * as RequestTokens from "./request.js"

/**
 * How many tokens, and how sure that is.
 *
 * @since 0.1.0
 * @category model
 */
export interface Count {
  readonly tokens: number
  /** False where the model's own tokenizer counted and its provider has documented all that is around the texts. */
  readonly estimated: boolean
}

/**
 * What can be counted:
 *
 * - a text, as it stands, with no message around it;
 * - messages, each with the marks around it (so that the counts of messages add up);
 * - a request: its messages, tools and response format, and what begins the answer.
 *
 * @since 0.1.0
 * @category model
 */
export type Input = string | ReadonlyArray<Message> | Pick<ChatRequest, "messages" | "tools" | "responseFormat">

/**
 * Counts tokens before a call. It never fails: what it does not know it estimates.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Counts for a model, named in its provider's words. */
  readonly count: (input: Input, model: string) => Effect.Effect<Count>
}

/**
 * How the texts of a model are counted.
 *
 * @since 0.1.0
 * @category model
 */
export interface Tokenizer {
  /** The tokens of a text, as it stands. */
  readonly text: (text: string) => Count
  /** Whether the model is known to put four tokens around a message and three before its answer. @default false */
  readonly knownChatFormat?: boolean
}

const estimator: Tokenizer = { text: (text) => ({ tokens: Usage.estimateTokens(text), estimated: true }) }

/** Whether everything but the texts is counted by documented rules. */
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
 * A counter from tokenizers: `tokenizerOf` names the one of a model, and where it names none, the count is an estimate.
 *
 * Around the texts, everything is counted by the rules of OpenAI's cookbook: four tokens a message, three to begin the answer,
 * and for each tool its names and descriptions with fixed figures between them. An image counts 85 tokens with the detail
 * `low`, else 85 and 170 for each tile of 512 pixels square (four tiles where its size is not known); a sound ten tokens a
 * second; a document 1,500, for how many pages it has is not known; a text file a token for four bytes. Thoughts count as far
 * as their text is shown. Only requests that are nothing but text can come out exact.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (tokenizerOf: (model: string) => Tokenizer | undefined): Service => ({
  count: (input, model) => Effect.sync(() => countWith(tokenizerOf(model) ?? estimator, input))
})

/**
 * The estimate for any model, by `Usage.estimateTokens` (see there for how near it comes).
 *
 * @since 0.1.0
 * @category constructors
 */
export const estimate: Service = make(() => estimator)

/**
 * The counter in use: the estimate, unless a layer says otherwise.
 *
 * @since 0.1.0
 * @category tags
 */
export class TokenCounter extends Context.Reference<TokenCounter>()("effect-llm/TokenCounter", {
  defaultValue: (): Service => estimate
}) {}

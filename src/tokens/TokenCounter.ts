/**
 * Counts the tokens of a request before it is sent.
 *
 * By default, every model is counted by an estimate from the text alone. A layer provides a tokenizer instead, such as
 * `GptTokenizer.layer()` of `effect-llm/tokenizer`, which is exact for OpenAI's models. Each count says whether it is an
 * estimate.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Chat, TokenCounter } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const question = { messages: [Chat.system("Answer in one word."), Chat.user("法国的首都是哪里？")] }
 *   const { tokens, estimated } = yield* TokenCounter.count(question, "gpt-4o")
 *   return `${estimated ? "about " : ""}${tokens} tokens`
 * })
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import type { Count, Input, Tokenizer } from "./counter.js"
import { TokenCounter, estimate, make } from "./counter.js"

export type { Count, Input, Service, Tokenizer } from "./counter.js"
export { TokenCounter, estimate, make } from "./counter.js"

/**
 * A counter with tokenizers; models without one are estimated.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (tokenizerOf: (model: string) => Tokenizer | undefined): Layer.Layer<TokenCounter> =>
  Layer.succeed(TokenCounter, make(tokenizerOf))

/**
 * The estimate, for use below a layer that provides a tokenizer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerEstimate: Layer.Layer<TokenCounter> = Layer.succeed(TokenCounter, estimate)

/**
 * Counts with the counter in context.
 *
 * @since 0.1.0
 * @category accessors
 */
export const count = (input: Input, model: string): Effect.Effect<Count> =>
  Effect.flatMap(TokenCounter, (counter) => counter.count(input, model))

/**
 * A `Tokenizer` of `@effect/ai` for the model of any `LLM`. It counts with the `TokenCounter` in context: by estimate, or exactly for
 * OpenAI's models with `GptTokenizer.layer()` of `effect-llm/tokenizer`.
 *
 * @example
 * ```ts
 * import { Tokenizer } from "@effect/ai"
 * import { Effect } from "effect"
 * import { LLMTokenizer } from "effect-llm/ai"
 *
 * const program = Effect.flatMap(Tokenizer.Tokenizer, (tokenizer) => tokenizer.truncate("A long text", 8_000))
 *
 * const runnable = program.pipe(Effect.provide(LLMTokenizer.layer))
 * ```
 *
 * @since 0.2.0
 */
import * as Tokenizer from "@effect/ai/Tokenizer"
import { Array, Effect, Layer } from "effect"
import { LLM } from "../call/model.js"
import { TokenCounter } from "../tokens/counter.js"
import { messagesOf } from "./prompt.js"

/**
 * Makes a tokenizer for the model of the `LLM` in context. Providers do not publish their vocabularies, so `tokenize` returns the
 * positions of the tokens, `[0, 1, …]`: their number is the count of the request, and `truncate` keeps the last messages that fit.
 *
 * @since 0.2.0
 * @category constructors
 */
export const make: Effect.Effect<Tokenizer.Service, never, LLM> = Effect.map(
  Effect.all([LLM, TokenCounter]),
  ([{ info }, counter]) =>
    Tokenizer.make({
      tokenize: (prompt) =>
        prompt.content.length === 0
          ? Effect.succeed([])
          : Effect.map(counter.count({ messages: messagesOf(prompt, () => undefined) }, info.model), ({ tokens }) =>
              tokens === 0 ? [] : Array.range(0, tokens - 1)
            )
    })
)

/**
 * A layer with {@link make}.
 *
 * @since 0.2.0
 * @category layers
 */
export const layer: Layer.Layer<Tokenizer.Tokenizer, never, LLM> = Layer.effect(Tokenizer.Tokenizer, make)

/**
 * Refuses a request that cannot fit into the model's context window, before anybody is asked: a `ContextLengthError` without
 * the wait, the price and the key.
 *
 * The request is counted by the `TokenCounter` of the layer: the estimate, unless there is a tokenizer. It is refused only
 * where it surely cannot fit; what is uncertain is sent, and the provider decides. Put it inside of a `Fallback`, on each
 * member, so that a request that is too long for one model goes to the next.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { ContextWindow, LLM } from "effect-llm"
 * import { GptTokenizer } from "effect-llm/tokenizer"
 *
 * const OpenAI = LLM.layer({ model: "gpt-4o", contextWindow: 128_000 }).pipe(
 *   LLM.withMiddleware(ContextWindow.check()),
 *   Layer.provide(GptTokenizer.layer())
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Either, Option } from "effect"
import * as Checks from "../internal/optionChecks.js"
import type { Count } from "../tokens/counter.js"
import { TokenCounter } from "../tokens/counter.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import { ContextLengthError } from "../vocabulary/LLMError.js"
import type { Options } from "./contextFit.js"
import * as ContextFit from "./contextFit.js"
import type { Middleware, ModelInfo, Service } from "./model.js"
import { fromStream, toStream } from "./openStream.js"
import { normalize } from "./request.js"

export type { Options } from "./contextFit.js"

const approximately = ({ estimated, tokens }: Count): string =>
  `${estimated ? "about " : ""}${tokens.toLocaleString("en-US")} tokens`

const refusal = (info: ModelInfo, { answer, counted }: ContextFit.Excess, window: number): ContextLengthError =>
  new ContextLengthError({
    provider: info.provider,
    model: info.model,
    attempts: [],
    message:
      `The texts of the request have ${approximately(counted)}${answer === 0 ? "" : `, its answer may have ${answer.toLocaleString("en-US")} more`},` +
      ` and the context window of ${info.model} holds ${window.toLocaleString("en-US")}. It was not sent.` +
      " Shorten it (a `Conversation` with a budget does), or ask a model with a larger window."
  })

/**
 * The middleware.
 *
 * It judges the texts of a request, those of its tools included, together with its `maxTokens` or the `reserve`. What only the
 * provider can count is left out: images, sounds, files, the thoughts of earlier turns and the marks around messages. A
 * request that names another model than the `LLM`'s own is passed on. It is judged as it comes to this layer: `defaults` of the
 * `LLM` are added further in.
 *
 * @since 0.1.0
 * @category constructors
 */
export const check = (options: Options = {}): Middleware => {
  Checks.valid("ContextWindow", (checks) => {
    const { contextWindow = 1 } = options
    checks.number("contextWindow", contextWindow, contextWindow > 0, "a positive number")
    ContextFit.check(checks, options, "")
  })
  return (next) =>
    Effect.map(TokenCounter, (counter): Service => {
      const { info } = next
      const window = options.contextWindow ?? info.contextWindow

      const judge = (request: ChatRequest): Effect.Effect<void, ContextLengthError> =>
        Effect.flatMap(
          ContextFit.excess(counter, request, info.model, window, options),
          Option.match({
            onNone: () => Effect.void,
            onSome: (excess) => Effect.fail(refusal(info, excess, window))
          })
        )

      const fits = (input: ChatRequest.Input): Effect.Effect<void, ContextLengthError> =>
        Effect.suspend(() =>
          Either.match(normalize(input), {
            // Whoever sends it will say what is wrong with it.
            onLeft: () => Effect.void,
            onRight: (request) =>
              request.model === undefined || request.model === info.model ? judge(request) : Effect.void
          })
        )

      return {
        ...next,
        chat: (request) => Effect.zipRight(fits(request), next.chat(request)),
        chatStream: (request) => toStream(Effect.zipRight(fits(request), fromStream(next.chatStream(request))))
      }
    })
}

/**
 * Rejects a request that cannot fit into the model's context window with a `ContextLengthError`, before it is sent and before a
 * key is taken.
 *
 * The `TokenCounter` of the layer counts the request: an estimate, unless there is a tokenizer. A request is rejected only
 * when it is certain not to fit; otherwise it is sent and the provider decides. Put it inside a `Fallback`, on each
 * member, so that a request that is too long for one model goes to the next.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { ContextWindow, LLM } from "effect-llm"
 * import { GptTokenizer } from "effect-llm/tokenizer"
 *
 * const OpenAI = LLM.layer({ model: "gpt-4o", contextWindow: 128_000 }).pipe(
 *   LLM.withMiddleware(ContextWindow.middleware()),
 *   Layer.provide(GptTokenizer.layer())
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Either, Option } from "effect"
import * as OptionChecks from "../internal/optionChecks.js"
import type { Count } from "../tokens/counter.js"
import { TokenCounter } from "../tokens/counter.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import { ContextLengthError } from "../vocabulary/LLMError.js"
import type { Options } from "./contextFit.js"
import * as ContextFit from "./contextFit.js"
import type { Middleware, ModelInfo, Service } from "./model.js"
import { openChat, toChatStream } from "./openStream.js"
import { normalize } from "./request.js"
import { wrap } from "./wrap.js"

export type { Options } from "./contextFit.js"

const approximately = ({ estimated, tokens }: Count): string =>
  `${estimated ? "about " : ""}${tokens.toLocaleString("en-US")} tokens`

const contextLengthError = (
  info: ModelInfo,
  { answer, counted }: ContextFit.Excess,
  window: number
): ContextLengthError =>
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
 * The middleware that rejects requests which cannot fit.
 *
 * It counts the texts of a request, including those of its tools, and adds `maxTokens` or the `reserve`. It leaves out what only
 * the provider can count: images, audio, files, the reasoning of earlier turns and the tokens around messages. A
 * request for another model than the `LLM`'s own is not checked. The `defaults` of the `LLM` are not counted: they are added
 * further in.
 *
 * @throws TypeError when an option is invalid
 * @since 0.2.0
 * @category middlewares
 */
export const middleware = (options: Options = {}): Middleware => {
  OptionChecks.valid("ContextWindow", (checks) => {
    const { contextWindow = 1 } = options
    checks.number("contextWindow", contextWindow, contextWindow > 0, "a positive number")
    ContextFit.check(checks, options, "")
  })
  return (next) =>
    Effect.map(TokenCounter, (counter): Service => {
      const { info } = next
      const window = options.contextWindow ?? info.contextWindow

      const checkFit = (request: ChatRequest): Effect.Effect<void, ContextLengthError> =>
        Effect.flatMap(
          ContextFit.excess(counter, request, info.model, window, options),
          Option.match({
            onNone: () => Effect.void,
            onSome: (excess) => Effect.fail(contextLengthError(info, excess, window))
          })
        )

      const checkInput = (input: ChatRequest.Input): Effect.Effect<void, ContextLengthError> =>
        Effect.suspend(() =>
          Either.match(normalize(input), {
            // The LLM reports an invalid request.
            onLeft: () => Effect.void,
            onRight: (request) =>
              request.model === undefined || request.model === info.model ? checkFit(request) : Effect.void
          })
        )

      return wrap(next, {
        chat: (request) => Effect.zipRight(checkInput(request), next.chat(request)),
        chatStream: toChatStream(
          (request) => (finalizers) => Effect.zipRight(checkInput(request), openChat(next, request)(finalizers))
        )
      })
    })
}

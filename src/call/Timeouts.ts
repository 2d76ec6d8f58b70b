/**
 * Time limits: for the whole call, for a whole answer, to the first event of a stream, and between its events.
 *
 * Put `response`, `firstEvent` and `idle` inside a `Retry` to limit each attempt, and `total` outside of it to limit all
 * together. When a limit expires, the request is aborted and its key released before the call fails.
 *
 * @example
 * ```ts
 * import { LLM, Timeouts } from "effect-llm"
 *
 * const quick = LLM.layer({ model: "gpt-4o", timeouts: false }).pipe(
 *   LLM.withMiddleware(Timeouts.middleware({ total: "20 seconds", idle: "5 seconds" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Options } from "./deadline.js"
import { limitsFor, millisOf } from "./deadline.js"
import type { Middleware } from "./model.js"
import { openChat, toChatStream } from "./openStream.js"
import * as TimeLimits from "./timeLimits.js"
import { wrap } from "./wrap.js"

export type { Options } from "./deadline.js"

/**
 * The limits that an `LLM` layer uses by default: wide enough for models that reason for minutes without an event. Set shorter
 * ones for other models.
 *
 * @since 0.1.0
 * @category model
 */
export const defaults: Required<Options> = {
  total: "15 minutes",
  response: "10 minutes",
  firstEvent: "5 minutes",
  idle: "2 minutes",
  modelLoad: "5 minutes"
}

/**
 * The middleware that ends calls at their limits. Without any limit it returns the `LLM` itself.
 *
 * A call that exceeds a limit fails with `TimeoutError`, whose `phase` names the limit and whose `partial` has the answer so far of a stream.
 *
 * @example
 * ```ts
 * import { LLM, Timeouts } from "effect-llm"
 *
 * const Limited = LLM.layerConfig().pipe(
 *   LLM.withMiddleware(Timeouts.middleware({ total: "30 seconds", idle: "10 seconds" }))
 * )
 * ```
 *
 * @throws TypeError when a limit is not a positive duration
 * @since 0.2.0
 * @category middlewares
 */
export const middleware = (options: Options): Middleware => {
  const limits = millisOf(options)
  if (TimeLimits.isUnlimited(limits)) return Effect.succeed
  return (next) => {
    const { limitStream, limitWhole } = TimeLimits.make(next.info, limitsFor(limits, next.info.wire))
    return Effect.succeed(
      wrap(next, {
        around: limitWhole,
        chatStream: toChatStream((request) => limitStream(openChat(next, request)))
      })
    )
  }
}

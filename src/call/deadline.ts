/** The time limits of a call, and the middleware that only sets its deadline. */
import { type Duration, Effect } from "effect"
import { clockOf, wholeNow } from "../internal/clock.js"
import * as OptionChecks from "../internal/optionChecks.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { narrow } from "./limits.js"
import type { Middleware, Service } from "./model.js"
import { startOf } from "./origin.js"
import { fromStream, toStream } from "./openStream.js"

/**
 * The limits. An absent one is off.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /**
   * From the start of the call to its end, including everything below this middleware. Nothing below sleeps past it: a call that
   * would have to wait longer fails at once, with the error that it would have waited for.
   * @default no limit
   */
  readonly total?: Duration.DurationInput
  /** From the request to the complete answer, when it is not streamed. @default no limit */
  readonly response?: Duration.DurationInput
  /** From the request to the first event of a stream. @default no limit */
  readonly firstEvent?: Duration.DurationInput
  /** Between two events of a stream. Keep-alive comments are not events. The time of the consumer does not count. @default no limit */
  readonly idle?: Duration.DurationInput
  /**
   * Added to `response` and `firstEvent` of a server that loads a model when the first request for it comes (Ollama).
   * @default 0; "5 minutes" for an `LLM` that sets neither of them
   *
   * @since 0.2.0
   */
  readonly modelLoad?: Duration.DurationInput
}

const limits = ["total", "response", "firstEvent", "idle"] as const

type Millis = Readonly<Record<(typeof limits)[number], number>>

/** The limits for the server of a protocol. Ollama's loads a model first, and unloads it when it is idle ("How do I keep a model loaded"). */
export const limitsFor = ({ modelLoad, ...limits }: Millis & { readonly modelLoad: number }, wire: string): Millis =>
  wire === "ollama"
    ? { ...limits, response: limits.response + modelLoad, firstEvent: limits.firstEvent + modelLoad }
    : limits

/** The limits in milliseconds; infinite when absent. */
export const millisOf = (options: Options): Millis & { readonly modelLoad: number } =>
  OptionChecks.valid("Timeouts", ({ millis }) => {
    const result = {
      total: Infinity,
      response: Infinity,
      firstEvent: Infinity,
      idle: Infinity,
      modelLoad: millis("modelLoad", options.modelLoad ?? 0, OptionChecks.anyLength)
    }
    for (const limit of limits) {
      const option = options[limit]
      if (option !== undefined) result[limit] = millis(limit, option, OptionChecks.positive)
    }
    return result
  })

/**
 * Sets the deadline of a whole call for middlewares below that enforce it, as those of `Timeouts` do. It needs no timer
 * of its own.
 */
export const withDeadline = (total: Duration.DurationInput): Middleware => {
  const { total: millis } = millisOf({ total })
  return (next) => {
    const bounded = <A, R>(effect: Effect.Effect<A, LLMError, R>): Effect.Effect<A, LLMError, R> =>
      Effect.withFiberRuntime((fiber) => {
        const monotonicStart = startOf(fiber.currentContext, next.info, wholeNow(clockOf(fiber)))
        return narrow(effect, { deadline: monotonicStart + millis })
      })
    return Effect.succeed<Service>({
      ...next,
      chat: (request) => bounded(next.chat(request)),
      embed: (request) => bounded(next.embed(request)),
      listModels: bounded(next.listModels),
      chatStream: (request) => toStream((finalizers) => bounded(fromStream(next.chatStream(request))(finalizers)))
    })
  }
}

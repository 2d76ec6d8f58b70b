/** Whether a request can fit into a context window, as far as that can be known before it is sent. */
import { Effect, Option } from "effect"
import type { Checks } from "../internal/optionChecks.js"
import { isShare } from "../internal/optionChecks.js"
import type { Count, Service } from "../tokens/counter.js"
import * as RequestTokens from "../tokens/request.js"
import type { ChatRequest } from "../vocabulary/Chat.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The most tokens that a request and its answer may have together. @default the `contextWindow` of the `LLM` */
  readonly contextWindow?: number
  /** Tokens to keep free for the answer where the request sets no `maxTokens`. @default 0 */
  readonly reserve?: number
  /**
   * By which part of itself an estimate may be too high: it is lowered by as much before it is judged. Between 0 and 1.
   * @default 0.4
   */
  readonly tolerance?: number
}

export type FitOptions = Pick<Options, "reserve" | "tolerance">

export const check = ({ number }: Checks, { reserve = 0, tolerance = 0.4 }: FitOptions, path: string): void => {
  number(`${path}reserve`, reserve, reserve >= 0, "a number of at least 0")
  number(`${path}tolerance`, tolerance, isShare(tolerance), "a number from 0 to 1")
}

/** What does not fit. */
export interface Excess {
  readonly counted: Count
  /** Tokens that are kept free for the answer. */
  readonly answer: number
}

/** What a request needs at the least, in tokens, if the count is too high by the tolerance. */
const atLeast = ({ estimated, tokens }: Count, tolerance: number): number =>
  estimated ? Math.floor(tokens * (1 - tolerance)) : tokens

/** No token is shorter than a byte, and a UTF-16 unit has three bytes at the most. */
const bytesPerUnit = 3

/** The most tokens that the texts of a request and its answer may have, known without counting them. */
export const bound = (request: ChatRequest, reserve: number): number => {
  let units = 0
  for (const text of RequestTokens.textsOf(request)) units += text.length
  return units * bytesPerUnit + (request.maxTokens ?? reserve)
}

/** `None` where the request may fit: only what surely does not is counted as too long. */
export const excess = (
  counter: Service,
  request: ChatRequest,
  model: string,
  window: number,
  options: FitOptions
): Effect.Effect<Option.Option<Excess>> => {
  const { reserve = 0, tolerance = 0.4 } = options
  if (bound(request, reserve) <= window) return Effect.succeedNone
  const answer = request.maxTokens ?? reserve
  return Effect.map(counter.count(RequestTokens.textsOf(request).join(""), model), (counted) =>
    atLeast(counted, tolerance) + answer <= window ? Option.none() : Option.some({ counted, answer })
  )
}

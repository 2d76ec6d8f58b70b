/** Checks whether a request can fit into a context window, before it is sent. */
import { Effect, Option } from "effect"
import type { Checks } from "../internal/optionChecks.js"
import { isShare } from "../internal/optionChecks.js"
import type { Count, Service } from "../tokens/counter.js"
import * as RequestTokens from "../tokens/request.js"
import type { ChatRequest } from "../vocabulary/Chat.js"

/**
 * Options of the check.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The maximum tokens of a request and its answer together. @default the `contextWindow` of the `LLM` */
  readonly contextWindow?: number
  /** Tokens to keep free for the answer when the request sets no `maxTokens`. @default 0 */
  readonly reserve?: number
  /**
   * The share, from 0 to 1, by which an estimate can be too high. Estimated counts are lowered by it before they are compared.
   * @default 0.4
   */
  readonly tolerance?: number
}

export type FitOptions = Pick<Options, "reserve" | "tolerance">

export const check = ({ number }: Checks, { reserve = 0, tolerance = 0.4 }: FitOptions, path: string): void => {
  number(`${path}reserve`, reserve, reserve >= 0, "a number of at least 0")
  number(`${path}tolerance`, tolerance, isShare(tolerance), "a number from 0 to 1")
}

/** The count of a request that does not fit. */
export interface Excess {
  readonly counted: Count
  /** Tokens kept free for the answer. */
  readonly answer: number
}

/** The minimum tokens of a request: an estimate less the tolerance. */
const atLeast = ({ estimated, tokens }: Count, tolerance: number): number =>
  estimated ? Math.floor(tokens * (1 - tolerance)) : tokens

/** A token has at least one byte, and a UTF-16 unit at most three bytes. */
const bytesPerUnit = 3

/** An upper bound of the tokens of a request and its answer, without counting. */
export const bound = (request: ChatRequest, reserve: number): number => {
  let units = 0
  for (const text of RequestTokens.textsOf(request)) units += text.length
  return units * bytesPerUnit + (request.maxTokens ?? reserve)
}

/** Counts a request. `None` when it can fit. */
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

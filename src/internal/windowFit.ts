/** Whether a request surely cannot fit into a context window. What is uncertain fits, and the provider decides. */
import { Effect } from "effect"
import type { ChatRequest } from "../Chat.js"
import type { Count, Service as Counter } from "../TokenCounter.js"
import * as RequestTokens from "./requestTokens.js"

export interface Window {
  readonly model: string
  /** The most tokens that a request and its answer may have together. */
  readonly size: number
  /** Tokens to keep free for the answer where the request sets no `maxTokens`. */
  readonly reserve: number
  /** By which part of itself an estimate may be too high. */
  readonly tolerance: number
}

/** What is too long: the texts as they were counted, and what their answer may have. */
export interface Excess {
  readonly counted: Count
  readonly answer: number
}

/** No token is shorter than a byte, and a UTF-16 unit has three bytes at the most. */
const bytesPerUnit = 3

/** What a request needs at the least, in tokens, if the count is too high by the tolerance. */
const atLeast = ({ estimated, tokens }: Count, tolerance: number): number =>
  estimated ? Math.floor(tokens * (1 - tolerance)) : tokens

/** The most tokens that the texts of a request and its answer may have, without counting. */
export const bound = (request: ChatRequest, reserve: number): number => {
  let units = 0
  for (const text of RequestTokens.textsOf(request)) units += text.length
  return units * bytesPerUnit + (request.maxTokens ?? reserve)
}

/** By what the request is too long for the window; undefined where it may fit. */
export const excess = (
  request: ChatRequest,
  { model, reserve, size, tolerance }: Window,
  counter: Counter
): Effect.Effect<Excess | undefined> =>
  Effect.suspend(() => {
    if (bound(request, reserve) <= size) return Effect.succeed(undefined)
    const answer = request.maxTokens ?? reserve
    return Effect.map(counter.count(RequestTokens.textsOf(request).join(""), model), (counted) =>
      atLeast(counted, tolerance) + answer <= size ? undefined : { counted, answer }
    )
  })

/** Counts the tokens of texts and requests, with a tokenizer if there is one, else by estimate. */
import { Context, Effect } from "effect"
import type { ChatRequest, Message } from "../vocabulary/Chat.js"
import * as Usage from "../vocabulary/Usage.js"
import * as RequestTokens from "./request.js"

/**
 * A number of tokens, and whether it is exact.
 *
 * @since 0.1.0
 * @category model
 */
export interface Count {
  readonly tokens: number
  /** False if the model's own tokenizer counted the texts and its provider documents all tokens around them. */
  readonly estimated: boolean
}

/**
 * The input of a count:
 *
 * - a text, without a message around it;
 * - messages, each with the tokens around it (so that the counts of messages add up);
 * - a request: its messages, tools and response format, and the tokens that begin the answer.
 *
 * @since 0.1.0
 * @category model
 */
export type Input = string | ReadonlyArray<Message> | Pick<ChatRequest, "messages" | "tools" | "responseFormat">

/**
 * Counts tokens before a call. It never fails: unknown parts are estimated.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Counts for a model, by its provider's name for it. */
  readonly count: (input: Input, model: string) => Effect.Effect<Count>
}

/**
 * Counts the texts of a model.
 *
 * @since 0.1.0
 * @category model
 */
export interface Tokenizer {
  /** The tokens of a text without a message around it. */
  readonly text: (text: string) => Count
  /** Whether the model is known to use four tokens around a message and three before its answer. @default false */
  readonly knownChatFormat?: boolean
}

/** Whether everything except the texts is counted by documented rules. */
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

const countWith = (text: RequestTokens.CountText, input: Input): number => {
  if (typeof input === "string") return text(input)
  return "messages" in input ? RequestTokens.ofRequest(input, text) : RequestTokens.ofMessages(input, text)
}

const estimateInput = (input: Input): Count => ({
  tokens: countWith(RequestTokens.bounded(Usage.estimateTokens), input),
  estimated: true
})

/** The UTF-16 units that a tokenizer counts in one turn of the event loop. */
const unitsPerTurn = 65_536

/** Lets the event loop handle other events. */
const nextTurn = Effect.async<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 0)
  return Effect.sync(() => clearTimeout(timer))
})

/** How far a boundary is searched before the end of a slice, in UTF-16 units. */
const searched = 4096

const isAsciiLetter = (unit: number): boolean => ((unit | 0x20) - 0x61) >>> 0 < 26

const startsWithLetter = /^\p{L}/u

/** Whether every tokenizer begins a token here: at a space between two letters, and at a letter after a line. */
const isBoundary = (text: string, at: number): boolean => {
  const before = text.charCodeAt(at - 1)
  return text.charCodeAt(at) === 0x20
    ? isAsciiLetter(before) && isAsciiLetter(text.charCodeAt(at + 1))
    : before === 0x0a && startsWithLetter.test(text.slice(at, at + 2))
}

/** The last boundary in the slice that starts here; undefined when there is none near its end. */
const lastBoundary = (text: string, start: number): number | undefined => {
  const end = start + unitsPerTurn
  for (let at = end; at > end - searched; at--) if (isBoundary(text, at)) return at
  return undefined
}

const isFirstHalf = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff

/** A text in slices of one turn. `isCut`: one of them ends where a token cannot. */
const slicesOf = (text: string): { readonly slices: ReadonlyArray<string>; readonly isCut: boolean } => {
  const slices: Array<string> = []
  let isCut = false
  let from = 0
  while (text.length - from > unitsPerTurn) {
    const boundary = lastBoundary(text, from)
    isCut ||= boundary === undefined
    const end = from + unitsPerTurn
    const to = boundary ?? (isFirstHalf(text.charCodeAt(end - 1)) ? end - 1 : end)
    slices.push(text.slice(from, to))
    from = to
  }
  slices.push(text.slice(from))
  return { slices, isCut }
}

/** Counts with a tokenizer, with pauses for other events. */
const tokenize = (tokenizer: Tokenizer, input: Input): Effect.Effect<Count> =>
  Effect.suspend(() => {
    const slices: Array<string> = []
    let estimated = !isDocumented(input, tokenizer)
    let tokens = countWith((text) => {
      const sliced = slicesOf(text)
      estimated ||= sliced.isCut
      for (const slice of sliced.slices) slices.push(slice)
      return 0
    }, input)
    let next = 0
    const countTurn = (): Effect.Effect<Count> => {
      for (let units = 0; next < slices.length; next++) {
        const slice = slices[next] ?? ""
        if (units > 0 && units + slice.length > unitsPerTurn) return Effect.flatMap(nextTurn, countTurn)
        const counted = tokenizer.text(slice)
        units += slice.length
        tokens += counted.tokens
        estimated ||= counted.estimated
      }
      return Effect.succeed({ tokens, estimated })
    }
    return countTurn()
  })

/**
 * Makes a counter from tokenizers: `tokenizerOf` returns the tokenizer of a model; without one the count is an estimate.
 *
 * Everything around the texts is counted by the rules of OpenAI's cookbook: four tokens a message, three to begin the answer, and
 * for each tool its names and descriptions with fixed numbers between them. An image counts 85 tokens with the detail `low`, else
 * 85 and 170 for each tile of 512 × 512 pixels (four tiles if its size is unknown). Audio counts ten tokens a second; a document 1,500,
 * because its number of pages is unknown; a text file one token for four bytes. Reasoning counts by its visible text. Only
 * requests that contain nothing but text can be exact.
 *
 * The time without a pause is bounded: a tokenizer counts some 65,000 characters in one turn of the event loop, and an estimate counts the
 * texts beyond some 262,000 characters by their length. A longer text without a space between letters or a line break is cut, and its
 * count is an estimate.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (tokenizerOf: (model: string) => Tokenizer | undefined): Service => ({
  count: (input, model) =>
    Effect.suspend(() => {
      const tokenizer = tokenizerOf(model)
      return tokenizer === undefined ? Effect.sync(() => estimateInput(input)) : tokenize(tokenizer, input)
    })
})

/**
 * Estimates every model with `Usage.estimateTokens` (see there for its accuracy).
 *
 * @since 0.1.0
 * @category constructors
 */
export const estimate: Service = make(() => undefined)

/**
 * The counter in use: the estimate, unless a layer provides another.
 *
 * @since 0.1.0
 * @category tags
 */
export class TokenCounter extends Context.Reference<TokenCounter>()("effect-llm/TokenCounter", {
  defaultValue: (): Service => estimate
}) {}

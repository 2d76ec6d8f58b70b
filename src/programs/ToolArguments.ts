/**
 * The arguments of a tool call as values: parsed when the call is complete, or closed by guess while it still streams.
 *
 * Nothing in this library repairs arguments by itself: a `ToolCall` holds what the model wrote.
 *
 * @example
 * ```ts
 * import { ToolArguments } from "effect-llm"
 *
 * ToolArguments.complete('{"city":"Par') // { city: "Par" }
 * ```
 *
 * @since 0.1.0
 */
import { Either, Schema } from "effect"
import type { ToolCall } from "../vocabulary/Chat.js"
import { isRecord, parseJson } from "../wire/json.js"

/**
 * Arguments that are no JSON object, as happens where an answer hit its token limit.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidArgumentsError extends Schema.TaggedError<InvalidArgumentsError>()("InvalidArgumentsError", {
  tool: Schema.String,
  /** What the model wrote. */
  arguments: Schema.String
}) {
  override get message(): string {
    return `The arguments of ${this.tool} are no JSON object: ${this.arguments.slice(0, 200)}`
  }
}

/**
 * Arguments that were parsed, and not decoded yet.
 *
 * @since 0.1.0
 * @category model
 */
export type Arguments = Readonly<Record<string, unknown>>

const asObject = (text: string): Arguments | undefined => {
  const value = parseJson(text)
  return isRecord(value) ? value : undefined
}

/**
 * The arguments of a complete call.
 *
 * @since 0.1.0
 * @category decoding
 */
export const parse = (call: ToolCall): Either.Either<Arguments, InvalidArgumentsError> => {
  const value = asObject(call.arguments === "" ? "{}" : call.arguments)
  return value === undefined
    ? Either.left(new InvalidArgumentsError({ tool: call.name, arguments: call.arguments }))
    : Either.right(value)
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** An escape that lost its end, and so cannot be closed: a backslash alone, or `\\u` with fewer than four digits. */
const halfEscape = /(?<!\\)((?:\\\\)*)\\(?:u[\da-f]{0,3})?$/i

/** A text as far as its last complete value, or the beginning of a text value that is cut off, with what is open closed. */
const closed = (text: string): string => {
  /** What closes the open brackets, the outermost last. */
  let closers = ""
  /** Inside of an object, whether a name is next rather than a value. */
  let nameNext = false
  let safe = ""
  let at = 0
  const keep = (): void => {
    safe = text.slice(0, at) + closers
  }
  while (at < text.length) {
    const character = text[at] ?? ""
    if (character === '"') {
      const end = /^"(?:[^"\\]|\\.)*"/s.exec(text.slice(at))?.[0]
      if (end === undefined) {
        const rest = text.slice(at).replace(halfEscape, "$1")
        return nameNext ? safe : `${text.slice(0, at)}${rest}"${closers}`
      }
      at += end.length
      if (!nameNext) keep()
    } else if (character === "{" || character === "[") {
      at++
      closers = (character === "{" ? "}" : "]") + closers
      nameNext = character === "{"
      keep()
    } else if (character === "}" || character === "]") {
      at++
      closers = closers.slice(1)
      keep()
    } else if (character === ":" || character === ",") {
      at++
      nameNext = character === "," && closers.startsWith("}")
    } else {
      const word = /^(?:[-+.\w]+|\s+|.)/s.exec(text.slice(at))?.[0] ?? character
      at += word.length
      if (isJson(word)) keep()
    }
  }
  return safe
}

/** Some models double the outer brace. */
const candidates = (text: string): ReadonlyArray<string> => [
  text,
  text.replace(/^\s*\{(?=\s*\{)/, ""),
  text.replace(/\}(?=\s*\}\s*$)/, ""),
  text.replace(/^\s*\{(?=\s*\{)/, "").replace(/\}(?=\s*\}\s*$)/, "")
]

/**
 * The arguments as far as they have come, for a preview while they stream: what is open is closed, and what is half is left
 * out. Undefined where that gives no JSON object.
 *
 * @since 0.1.0
 * @category decoding
 */
export const complete = (text: string): Arguments | undefined => {
  const trimmed = text.trim()
  if (trimmed === "") return {}
  for (const candidate of candidates(trimmed)) {
    const value = asObject(candidate)
    if (value !== undefined) return value
  }
  for (const candidate of candidates(trimmed)) {
    const value = asObject(closed(candidate))
    if (value !== undefined) return value
  }
  return undefined
}

/** Parses the arguments of tool calls, complete or while they stream. */
import { Either, Schema } from "effect"
import type { ToolCall } from "../../vocabulary/Chat.js"
import { isRecord, parseJson } from "../../wire/json.js"

/**
 * The error of arguments that are not a JSON object, for example because the answer hit its token limit.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidArgumentsError extends Schema.TaggedError<InvalidArgumentsError>()("InvalidArgumentsError", {
  tool: Schema.String,
  /** The text that the model wrote. */
  arguments: Schema.String
}) {
  override get message(): string {
    return `The arguments of ${this.tool} are not a JSON object: ${this.arguments.slice(0, 200)}`
  }
}

/**
 * Parsed arguments, not decoded with a schema.
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
 * Parses the arguments of a complete call. They are not repaired: a `ToolCall` contains what the model wrote.
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

/** An incomplete escape at the end of a text: a backslash alone, or `\\u` with fewer than four digits. */
const halfEscape = /(?<!\\)((?:\\\\)*)\\(?:u[\da-f]{0,3})?$/i

/**
 * Cuts a text after its last complete value, or in the text value that is cut off, and closes what is open. While a text still grows, a
 * number at its end is not complete.
 */
const closeJson = (text: string, grows: boolean): string => {
  /** The brackets that close the open ones, the outermost last. */
  let closers = ""
  /** Whether the next text is a property name and not a value. */
  let nameNext = false
  let safe = ""
  let at = 0
  const markSafe = (): void => {
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
      if (!nameNext) markSafe()
    } else if (character === "{" || character === "[") {
      at++
      closers = (character === "{" ? "}" : "]") + closers
      nameNext = character === "{"
      markSafe()
    } else if (character === "}" || character === "]") {
      at++
      closers = closers.slice(1)
      markSafe()
    } else if (character === ":" || character === ",") {
      at++
      nameNext = character === "," && closers.startsWith("}")
    } else {
      const word = /^(?:[-+.\w]+|\s+|.)/s.exec(text.slice(at))?.[0] ?? character
      at += word.length
      if (isJson(word) && !(grows && at === text.length && /\d$/.test(word))) markSafe()
    }
  }
  return safe
}

/** The text, also without an outer brace that some models write twice. */
const candidates = (text: string): ReadonlyArray<string> => [
  text,
  text.replace(/^\s*\{(?=\s*\{)/, ""),
  text.replace(/\}(?=\s*\}\s*$)/, ""),
  text.replace(/^\s*\{(?=\s*\{)/, "").replace(/\}(?=\s*\}\s*$)/, "")
]

const closed = (text: string, grows: boolean): Arguments | undefined => {
  const trimmed = text.trim()
  if (trimmed === "") return {}
  for (const candidate of candidates(trimmed)) {
    const value = asObject(candidate)
    if (value !== undefined) return value
  }
  for (const candidate of candidates(trimmed)) {
    const value = asObject(closeJson(candidate, grows && !/\s$/.test(text)))
    if (value !== undefined) return value
  }
  return undefined
}

/** The arguments of a call that has ended, completed like {@link preview} with a number at its end. */
export const complete = (text: string): Arguments | undefined => closed(text, false)

/**
 * The arguments so far, for a preview while they stream: open brackets and texts are closed, and other incomplete values are left
 * out. Undefined when the result is not a JSON object.
 *
 * @example
 * ```ts
 * import { Tool } from "effect-llm"
 *
 * Tool.previewArguments('{"city":"Par') // { city: "Par" }
 * ```
 *
 * @since 0.1.0
 * @category decoding
 */
export const preview = (text: string): Arguments | undefined => closed(text, true)

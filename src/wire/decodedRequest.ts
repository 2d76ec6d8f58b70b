/** The last step of every server half: validates the decoded request and names a fault by the field of the protocol. */
import type { ParseResult } from "effect"
import { Either } from "effect"
import { ChatRequest } from "../vocabulary/Chat.js"
import { isRecord } from "./json.js"
import type { WireFailure } from "./Wire.js"
import * as Faults from "../internal/faults.js"

type Path = ReadonlyArray<PropertyKey>

/** The names of the protocol by those of the vocabulary; empty for a step of a path that the protocol does not have. */
export type FieldNames = Readonly<Record<string, string>>

/** The steps below a value, such as `.tools[2].function`. */
export const pathBelow = (steps: Path, names: FieldNames): string =>
  steps
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${names[String(step)] ?? String(step)}`))
    .filter((step) => step !== ".")
    .join("")

/** A path of the vocabulary as one of the protocol. `sources` has the path of each message in the request. */
export const protocolPath =
  (names: FieldNames, messages: string) =>
  (path: Path, sources: ReadonlyArray<string>): string => {
    const [field, index, ...steps] = path
    return field === "messages"
      ? `${sources[Number(index)] ?? messages}${pathBelow(steps, names)}`
      : pathBelow(path, names).slice(1)
  }

/** The value at a path; undefined when there is none. */
export const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (inner, step) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, step) : undefined),
    value
  )

const fieldOf = (part: unknown): string => {
  const type = valueAt(part, ["type"])
  return type === "tool-call" ? "toolCalls" : type === "reasoning" ? "reasoning" : "content"
}

/**
 * The path of a part of a message in a protocol that has reasoning and calls in fields of their own: the field, and the position
 * among the parts in it.
 */
export const fieldPath = (candidate: unknown, path: Path): Path => {
  const [messages, index, , position, ...steps] = path
  const parts = messages === "messages" ? valueAt(candidate, path.slice(0, 3)) : undefined
  if (messages === undefined || index === undefined || typeof position !== "number" || !Array.isArray(parts))
    return path
  const field = fieldOf(parts[position])
  return [messages, index, field, parts.slice(0, position).filter((part) => fieldOf(part) === field).length, ...steps]
}

const validate = Faults.validateEither(ChatRequest)

const isText = (value: unknown): boolean => typeof value === "string"

const isNumber = (value: unknown, min: number, max: number): boolean =>
  typeof value === "number" && value >= min && value <= max

/** The usual fields of a request beside its messages, by the checks of their schemas. */
const plainFields: Readonly<Record<string, (value: unknown) => boolean>> = {
  model: (value) => isText(value) && value !== "",
  user: isText,
  temperature: (value) => isNumber(value, 0, Number.MAX_VALUE),
  topP: (value) => isNumber(value, 0, 1),
  maxTokens: (value) => isNumber(value, 1, Number.MAX_SAFE_INTEGER) && Number.isInteger(value),
  seed: (value) => Number.isSafeInteger(value)
}

const isPlainMessage = (message: unknown): boolean => {
  if (!isRecord(message) || !isText(message["content"])) return false
  const { role } = message
  if (role !== "user" && role !== "assistant" && role !== "system" && role !== "developer") return false
  for (const field in message) if (field !== "role" && field !== "content") return false
  return true
}

/**
 * Whether a request has texts and a few numbers alone and follows the schema. Most requests do, and to check one by the schema takes longer
 * than the rest of its decoding. False says nothing.
 */
export const isPlainRequest = (candidate: unknown): candidate is ChatRequest => {
  if (!isRecord(candidate)) return false
  const { messages } = candidate
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isPlainMessage)) return false
  for (const field in candidate) {
    if (field !== "messages" && !(Object.hasOwn(plainFields, field) && plainFields[field]?.(candidate[field])))
      return false
  }
  return true
}

/** Of the members of a union, the one that decoded furthest is the one that was meant. */
const furthest = (issue: ParseResult.ParseIssue): Faults.Issue | undefined =>
  Faults.issuesOf(issue).reduce<Faults.Issue | undefined>(
    (best, each) => (best === undefined || each.path.length > best.path.length ? each : best),
    undefined
  )

export const validatedRequest = (
  candidate: unknown,
  stream: boolean,
  failure: (path: Path, message: string) => WireFailure
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> =>
  Either.mapBoth(isPlainRequest(candidate) ? Either.right(candidate) : validate(candidate), {
    onLeft: (issue) => {
      const fault = furthest(issue)
      return failure(fault?.path ?? [], fault?.message ?? "")
    },
    onRight: (request) => ({ request, stream })
  })

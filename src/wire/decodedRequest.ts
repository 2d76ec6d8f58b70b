/** The last step of every server: what it has read of a request is checked, and a fault in it told in the protocol's words. */
import { Either, ParseResult } from "effect"
import { ChatRequest } from "../vocabulary/Chat.js"
import type { WireFailure } from "./Wire.js"

type Path = ReadonlyArray<PropertyKey>

/** What the protocol calls what the vocabulary calls otherwise; a step that it does not have is empty. */
export type Words = Readonly<Record<string, string>>

/** The steps below a value, such as `.tools[2].function`. */
export const spelled = (steps: Path, words: Words): string =>
  steps
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${words[String(step)] ?? String(step)}`))
    .filter((step) => step !== ".")
    .join("")

/** A path of the vocabulary in the protocol's words. Messages stand where `sources` say, the others as they do with us. */
export const spelledFrom =
  (words: Words, messages: string) =>
  (path: Path, sources: ReadonlyArray<string>): string => {
    const [field, index, ...steps] = path
    return field === "messages"
      ? `${sources[Number(index)] ?? messages}${spelled(steps, words)}`
      : spelled(path, words).slice(1)
  }

/** What stands at a path, where anything does. */
export const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (inner, step) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, step) : undefined),
    value
  )

const validate = ParseResult.validateEither(ChatRequest)

/** Of the alternatives that a union tried, the one that got furthest is the one that was meant. */
const furthest = (issue: ParseResult.ParseIssue): ParseResult.ArrayFormatterIssue | undefined =>
  ParseResult.ArrayFormatter.formatIssueSync(issue).reduce<ParseResult.ArrayFormatterIssue | undefined>(
    (best, each) => (best === undefined || each.path.length > best.path.length ? each : best),
    undefined
  )

export const servedRequest = (
  candidate: unknown,
  stream: boolean,
  failure: (path: Path, message: string) => WireFailure
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> =>
  Either.mapBoth(validate(candidate), {
    onLeft: (issue) => {
      const fault = furthest(issue)
      return failure(fault?.path ?? [], fault?.message ?? "")
    },
    onRight: (request) => ({ request, stream })
  })

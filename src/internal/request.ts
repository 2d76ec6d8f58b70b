/** Requests are checked here, before any network. */
import { Either, ParseResult } from "effect"
import type { ChatRequest } from "../Chat.js"
import * as Chat from "../Chat.js"
import { InvalidRequestError } from "../LLMError.js"
import * as Usage from "../Usage.js"
import * as RequestTokens from "./requestTokens.js"

/** What a request says unless it says otherwise. */
export type Defaults = Partial<Omit<ChatRequest, "messages" | "model">>

const validate = ParseResult.validateEither(Chat.ChatRequest, { onExcessProperty: "error" })

/** The most of a faulty value that is told: enough to find it, too little to spill a prompt into a log. */
const maxTold = 160

const fieldOf = (path: ReadonlyArray<PropertyKey>): string =>
  path
    .map((step, index) => (typeof step === "number" ? `[${step}]` : `${index === 0 ? "" : "."}${String(step)}`))
    .join("")

const invalid = (field: string, message: string): InvalidRequestError =>
  new InvalidRequestError({ provider: "", model: "", attempts: [], field, message })

const unknownTool = (request: ChatRequest): boolean => {
  const choice = request.toolChoice
  return (
    typeof choice === "object" &&
    request.extra?.tools === undefined &&
    !(request.tools ?? []).some((tool) => tool.name === choice.name)
  )
}

/** The request as it will be sent, or the error that names the first field at fault and tells all of them. */
export const normalize = (
  input: ChatRequest.Input,
  defaults: Defaults = {}
): Either.Either<ChatRequest, InvalidRequestError> => {
  const candidate: unknown =
    typeof input === "string" ? { ...defaults, messages: [Chat.user(input)] } : { ...defaults, ...input }
  return Either.flatMap(
    Either.mapLeft(validate(candidate), (issue) => {
      const faults = ParseResult.ArrayFormatter.formatIssueSync(issue).map((fault) => ({
        field: fieldOf(fault.path),
        message: fault.message.slice(0, maxTold)
      }))
      // Of the alternatives that a union tried, the one that got furthest is the one that was meant.
      const furthest = faults.filter(
        ({ field }) => !faults.some((other) => other.field !== field && other.field.startsWith(field))
      )
      const told = furthest.map(({ field, message }) => (field === "" ? message : `${field}: ${message}`)).join("; ")
      return invalid(furthest[0]?.field ?? "", `The request is not valid. ${told}`)
    }),
    (request) =>
      unknownTool(request)
        ? Either.left(
            invalid("toolChoice.name", "The request is not valid. toolChoice.name: names no tool of the request")
          )
        : Either.right(request)
  )
}

/** About what a provider will count as input, in tokens. */
export const estimateInput = (request: ChatRequest): number => RequestTokens.ofRequest(request, Usage.estimateTokens)

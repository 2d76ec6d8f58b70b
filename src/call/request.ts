/** Requests are checked here, before any network. */
import { Either, ParseResult } from "effect"
import type { ChatRequest } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"
import { EmbeddingRequest } from "../vocabulary/Embedding.js"
import { InvalidRequestError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import * as Depth from "../internal/depth.js"
import { faultsOf, summary } from "../internal/faults.js"
import * as RequestTokens from "../tokens/request.js"

/** What a request says unless it says otherwise. */
export type Defaults = Partial<Omit<ChatRequest, "messages" | "model">>

const validate = ParseResult.validateEither(Chat.ChatRequest, { onExcessProperty: "error" })

const validateEmbedding = ParseResult.validateEither(EmbeddingRequest, { onExcessProperty: "error" })

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

const told = (issue: ParseResult.ParseIssue): InvalidRequestError => {
  const faults = faultsOf(issue)
  return invalid(faults[0]?.path ?? "", `The request is not valid. ${summary(faults)}`)
}

/** A request as an object. What is none, as plain JavaScript may give it, has no messages, and is refused when it is sent. */
export const asObject = (input: ChatRequest.Input): Exclude<ChatRequest.Input, string> =>
  typeof input === "string"
    ? { messages: [Chat.user(input)] }
    : typeof input === "object" && input !== null
      ? input
      : { messages: [] }

/** What is no request at all, as plain JavaScript may give it; or is nested so deeply that it could not be read. */
const unreadable = (input: unknown): InvalidRequestError | undefined => {
  if (typeof input !== "object" || input === null) {
    const found = input === null ? "null" : typeof input
    return invalid("", `The request is not valid. It must be a text or an object, not ${found}.`)
  }
  const path = Depth.tooDeep(input)
  if (path === undefined) return undefined
  const field = Depth.fieldOf(path)
  return invalid(field, `The request is not valid. ${field}: ${Depth.fault}`)
}

/** Arguments of earlier calls whose JSON is nested too deeply: some protocols send it as it is, some as a text. */
const deepArguments = ({ messages }: ChatRequest): InvalidRequestError | undefined => {
  for (const [index, message] of messages.entries()) {
    if (message.role !== "assistant") continue
    for (const [position, call] of (message.toolCalls ?? []).entries()) {
      if (call.type === "custom" || !Depth.isTooDeepText(call.arguments)) continue
      const field = `messages[${index}].toolCalls[${position}].arguments`
      return invalid(field, `The request is not valid. ${field}: ${Depth.fault}`)
    }
  }
  return undefined
}

/** The request as it will be sent, or the error that names the first field at fault and tells all of them. */
export const normalize = (
  input: ChatRequest.Input,
  defaults: Defaults = {}
): Either.Either<ChatRequest, InvalidRequestError> => {
  const given = typeof input === "string" ? { messages: [Chat.user(input)] } : input
  const fault = unreadable(given)
  if (fault !== undefined) return Either.left(fault)
  const candidate: unknown = { ...defaults, ...given }
  return Either.flatMap(Either.mapLeft(validate(candidate), told), (request) => {
    const unsendable = unknownTool(request)
      ? invalid("toolChoice.name", "The request is not valid. toolChoice.name: names no tool of the request")
      : deepArguments(request)
    return unsendable === undefined ? Either.right(request) : Either.left(unsendable)
  })
}

/** The same for texts to embed. */
export const normalizeEmbedding = (
  input: EmbeddingRequest.Input
): Either.Either<EmbeddingRequest, InvalidRequestError> => {
  const candidate: unknown = typeof input === "string" ? { input: [input] } : Array.isArray(input) ? { input } : input
  const fault = unreadable(candidate)
  return fault === undefined ? Either.mapLeft(validateEmbedding(candidate), told) : Either.left(fault)
}

/** About what a provider will count as input, in tokens. */
export const estimateInput = (request: ChatRequest): number => RequestTokens.ofRequest(request, Usage.estimateTokens)

const without = <A extends { readonly model?: string }>({ model: _, ...rest }: A): Omit<A, "model"> => rest

/** The request without its model, for a member that answers with its own. */
export const withoutModel = (request: ChatRequest.Input): ChatRequest.Input =>
  typeof request === "string" ? request : without(request)

export const embeddingWithoutModel = (request: EmbeddingRequest.Input): EmbeddingRequest.Input =>
  typeof request === "string" || !("input" in request) ? request : without(request)

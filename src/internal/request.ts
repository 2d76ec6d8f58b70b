/** Requests are checked here, before any network. */
import { Either, ParseResult } from "effect"
import type { ChatRequest } from "../Chat.js"
import * as Chat from "../Chat.js"
import { EmbeddingRequest } from "../Embedding.js"
import { InvalidRequestError } from "../LLMError.js"
import * as Usage from "../Usage.js"
import { faultsOf, summary } from "./faults.js"
import * as RequestTokens from "./requestTokens.js"

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

/** The request as it will be sent, or the error that names the first field at fault and tells all of them. */
export const normalize = (
  input: ChatRequest.Input,
  defaults: Defaults = {}
): Either.Either<ChatRequest, InvalidRequestError> => {
  const candidate: unknown =
    typeof input === "string" ? { ...defaults, messages: [Chat.user(input)] } : { ...defaults, ...input }
  return Either.flatMap(Either.mapLeft(validate(candidate), told), (request) =>
    unknownTool(request)
      ? Either.left(
          invalid("toolChoice.name", "The request is not valid. toolChoice.name: names no tool of the request")
        )
      : Either.right(request)
  )
}

/** The same for texts to embed. */
export const normalizeEmbedding = (
  input: EmbeddingRequest.Input
): Either.Either<EmbeddingRequest, InvalidRequestError> => {
  const candidate: unknown = typeof input === "string" ? { input: [input] } : Array.isArray(input) ? { input } : input
  return Either.mapLeft(validateEmbedding(candidate), told)
}

/** About what a provider will count as input, in tokens. */
export const estimateInput = (request: ChatRequest): number => RequestTokens.ofRequest(request, Usage.estimateTokens)

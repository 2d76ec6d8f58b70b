/** Validation of requests, before anything is sent. */
import type { ParseResult } from "effect"
import { Either } from "effect"
import type { ChatRequest } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"
import { EmbeddingRequest } from "../vocabulary/Embedding.js"
import { InvalidRequestError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import * as RecentValues from "../internal/recentValues.js"
import * as Depth from "../internal/depth.js"
import { faultsOf, summary, validateEither } from "../internal/faults.js"
import { withoutUndefined } from "../wire/json.js"
import * as RawRequests from "./rawRequest.js"
import type { CountText } from "../tokens/request.js"
import * as RequestTokens from "../tokens/request.js"

/** Defaults for the fields of a request. */
export type Defaults = Partial<Omit<ChatRequest, "messages" | "model">>

const validate = validateEither(Chat.ChatRequest, { onExcessProperty: "error" })

const validateEmbedding = validateEither(EmbeddingRequest, { onExcessProperty: "error" })

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

const validationError = (issue: ParseResult.ParseIssue): InvalidRequestError => {
  const faults = faultsOf(issue)
  return invalid(faults[0]?.path ?? "", `The request is not valid. ${summary(faults)}`)
}

/** A prompt with the options of `LLM.chat`. Options of a request that is an object, from plain JavaScript, are rejected when sent. */
export const withOptions = (input: ChatRequest.Input, options: ChatRequest.Options | undefined): ChatRequest.Input => {
  // `Effect.forEach(prompts, LLM.chat)` passes the index as the second argument.
  if (typeof options !== "object" || options === null) return input
  return typeof input === "string" ? { ...options, prompt: input } : Object.assign({}, input, { options })
}

/**
 * A request as an object with messages. Invalid input from plain JavaScript becomes a request that is rejected when sent: one
 * without messages, or with both a prompt and messages.
 */
export const asObject = (input: ChatRequest.Input): ChatRequest.Messages => {
  if (typeof input === "string") return { messages: [Chat.user(input)] }
  if (typeof input !== "object" || input === null) return { messages: [] }
  if (input.messages !== undefined) return input
  if (invalidPrompt(input) !== undefined || input.prompt === undefined) return { messages: [] }
  const { messages: _, prompt, system, ...fields } = input
  return { ...fields, messages: [...(system === undefined ? [] : [Chat.system(system)]), Chat.user(prompt)] }
}

/** The fault of a prompt that is not a text or has messages beside it, from plain JavaScript. */
const invalidPrompt = (input: {
  readonly messages?: unknown
  readonly prompt?: unknown
  readonly system?: unknown
}): InvalidRequestError | undefined => {
  const { messages, prompt, system } = input
  const fault = (field: string, message: string) => invalid(field, `The request is not valid. ${field}: ${message}`)
  if (prompt === undefined) {
    return system === undefined ? undefined : fault("system", "needs a prompt; in messages, use a system message")
  }
  if (messages !== undefined) return fault("prompt", "must not be combined with messages")
  if (typeof prompt !== "string") return fault("prompt", "must be a text")
  return system === undefined || typeof system === "string" ? undefined : fault("system", "must be a text")
}

/** The error of input that is not an object, from plain JavaScript, or that is nested too deeply to be validated. */
const unreadable = (input: unknown): InvalidRequestError | undefined => {
  if (typeof input !== "object" || input === null) {
    const kind = input === null ? "null" : typeof input
    return invalid("", `The request is not valid. It must be a text or an object, not ${kind}.`)
  }
  const path = Depth.tooDeep(input)
  if (path === undefined) return undefined
  const field = Depth.fieldOf(path)
  return invalid(field, `The request is not valid. ${field}: ${Depth.fault}`)
}

/** The error of an earlier tool call whose arguments are nested too deeply: some protocols send them as JSON, some as a text. */
const deepArguments = ({ messages }: ChatRequest): InvalidRequestError | undefined => {
  for (const [index, message] of messages.entries()) {
    if (message.role !== "assistant" || typeof message.content === "string") continue
    for (const [position, part] of message.content.entries()) {
      if (part.type !== "tool-call" || part.custom === true || !Depth.isTooDeepText(part.arguments)) continue
      const field = `messages[${index}].content[${position}].arguments`
      return invalid(field, `The request is not valid. ${field}: ${Depth.fault}`)
    }
  }
  return undefined
}

/** Requests that a middleware has validated and passed on: the next module does not validate them again. */
const validated = new WeakSet<object>()

const isValidated = (input: ChatRequest.Input): input is ChatRequest.Messages =>
  typeof input === "object" && input !== null && validated.has(input)

/**
 * The request with its defaults, or an error whose `field` is the first invalid one and whose message lists all. A field that is
 * undefined counts as absent: callers write `{ temperature: options.temperature }`.
 */
export const normalize = (
  input: ChatRequest.Input,
  defaults: Defaults = {}
): Either.Either<ChatRequest, InvalidRequestError> => {
  if (Object.keys(defaults).length === 0) {
    if (isValidated(input)) return Either.right(input)
    // Every text is valid.
    if (typeof input === "string") return Either.right({ messages: [Chat.user(input)] })
  }
  const fault = typeof input === "string" ? undefined : (unreadable(input) ?? invalidPrompt(input))
  if (fault !== undefined) return Either.left(fault)
  const fields = typeof input === "string" || input.prompt !== undefined ? asObject(input) : input
  const candidate: unknown = { ...defaults, ...withoutUndefined({ ...RawRequests.detached(fields) }) }
  return Either.map(Either.flatMap(Either.mapLeft(validate(candidate), validationError), sendable), (request) =>
    RawRequests.carry(fields, request)
  )
}

/** Checks what the schema of requests does not. */
const sendable = (request: ChatRequest): Either.Either<ChatRequest, InvalidRequestError> => {
  const unsendable = unknownTool(request)
    ? invalid("toolChoice.name", "The request is not valid. toolChoice.name: names no tool of the request")
    : deepArguments(request)
  return unsendable === undefined ? Either.right(request) : Either.left(unsendable)
}

/** A request that follows the schema, such as one that the wire of a server has decoded. It is not validated again when it is sent. */
export const ofSchema = (request: ChatRequest): Either.Either<ChatRequest, InvalidRequestError> =>
  Either.map(sendable(request), (request) => {
    validated.add(request)
    return request
  })

/** A valid request with defaults. */
export const withDefaults = (
  request: ChatRequest,
  defaults: Defaults = {}
): Either.Either<ChatRequest, InvalidRequestError> =>
  Object.keys(defaults).length === 0 ? Either.right(request) : normalize(request, defaults)

/** The request for the next module, in the form in which it came. */
export const passedOn = (input: ChatRequest.Input, request: ChatRequest): ChatRequest.Input => {
  if (typeof input === "string" || input.messages === undefined) return input
  validated.add(request)
  return request
}

const isList = (input: EmbeddingRequest.Input): input is ReadonlyArray<string> => Array.isArray(input)

/** The same for embedding requests. */
export const normalizeEmbedding = (
  input: EmbeddingRequest.Input
): Either.Either<EmbeddingRequest, InvalidRequestError> => {
  const fields = typeof input === "string" ? { input: [input] } : isList(input) ? { input } : input
  const fault = unreadable(fields)
  if (fault !== undefined) return Either.left(fault)
  return Either.map(Either.mapLeft(validateEmbedding(RawRequests.detached(fields)), validationError), (request) =>
    RawRequests.carry(fields, request)
  )
}

/** The estimates of validated requests, which are not changed any more: several parts of a call need the same one. */
const estimates = new WeakMap<ChatRequest, number>()

/** Estimates the input tokens of a request. */
export const estimateInput = (request: ChatRequest, estimateText: CountText = Usage.estimateTokens): number => {
  const known = estimates.get(request)
  if (known !== undefined) return known
  const tokens = RequestTokens.ofRequest(request, RequestTokens.bounded(estimateText))
  if (validated.has(request)) estimates.set(request, tokens)
  return tokens
}

/** From this length on, in UTF-16 units, an estimate takes longer than a search among the recent texts. */
const longText = 200

/** Makes an estimate that remembers long texts: system prompts and earlier turns of a conversation come again and again. */
export const rememberingEstimate = (): CountText => {
  const recent = RecentValues.make<number>()
  return (text) => {
    if (text.length < longText) return Usage.estimateTokens(text)
    const known = recent.get(text)
    if (known !== undefined) return known
    const tokens = Usage.estimateTokens(text)
    recent.prepare(text)(tokens)
    return tokens
  }
}

/** Estimates the input tokens of a request when it is first called. */
export const inputTokensOf = (request: ChatRequest, estimateText?: CountText): (() => number) => {
  let tokens: number | undefined
  return () => (tokens ??= estimateInput(request, estimateText))
}

export const omitModel = <A extends { readonly model?: string }>({ model: _, ...rest }: A): Omit<A, "model"> => rest

/** The request without its model, for a member of a fallback or balance that uses its own. */
export const withoutModel = (request: ChatRequest.Input): ChatRequest.Input =>
  typeof request === "string" ? request : omitModel(asObject(request))

export const embeddingWithoutModel = (request: EmbeddingRequest.Input): EmbeddingRequest.Input =>
  typeof request === "string" || !("input" in request) ? request : omitModel(request)

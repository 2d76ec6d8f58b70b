/** The requests that are sent: URL, headers and body, and the optional fields that a server has rejected. */
import { Either, Redacted } from "effect"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Errors from "../vocabulary/LLMError.js"
import type { Auth, Call, Endpoint } from "../wire/providerClient.js"
import * as JsonText from "../wire/jsonText.js"
import type { AffinityHint, AnswerSource, ClientWire, WireRequest } from "../wire/Wire.js"
import type { DirectRequest } from "./direct.js"
import * as Secrets from "./endpointSecrets.js"
import type { CallWithSecrets, Target } from "./failure.js"
import { encodingError, jsonError } from "./failure.js"
import * as RawRequests from "./rawRequest.js"
import * as Signatures from "./signatures.js"
import { estimateInput } from "./request.js"

/** The server of a client, with what all its requests have in common. */
export interface Server extends Target {
  /** The base URL without its query and trailing slashes. */
  readonly base: string
  /** The query of the base URL. */
  readonly baseQuery: string
  /** The headers of the endpoint; names are in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /**
   * Error messages of this server that reject optional fields, and whether it has accepted a request without the field since. Later
   * requests leave these fields out.
   */
  readonly rejectedFields: Map<string, boolean>
}

const bearer: Auth = { header: "authorization", prefix: "Bearer " }

const lowerCased = (headers: Readonly<Record<string, string>>): Record<string, string> => {
  const lower: Record<string, string> = {}
  for (const name of Object.keys(headers)) {
    const value = headers[name]
    if (value !== undefined) lower[name.toLowerCase()] = value
  }
  return lower
}

export const server = (protocol: string, endpoint: Endpoint): Server => {
  const [base = "", baseQuery = ""] = (endpoint.baseUrl.split("#", 1)[0] ?? "").split(/\?(.*)/s)
  return {
    protocol,
    endpoint,
    base: base.replace(/\/+$/, ""),
    baseQuery,
    headers: lowerCased(endpoint.headers ?? {}),
    secrets: Secrets.ofEndpoint(endpoint),
    rejectedFields: new Map()
  }
}

/** A chat request: with fields to write, or with the text of a gateway's client. */
export type Encoded = WireRequest | RawRequests.VerbatimRequest

/** A request without a body is a GET. */
export type Unsent = Omit<WireRequest, "body"> & {
  readonly body?: Readonly<Record<string, unknown>>
  /** The body when it is written already. */
  readonly text?: string
}

/** The URL of a request. The query of the base URL goes behind the path. */
const urlOf = ({ base, baseQuery, endpoint }: Server, { path, query }: Unsent): string => {
  const search =
    query === undefined && endpoint.query === undefined
      ? ""
      : new URLSearchParams({ ...query, ...endpoint.query }).toString()
  const whole = baseQuery === "" || search === "" ? baseQuery + search : `${baseQuery}&${search}`
  return whole === "" ? `${base}${path}` : `${base}${path}?${whole}`
}

/** The request with its key or token. */
export const messageOf = (
  server: Server,
  { key, token }: CallWithSecrets,
  request: Unsent,
  accept: string,
  body: string | undefined
): DirectRequest => {
  const { header, prefix = "" } = server.endpoint.auth ?? bearer
  const headers: Record<string, string> = {
    accept,
    [header.toLowerCase()]: `${prefix}${Redacted.value(token ?? key.value)}`,
    ...(request.headers === undefined ? {} : lowerCased(request.headers)),
    ...server.headers
  }
  const url = urlOf(server, request)
  if (body === undefined) return { method: "GET", url, headers }
  headers["content-type"] = "application/json"
  // The transport sends the length of the body.
  delete headers["content-length"]
  return { method: "POST", url, headers, body }
}

/** The body of a request as JSON; undefined for a request without one. */
export const encodeBody = (
  server: Server,
  call: CallWithSecrets,
  { body, text }: Unsent,
  chat: Partial<ChatRequest> = {}
): Either.Either<string | undefined, LLMError> => {
  if (text !== undefined) return Either.right(text)
  try {
    return Either.right(body === undefined ? undefined : JSON.stringify(body))
  } catch (cause) {
    return Either.left(jsonError(server, call, cause, unwritableField(chat)))
  }
}

const isWritable = (value: unknown): boolean => Either.isRight(Either.try(() => JSON.stringify(value)))

/** The field that cannot be written as JSON: values of `extra` and native fields can be of any type, such as a bigint. */
const unwritableField = (request: Partial<ChatRequest>): string => {
  const [field = "extra"] = Object.entries(request).find(([, value]) => !isWritable(value)) ?? []
  const index = field === "messages" ? (request.messages ?? []).findIndex((message) => !isWritable(message)) : -1
  return index === -1 ? field : `${field}[${index}]`
}

// -------------------------------------------------------------------------------------
// chats
// -------------------------------------------------------------------------------------

/** A class, because an object literal with a getter takes several times as long to make. */
class ChatSource implements AnswerSource {
  readonly provider: string
  readonly model: string
  readonly #request: ChatRequest
  constructor(provider: string, model: string, request: ChatRequest) {
    this.provider = provider
    this.model = model
    this.#request = request
  }
  get estimatedInputTokens(): number {
    return estimateInput(this.#request)
  }
}

export const chatSource = (server: Server, request: ChatRequest, { model }: Pick<Call, "model">): AnswerSource =>
  new ChatSource(server.endpoint.provider, model, request)

export const acceptOf = ({ framing }: ClientWire, stream: boolean): string =>
  stream && framing === "sse" ? "text/event-stream" : "application/json"

/** The request with the affinity of its conversation, where it has none. */
const withAffinity = (message: Encoded, hint: AffinityHint | undefined, affinity: string | undefined): Encoded => {
  if (hint === undefined || affinity === undefined) return message
  if ("header" in hint) return { ...message, headers: { [hint.header]: affinity, ...message.headers } }
  const { field } = hint
  if (RawRequests.isVerbatim(message)) {
    const addField: JsonText.Change = (before) => before ?? JSON.stringify(affinity)
    return { ...message, text: JsonText.edit(message.text, new Map([[field, addField]])) }
  }
  return message.body[field] === undefined ? { ...message, body: { ...message.body, [field]: affinity } } : message
}

/**
 * Encodes a chat request without the optional fields that the server has rejected. A body that a gateway's client wrote in the
 * protocol of a faithful server stays as it is.
 */
export const encodeChat = (
  server: Server,
  wire: ClientWire,
  request: ChatRequest,
  call: CallWithSecrets,
  stream: boolean
): Either.Either<Encoded, LLMError> => {
  const { provider } = server.endpoint
  const keepsSchemas = RawRequests.isOfProtocol(request, wire.name)
  const options = { provider, model: call.model, stream, keepsSchemas }
  const opened = Signatures.openFor(request, call, { provider, wire: wire.name })
  const encoded = Either.map(
    RawRequests.verbatim(wire, opened.isAsReceived ? request : opened.request, options) ??
      wire.encodeRequest(opened.request, options),
    (message) => withAffinity(message, wire.affinity, call.affinity)
  )
  if (Either.isLeft(encoded)) return Either.left(encodingError(server, call, encoded.left))
  if (RawRequests.isVerbatim(encoded.right)) return Either.right(encoded.right)
  let reduced = encoded.right
  for (const message of server.rejectedFields.keys()) reduced = wire.dropUnsupportedField?.(reduced, message) ?? reduced
  return Either.right(reduced)
}

const unconfirmed = ({ rejectedFields }: Server): ReadonlyArray<string> =>
  [...rejectedFields].flatMap(([message, isConfirmed]) => (isConfirmed ? [] : [message]))

/** Records the response to a chat request, so that later requests leave the optional fields out that the server rejects. */
export interface FieldObserver {
  /** The server has accepted the request. */
  readonly accepted: () => void
  /** The server has rejected the request. Returns the error, with `isFieldOmitted` where the next request leaves a field out. */
  readonly rejected: (error: LLMError) => LLMError
}

/** Made before the request is sent: what it leaves out is confirmed by its success, and forgotten when it was rejected nevertheless. */
export const observeFields = (server: Server, wire: ClientWire, request: Encoded): FieldObserver => {
  const { rejectedFields } = server
  const omitted = rejectedFields.size === 0 ? [] : unconfirmed(server)
  return {
    accepted: () => {
      for (const message of omitted) if (rejectedFields.has(message)) rejectedFields.set(message, true)
    },
    rejected: (error) => {
      if (error._tag !== "InvalidRequestError" || RawRequests.isVerbatim(request)) return error
      if (wire.dropUnsupportedField?.(request, error.message) === undefined) {
        for (const message of omitted) if (rejectedFields.get(message) === false) rejectedFields.delete(message)
        return error
      }
      rejectedFields.set(error.message, rejectedFields.get(error.message) ?? false)
      return Errors.update(error, { isFieldOmitted: true })
    }
  }
}

/** The most requests that one call sends because of optional fields that a server rejects. */
export const maxOmissions = 3

/** Whether the server rejected an optional field, which the next request leaves out. */
export const isFieldOmitted = (error: LLMError): boolean =>
  error._tag === "InvalidRequestError" && error.isFieldOmitted === true

/**
 * Carries the body of a gateway's client beside the request that it was decoded to, so that a provider of the same protocol gets it
 * unchanged.
 *
 * The body is attached under a symbol: it survives a middleware's `{ ...request }`, and it is neither in serialized JSON nor in cache keys. What
 * defaults or a middleware changed is found by comparing the fields with those that were decoded.
 */
import { Either, Predicate } from "effect"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { EmbeddingRequest } from "../vocabulary/Embedding.js"
import type { Json } from "../wire/json.js"
import { isRecord } from "../wire/json.js"
import * as JsonText from "../wire/jsonText.js"
import type { EmbeddingsWire, EncodeOptions, Peer, Verbatim, WireFailure, WireRequest } from "../wire/Wire.js"

/** The body of a client. */
export interface RawBody {
  /** The name of its wire. */
  readonly protocol: string
  readonly text: string
  /** The text as parsed. */
  readonly body: Json
  /** The headers of the client that are passed on; names are in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Gets whether the latest request left reasoning of another account out. */
  readonly onDropped?: (isDropped: boolean) => void
}

interface Attached<A> extends RawBody {
  /** The request that the body was decoded to. */
  readonly request: A
  /** The values of its fields in the present request where nothing has changed them. @default those of `request` */
  readonly fields?: Json
}

const RawRequestId: unique symbol = Symbol.for("effect-llm/RawRequest")

type Request = ChatRequest | EmbeddingRequest

/** The body is behind a function, so that a request that is printed does not show it. */
interface Carrier<A> {
  readonly [RawRequestId]: () => Attached<A>
}

const isCarrier = <A extends Request>(request: A): request is A & Carrier<A> =>
  Predicate.hasProperty(request, RawRequestId)

/**
 * The decoded request with the body that it was decoded from. Changes a request that was just decoded instead of copying it, so that
 * most comparisons end at identical objects.
 */
export const attach = <A extends Request>(body: RawBody, request: A): A => {
  const attached: Attached<A> = { ...body, request }
  const carrier: Carrier<A> = { [RawRequestId]: () => attached }
  return Object.assign(request, carrier)
}

/** Reports whether a request that is sent for this one leaves reasoning out. */
export const report = (request: ChatRequest, isDropped: boolean): void => {
  if (isCarrier(request)) request[RawRequestId]().onDropped?.(isDropped)
}

const fieldsOf = ({ fields, request }: Attached<Request>): Json => fields ?? { ...request }

/** Whether a gateway's client wrote the request in the protocol of a wire. */
export const isOfProtocol = (request: ChatRequest, wire: string): boolean =>
  isCarrier(request) && request[RawRequestId]().protocol === wire

/** The request without its body. */
export const detached = <A extends Request>(request: A) => {
  if (!isCarrier(request)) return request
  const { [RawRequestId]: _, ...others } = request
  return others
}

/** Carries the body over to a copy of the request with equal fields, to which others can have been added. */
export const carry = <A extends Request>(from: A, to: A): A => {
  if (!isCarrier(from)) return to
  const raw = from[RawRequestId]()
  const before: Json = Object.fromEntries(Object.entries(from))
  const after: Json = { ...to }
  const decoded = fieldsOf(raw)
  const fields: Record<string, unknown> = {}
  for (const name of Object.keys(decoded)) {
    fields[name] = before[name] === decoded[name] ? after[name] : decoded[name]
  }
  const attached: Attached<A> = { ...raw, fields }
  const carrier: Carrier<A> = { [RawRequestId]: () => attached }
  return { ...to, ...carrier }
}

/** Whether all fields are those that were decoded. The model is that of the call. */
const isUnchanged = <A extends Request>(request: A, raw: Attached<A>): boolean => {
  if (request === raw.request) return true
  const fields = fieldsOf(raw)
  const current: Json = { ...request }
  for (const name in current) if (name !== "model" && current[name] !== fields[name]) return false
  for (const name in fields) if (name !== "model" && current[name] !== fields[name]) return false
  return true
}

/** A request whose body is sent as it is. */
export interface VerbatimRequest extends Omit<WireRequest, "body"> {
  readonly text: string
}

export const isVerbatim = (request: object): request is VerbatimRequest => "text" in request

type Encode = (request: ChatRequest, options: EncodeOptions) => Either.Either<WireRequest, WireFailure>

const choicesOf = ({ extra }: ChatRequest): unknown => extra?.["n"]

/** The request for the encoder, which refuses several choices: the text has them. */
const encodable = (request: ChatRequest): ChatRequest => {
  const { model: _, ...fields } = detached(request)
  if (fields.extra === undefined || choicesOf(fields) === undefined) return fields
  const { n: __, ...extra } = fields.extra
  return { ...fields, extra }
}

const sameJson = (one: unknown, other: unknown): boolean =>
  one === other || JSON.stringify(one) === JSON.stringify(other)

/** What has to change in the text for a request that defaults or a middleware changed: the fields that are encoded differently. */
const changesBetween = (
  before: WireRequest,
  after: WireRequest,
  { aliases }: Verbatim
): Map<string, JsonText.Change> => {
  const changes = new Map<string, JsonText.Change>()
  for (const field of new Set([...Object.keys(before.body), ...Object.keys(after.body)])) {
    if (field === "model" || sameJson(before.body[field], after.body[field])) continue
    const others = aliases.find((names) => names.includes(field)) ?? []
    for (const other of others)
      if (other !== field && after.body[other] === undefined) changes.set(other, JsonText.remove)
    changes.set(field, after.body[field] === undefined ? JsonText.remove : JsonText.set(after.body[field]))
  }
  return changes
}

const changedHeaders = (before: WireRequest, after: WireRequest): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(after.headers ?? {}).filter(([name, value]) => before.headers?.[name] !== value))

/** A change of a field: its value, or the changes of its members. Undefined removes the field. */
const changeOf = (value: unknown, isNested: boolean): JsonText.Change =>
  value === undefined
    ? JsonText.remove
    : isNested && isRecord(value)
      ? JsonText.inside(new Map(Object.entries(value).map(([name, inner]) => [name, JsonText.set(inner)])))
      : JsonText.set(value)

/**
 * The request with the text of the client's body, when it has one of this protocol. Only the fields that the provider's address needs
 * and those that defaults or a middleware changed are edited.
 */
export const verbatim = (
  wire: { readonly name: string; readonly encodeRequest: Encode; readonly verbatim?: Verbatim },
  request: ChatRequest,
  options: EncodeOptions
): Either.Either<VerbatimRequest | WireRequest, WireFailure> | undefined => {
  if (wire.verbatim === undefined || !isCarrier(request)) return undefined
  const raw = request[RawRequestId]()
  if (raw.protocol !== wire.name) return undefined
  const target = { ...options, model: request.model ?? options.model }
  const { merged = {}, fields, ...address } = wire.verbatim.address(raw.body, { ...target, headers: raw.headers })
  const changes = new Map<string, JsonText.Change>()
  let headers = address.headers
  if (!isUnchanged(request, raw)) {
    const after = wire.encodeRequest(encodable(request), target)
    if (Either.isLeft(after)) return after
    const before = wire.encodeRequest(encodable(raw.request), target)
    // What was decoded cannot be encoded, so there is nothing to compare with.
    if (Either.isLeft(before)) return after
    for (const [field, change] of changesBetween(before.right, after.right, wire.verbatim)) changes.set(field, change)
    if (choicesOf(raw.request) !== undefined && choicesOf(request) === undefined) changes.set("n", JsonText.remove)
    headers = { ...headers, ...changedHeaders(before.right, after.right) }
  }
  for (const [field, value] of Object.entries(fields)) changes.set(field, changeOf(value, false))
  for (const [field, value] of Object.entries(merged)) {
    const change = changes.get(field)
    const inner = changeOf(value, true)
    changes.set(field, change === undefined ? inner : (before) => inner(change(before)))
  }
  const text = JsonText.edit(raw.text, changes)
  return Either.right(headers === undefined ? { ...address, text } : { ...address, headers, text })
}

/**
 * The same for embeddings. The encoder writes the request where defaults or a middleware changed it, such as a cache that knows some of the
 * vectors.
 */
export const verbatimEmbedding = (
  { verbatim }: Pick<EmbeddingsWire, "verbatim">,
  request: EmbeddingRequest,
  peer: Peer
): { readonly sent: VerbatimRequest; readonly body: Json } | undefined => {
  if (verbatim === undefined || !isCarrier(request)) return undefined
  const raw = request[RawRequestId]()
  if (raw.protocol !== verbatim.protocol || !isUnchanged(request, raw)) return undefined
  const model = request.model ?? peer.model
  const text = JsonText.edit(raw.text, new Map([["model", JsonText.set(model)]]))
  return { sent: { path: verbatim.path(model), text }, body: raw.body }
}

/**
 * Signatures and encrypted reasoning for a client of another protocol, and back. They are valid only for the account that made them: what
 * a client gets names one of its keys, so that the next turn finds it in whichever process it arrives. Nothing is stored.
 *
 * A sealed signature is `ellm1.`, a header and the signature as the provider sent it. The header is base64url of JSON: the provider,
 * the key as a hash, and the fields that the protocol of the client does not keep. It is not secret and proves nothing: a forged one
 * sends the text of the client to another account, which rejects it.
 *
 * A signature stays sealed until a key was chosen, and is opened for the request with that key, so that no other one gets it.
 */
import { Either, Encoding, Schema } from "effect"
import * as Rendezvous from "../internal/rendezvous.js"
import type { AssistantPart, ChatRequest, ChatResponse, Message, ReasoningPart, ToolCall } from "../vocabulary/Chat.js"
import { Native, withContent } from "../vocabulary/Chat.js"
import type { ChatEvent, ReasoningDelta } from "../vocabulary/ChatEvent.js"
import { isRecord, parseJson, string } from "../wire/json.js"
import type { Call } from "../wire/providerClient.js"
import * as RawRequests from "./rawRequest.js"

const prefix = "ellm1."

/** The provider and the account of an answer, which one of its keys stands for. */
export interface Maker {
  readonly provider: string
  readonly account: string
}

/** The fields of a part that go with its signature. */
type Signed = Pick<ReasoningPart, "id" | "format" | "native" | "provider"> & { readonly signature: string }

interface Opened extends Maker {
  /** The id of the tool call whose signature it is. Undefined for that of the reasoning. */
  readonly call: string | undefined
  /** Whether the body of the client has the signature as the provider sent it. */
  readonly isClaimed: boolean
  readonly fields: Signed
}

const isNative = Schema.is(Native)

/** The name of a key for the account that it belongs to. */
export const accountOf = (provider: string, keyId: string): string =>
  (Rendezvous.hash(JSON.stringify([provider, keyId])) >>> 0).toString(16).padStart(8, "0")

const open = (signature: string | undefined): Opened | undefined => {
  if (signature?.startsWith(prefix) !== true) return undefined
  const end = signature.indexOf(".", prefix.length)
  const text = end === -1 ? undefined : Encoding.decodeBase64UrlString(signature.slice(prefix.length, end))
  const header = text === undefined || Either.isLeft(text) ? undefined : parseJson(text.right)
  if (!isRecord(header)) return undefined
  const provider = string(header, "p")
  const account = string(header, "a")
  if (provider === undefined || account === undefined) return undefined
  const id = string(header, "i")
  const format = string(header, "f")
  return {
    provider,
    account,
    call: string(header, "c"),
    isClaimed: header["r"] === true,
    fields: {
      signature: signature.slice(end + 1),
      provider,
      ...(id === undefined ? {} : { id }),
      ...(format === undefined ? {} : { format }),
      ...(isNative(header["n"]) ? { native: header["n"] } : {})
    }
  }
}

// -------------------------------------------------------------------------------------
// answers
// -------------------------------------------------------------------------------------

const seal = (
  { account, provider }: Maker,
  { format, id, native, signature }: Signed,
  more: { readonly c?: string; readonly r?: true } = {}
): string => {
  const header = JSON.stringify({ p: provider, a: account, i: id, f: format, n: native, ...more })
  return `${prefix}${Encoding.encodeBase64Url(header)}.${signature}`
}

/** The signature of a tool call as reasoning before it: most protocols have no field for it. */
const carrier = (maker: Maker, { id, native, provider: _, signature = "" }: ToolCall) => ({
  text: "",
  format: "reasoning.encrypted",
  signature: seal(maker, { signature, ...(native === undefined ? {} : { native }) }, { c: id })
})

const unsigned = ({ signature: _, ...call }: ToolCall): ToolCall => call

/** The reasoning of an answer of this provider for a client, whose signature names the maker. */
const sealed = <A extends Partial<Signed>>(maker: Maker, part: A): A =>
  part.signature === undefined || part.provider !== maker.provider
    ? part
    : { ...part, signature: seal(maker, { ...part, signature: part.signature }) }

const sealContent = (maker: Maker, content: ReadonlyArray<AssistantPart>): ReadonlyArray<AssistantPart> =>
  content.flatMap((part): ReadonlyArray<AssistantPart> => {
    if (part.type === "reasoning") return [sealed(maker, part)]
    return part.type === "tool-call" && part.signature !== undefined && part.provider === maker.provider
      ? [{ type: "reasoning", ...carrier(maker, part) }, unsigned(part)]
      : [part]
  })

export const makerOf = (provider: string, keyId: string): Maker => ({ provider, account: accountOf(provider, keyId) })

/** The maker of an answer, which can come from a cache; undefined where its key is unknown. */
export const makerOfAnswer = ({
  cached,
  keyId,
  provider
}: Pick<ChatResponse, "provider" | "keyId" | "cached">): Maker | undefined => {
  const account = keyId === "" ? cached?.account : accountOf(provider, keyId)
  return account === undefined ? undefined : { provider, account }
}

/** An answer for a client. */
export const sealResponse = (response: ChatResponse): ChatResponse => {
  const maker = makerOfAnswer(response) ?? makerOf(response.provider, "")
  return withContent(response, sealContent(maker, response.content))
}

/** The same for the events of a stream, in the order in which they come. The signature of a call comes before the call where both were read together. */
export const sealEvents = () => {
  let maker: Maker = { provider: "", account: "" }
  const isSigned = (event: ChatEvent): boolean =>
    event._tag === "ToolCallEnd" && event.call.signature !== undefined && event.call.provider === maker.provider
  /** The fields of reasoning so far: the signature is in its last delta, the others in any. */
  const fields = new Map<number, Omit<ReasoningDelta, "text">>()
  const sealDelta = (event: ReasoningDelta): ReasoningDelta => {
    const { text: _, ...known } = { ...fields.get(event.index), ...event }
    fields.set(event.index, known)
    return event.signature === undefined ? event : { ...event, signature: sealed(maker, known).signature ?? "" }
  }
  /** Leaves room for a part before each part. */
  const moved = (event: ChatEvent): ChatEvent => ("index" in event ? { ...event, index: 2 * event.index + 1 } : event)

  return (events: ReadonlyArray<ChatEvent>): ReadonlyArray<ChatEvent> => {
    for (const event of events) {
      if (event._tag === "Start") maker = makerOfAnswer(event) ?? makerOf(event.provider, "")
    }
    const signed = new Map(
      events.flatMap((event) => (event._tag === "ToolCallEnd" && isSigned(event) ? [[event.index, event.call]] : []))
    )
    return events.flatMap((event): ReadonlyArray<ChatEvent> => {
      if (event._tag === "ReasoningDelta") return [moved(sealDelta(event))]
      if (event._tag !== "ToolCallDelta" && event._tag !== "ToolCallEnd") return [moved(event)]
      const call = signed.get(event.index)
      signed.delete(event.index)
      const bare = moved(event._tag === "ToolCallEnd" ? { ...event, call: unsigned(event.call) } : event)
      return call === undefined
        ? [bare]
        : [{ _tag: "ReasoningDelta", index: 2 * event.index, ...carrier(maker, call) }, bare]
    })
  }
}

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

type Signature = ReasoningPart & { readonly signature: string }

const isSignature = (part: AssistantPart): part is Signature =>
  part.type === "reasoning" && part.signature !== undefined

const hasSignature = ({ content, role }: Message): boolean =>
  role === "assistant" && typeof content !== "string" && content.some(isSignature)

/** The reasoning of a request that has a signature, the latest first. */
function* signaturesOf({ messages }: ChatRequest): Generator<Signature> {
  for (let index = messages.length - 1; index >= 0; index -= 1) {
    const message = messages[index]
    if (message?.role === "assistant" && typeof message.content !== "string") yield* message.content.filter(isSignature)
  }
}

/** The maker of the last message with sealed signatures in a request, of this provider or of any; undefined where there is none. */
export const lastMaker = (request: ChatRequest, provider?: string): Maker | undefined => {
  for (const { signature } of signaturesOf(request)) {
    const found = open(signature)
    if (found !== undefined && (provider ?? found.provider) === found.provider) return found
  }
  return undefined
}

/** The signatures in a request that name no maker. */
export const unsealed = (request: ChatRequest): ReadonlyArray<string> =>
  [...signaturesOf(request)].flatMap(({ signature }) => (signature.startsWith(prefix) ? [] : [signature]))

/** The request with the makers of its signatures, where they are known though the signatures do not name them. */
export const claim = (request: ChatRequest, makerOf: (signature: string) => Maker | undefined): ChatRequest => {
  if (!request.messages.some(hasSignature)) return request
  const messages = request.messages.map((message): Message => {
    if (message.role !== "assistant" || typeof message.content === "string" || !hasSignature(message)) return message
    const content = message.content.map((part) => {
      const maker = isSignature(part) ? makerOf(part.signature) : undefined
      return maker === undefined || !isSignature(part) ? part : { ...part, signature: seal(maker, part, { r: true }) }
    })
    return { ...message, content }
  })
  return { ...request, messages }
}

/** What a request is opened for. */
interface Reader {
  readonly provider: string
  /** The name of its wire. */
  readonly wire: string
  /** The accounts whose signatures it can read. */
  readonly accounts: ReadonlySet<string>
}

/** Whether a part of a client's body is of the protocol of the reader: see `wire/native.ts`. */
const isOfProtocol = ({ native, provider }: ReasoningPart, reader: Reader): boolean =>
  provider === reader.provider || (provider === undefined && native?.[reader.wire] !== undefined)

/** The message with what the reader can read. Of other reasoning the text alone is kept, which some servers read. */
const openMessage = (
  message: Message,
  reader: Reader,
  observe: (isRead: boolean, isAsReceived: boolean) => void
): Message => {
  if (message.role !== "assistant" || typeof message.content === "string" || !hasSignature(message)) return message
  const content: Array<AssistantPart> = []
  const ofCalls: Array<Opened> = []
  for (const part of message.content) {
    if (part.type === "tool-call" && ofCalls.length > 0) {
      const index = ofCalls.findIndex(({ call }) => call === part.id)
      // A protocol can rename calls. Then the order decides.
      const [found] = ofCalls.splice(Math.max(0, index), 1)
      content.push(found === undefined ? part : { ...part, ...found.fields })
      continue
    }
    if (!isSignature(part)) {
      content.push(part)
      continue
    }
    const found = open(part.signature)
    if (found === undefined) {
      observe(isOfProtocol(part, reader), true)
      content.push(part)
      continue
    }
    const isOwn = found.provider === reader.provider && reader.accounts.has(found.account)
    observe(isOwn, isOwn && found.isClaimed)
    if (!isOwn) {
      if (part.text !== "") content.push({ type: "reasoning", text: part.text })
    } else if (found.call === undefined) {
      content.push({ type: "reasoning", text: part.text, ...found.fields })
    } else {
      ofCalls.push(found)
    }
  }
  return { ...message, content }
}

export interface OpenedRequest {
  readonly request: ChatRequest
  /** Whether the body of the client has all of its signatures as they are sent. */
  readonly isAsReceived: boolean
}

/** The request as it is sent to an account: with its own signatures, without those of others. */
export const openFor = (
  request: ChatRequest,
  { key, kin = [] }: Pick<Call, "key" | "kin">,
  { provider, wire }: { readonly provider: string; readonly wire: string }
): OpenedRequest => {
  if (!request.messages.some(hasSignature)) return { request, isAsReceived: true }
  let isDropped = false
  let isAsReceived = true
  const accounts = new Set([key.id, ...kin].map((id) => accountOf(provider, id)))
  const messages = request.messages.map((message) =>
    openMessage(message, { provider, wire, accounts }, (isRead, isUnchanged) => {
      isDropped ||= !isRead
      isAsReceived &&= isUnchanged
    })
  )
  RawRequests.report(request, isDropped)
  return { request: { ...request, messages }, isAsReceived }
}

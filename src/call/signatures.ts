/**
 * Signatures and encrypted reasoning for a client of another protocol, and back. They are valid only for the account that made them: what
 * a client gets names it, so that the next turn finds it in whichever process it arrives. Nothing is stored.
 *
 * A sealed signature is `ellm1.`, a header and the signature as the provider sent it. The header is base64url of JSON: the provider,
 * the account as a hash, and the fields that the protocol of the client does not keep. It is not secret and proves nothing: a forged one
 * sends the text of the client to another account, which rejects it.
 *
 * A signature stays sealed until a key was chosen, and is opened for the request with that key, so that no other one gets it.
 */
import { Either, Encoding, Schema } from "effect"
import * as Rendezvous from "../internal/rendezvous.js"
import type { AssistantPart, ChatRequest, ChatResponse, Message, ReasoningPart, ToolCall } from "../vocabulary/Chat.js"
import { Native } from "../vocabulary/Chat.js"
import type { ChatEvent, ReasoningDelta } from "../vocabulary/ChatEvent.js"
import { isRecord, parseJson, string } from "../wire/json.js"
import * as RawRequests from "./rawRequest.js"

const prefix = "ellm1."

/** The provider and the account of an answer. */
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

/** The account of a key: the key itself, since two keys can be of two accounts. */
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

/** Reasoning of a request whose maker is known, though its signature does not name it. */
export const claim = (maker: Maker, part: ReasoningPart & { readonly signature: string }): ReasoningPart => ({
  ...part,
  signature: seal(maker, part, { r: true })
})

export const makerOf = (provider: string, keyId: string): Maker => ({ provider, account: accountOf(provider, keyId) })

/** An answer for a client. */
export const sealResponse = (response: ChatResponse): ChatResponse => ({
  ...response,
  content: sealContent(makerOf(response.provider, response.keyId), response.content)
})

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
    for (const event of events) if (event._tag === "Start") maker = makerOf(event.provider, event.keyId)
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

const hasSealed = ({ content, role }: Message): boolean =>
  role === "assistant" &&
  typeof content !== "string" &&
  content.some((part) => part.type === "reasoning" && part.signature?.startsWith(prefix) === true)

/** The account that made the last sealed signature of this provider in a request; undefined where there is none. */
export const ownerOf = ({ messages }: ChatRequest, provider: string): string | undefined => {
  for (let index = messages.length - 1; index >= 0; index -= 1) {
    const message = messages[index]
    if (message === undefined || typeof message.content === "string" || !hasSealed(message)) continue
    for (const part of message.content) {
      const found = part.type === "reasoning" ? open(part.signature) : undefined
      if (found?.provider === provider) return found.account
    }
  }
  return undefined
}

/** The message with what the maker can read. Of other reasoning the text alone is kept, which some servers read. */
const openMessage = (message: Message, maker: Maker, observe: (found: Opened, isOwn: boolean) => void): Message => {
  if (message.role !== "assistant" || typeof message.content === "string" || !hasSealed(message)) return message
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
    const found = part.type === "reasoning" ? open(part.signature) : undefined
    if (found === undefined || part.type !== "reasoning") {
      content.push(part)
      continue
    }
    const isOwn = found.provider === maker.provider && found.account === maker.account
    observe(found, isOwn)
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
export const openFor = (request: ChatRequest, keyId: string, provider: string): OpenedRequest => {
  if (!request.messages.some(hasSealed)) return { request, isAsReceived: true }
  let isDropped = false
  let isAsReceived = true
  const observe = ({ isClaimed }: Opened, isOwn: boolean): void => {
    isDropped ||= !isOwn
    isAsReceived &&= isOwn && isClaimed
  }
  const maker = makerOf(provider, keyId)
  const messages = request.messages.map((message) => openMessage(message, maker, observe))
  RawRequests.report(request, isDropped)
  return { request: { ...request, messages }, isAsReceived }
}

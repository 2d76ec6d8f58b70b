/** Whole answers: the decoding of their text, and the fields that the client adds. */
import { Either } from "effect"
import type { Attempt } from "../vocabulary/attempt.js"
import type { ChatResponse } from "../vocabulary/Chat.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { parseJson } from "../wire/json.js"
import type { ClientWire, WireFailure, WireResponse } from "../wire/Wire.js"
import { malformed } from "../wire/Wire.js"
import type { Received } from "./failure.js"
import { decodingError, maxAnswerBytes } from "./failure.js"
import { rawProtocolOf, withRawText } from "./passthrough.js"

/** Whether the status is a success. */
export const isSuccess = (status: number): boolean => status >= 200 && status < 300

/** Whether a request for a stream is answered with one text: a server without streams sends JSON, a proxy sends a page. */
export const isWhole = ({ headers }: Received): boolean => /\/json|text\/html/i.test(headers["content-type"] ?? "")

/** Whether the headers announce a longer body than is read. */
export const isDeclaredTooLong = ({ headers }: Received): boolean =>
  Number(headers["content-length"] ?? 0) > maxAnswerBytes

/** Parses and decodes a text. A custom wire can throw, which counts as a malformed answer. */
export const decode = <A>(
  received: Received,
  text: string,
  read: (body: unknown) => Either.Either<A, WireFailure>
): Either.Either<A, LLMError> => {
  const body = parseJson(text)
  const failed = (failure: WireFailure) => Either.left(decodingError(received, failure))
  if (body === undefined || body === null) return failed(malformed("", text))
  let decoded: Either.Either<A, WireFailure>
  try {
    decoded = read(body)
  } catch {
    decoded = Either.left(malformed("", text))
  }
  return Either.isLeft(decoded) ? failed(decoded.left) : Either.right(decoded.right)
}

/** The fields of an answer that the client adds to the decoded ones, without the key. */
export const responseMetadata = ({ call, clock, sentAt, source, status }: Received) => {
  const latency = clock.unsafeCurrentTimeMillis() - sentAt
  const attempt: Attempt = {
    provider: source.provider,
    model: call.model,
    keyId: call.key.id,
    status,
    duration: latency
  }
  return { provider: source.provider, latency, attempts: [attempt] }
}

/** A whole answer. Not by a spread of the decoded one, which takes as long as the rest of the decoding. */
const toResponse = (received: Received, decoded: WireResponse): ChatResponse => {
  const { attempts, latency, provider } = responseMetadata(received)
  const response = {
    id: decoded.id,
    provider,
    model: decoded.model,
    content: decoded.content,
    text: decoded.text,
    reasoning: decoded.reasoning,
    refusal: decoded.refusal,
    toolCalls: decoded.toolCalls,
    finishReason: decoded.finishReason,
    rawFinishReason: decoded.rawFinishReason,
    usage: decoded.usage,
    latency,
    keyId: received.call.key.id,
    attempts,
    providerMetadata: decoded.providerMetadata
  }
  return decoded.cost === undefined ? response : { ...response, cost: decoded.cost }
}

/** Decodes the text of a chat answer, and keeps the text when the caller requests it in this protocol. */
export const decodeChat = (
  received: Received,
  wire: ClientWire,
  text: string,
  rawProtocol?: string
): Either.Either<ChatResponse, LLMError> =>
  Either.map(
    decode(received, text, (body) => wire.decodeResponse(body, received.source)),
    (decoded) => {
      const answer = toResponse(received, decoded)
      return rawProtocol === wire.name ? withRawText(rawProtocolOf(wire), text, answer) : answer
    }
  )

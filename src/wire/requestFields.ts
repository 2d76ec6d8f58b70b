/** Helpers of request encoders. */
import { Either } from "effect"
import type { Json } from "./json.js"
import type { WireFailure } from "./Wire.js"

/** An object with the field; empty when the value is undefined. */
export const optional = (name: string, value: unknown): Json => (value === undefined ? {} : { [name]: value })

export const unsupported = (feature: string): Either.Either<never, WireFailure> =>
  Either.left({ _tag: "Unsupported", feature })

export interface DataUrl {
  /** In lower case; can be empty. */
  readonly mediaType: string
  /** Whether `data` is base64; otherwise it is percent-encoded. */
  readonly base64: boolean
  readonly data: string
}

/** The parts of a `data:` URL (RFC 2397); undefined for other URLs. */
export const parseDataUrl = (url: string): DataUrl | undefined => {
  const [, mediaType, parameters, data] = /^data:([^;,]*)([^,]*),([\s\S]*)$/i.exec(url) ?? []
  return mediaType === undefined || parameters === undefined || data === undefined
    ? undefined
    : { mediaType: mediaType.toLowerCase(), base64: /;base64$/i.test(parameters), data }
}

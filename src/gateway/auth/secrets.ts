/** The secrets of keys as they are configured: in the clear, or as a digest of them. */
import { Redacted } from "effect"
import * as Digest from "./digest.js"

export type Secret = string | Redacted.Redacted<string> | { readonly sha256: string }

const isDigest = (secret: Secret): secret is { readonly sha256: string } =>
  typeof secret === "object" && "sha256" in secret

const redacted = (secret: string | Redacted.Redacted<string>): Redacted.Redacted<string> =>
  Redacted.isRedacted(secret) ? secret : Redacted.make(secret)

/** In hexadecimal digits. */
export const digestOf = (secret: Secret): string =>
  isDigest(secret) ? secret.sha256.toLowerCase() : Digest.of(redacted(secret))

const ofNothing = Digest.of(Redacted.make(""))

/** Printable ASCII without blanks: a header is read up to the first of them (RFC 6750, section 2.1, has fewer still). */
const isSendable = (secret: string): boolean => /^[\x21-\x7e]+$/.test(secret)

/** Why no client could ever use it. */
export const faultsOf = (place: string, secret: Secret): ReadonlyArray<string> => {
  if (digestOf(secret) === ofNothing) return [`${place}: the secret is empty`]
  return isDigest(secret) || isSendable(Redacted.value(redacted(secret)))
    ? []
    : [`${place}: the secret has a character that no header can carry, such as a space`]
}

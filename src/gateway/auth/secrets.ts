/** Secrets of virtual keys: how they are made, digested, compared and checked. */
import { Redacted } from "effect"
import { hash, randomBytes, timingSafeEqual } from "node:crypto"

/** A configured secret, or its SHA-256 in hexadecimal digits. */
export type Secret = string | Redacted.Redacted<string> | { readonly sha256: string }

/**
 * The SHA-256 of a secret in hexadecimal digits. A fast hash without salt is safe for keys of 256 random bits, which cannot be
 * enumerated; a slow one, as for passwords, would only delay every request. Keys that people choose should be as long.
 */
export const digest = (secret: Redacted.Redacted<string>): string => hash("sha256", Redacted.value(secret), "hex")

/** Compares two digests in constant time. */
export const equalDigests = (self: string, that: string): boolean => {
  const [left, right] = [Buffer.from(self, "hex"), Buffer.from(that, "hex")]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** A new key of 256 random bits. */
export const generate = (): Redacted.Redacted<string> =>
  Redacted.make(`sk-llm-${randomBytes(32).toString("base64url")}`)

/** The id of a key: the beginning of its digest, which does not reveal the secret. */
export const idOf = (digest: string): string => `key-${digest.slice(0, 12)}`

const isDigest = (secret: Secret): secret is { readonly sha256: string } =>
  typeof secret === "object" && "sha256" in secret

const redacted = (secret: string | Redacted.Redacted<string>): Redacted.Redacted<string> =>
  Redacted.isRedacted(secret) ? secret : Redacted.make(secret)

/** The digest of a configured secret. */
export const digestOf = (secret: Secret): string =>
  isDigest(secret) ? secret.sha256.toLowerCase() : digest(redacted(secret))

const emptyDigest = digest(Redacted.make(""))

/**
 * Printable ASCII without blanks: a header is read up to the first blank (RFC 6750, section 2.1, allows even fewer characters).
 */
const isSendable = (secret: string): boolean => /^[\x21-\x7e]+$/.test(secret)

/** The reasons why no client can send a secret. */
export const faultsOf = (path: string, secret: Secret): ReadonlyArray<string> => {
  if (digestOf(secret) === emptyDigest) return [`${path}: the secret is empty`]
  return isDigest(secret) || isSendable(Redacted.value(redacted(secret)))
    ? []
    : [`${path}: the secret has a character that no header can carry, such as a space`]
}

/** How secrets are made, kept and compared. */
import { Redacted } from "effect"
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"

/**
 * What is kept of a secret. A plain SHA-256 is right for keys of 256 random bits: nobody can go through them, so there is nothing
 * that a slow hash with salt, as for passwords, would add but time on every request. Keys that people make up should be as long.
 */
export const of = (secret: Redacted.Redacted<string>): string =>
  createHash("sha256").update(Redacted.value(secret)).digest("hex")

/** Takes as long whatever the two have in common. Both are digests, and so of one length. */
export const equal = (one: string, other: string): boolean => {
  const [left, right] = [Buffer.from(one, "hex"), Buffer.from(other, "hex")]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** A new key, of 256 random bits. */
export const newKey = (): Redacted.Redacted<string> => Redacted.make(`sk-llm-${randomBytes(32).toString("base64url")}`)

/** A name for a key that does not give it away: the beginning of its digest. */
export const idOf = (digest: string): string => `key-${digest.slice(0, 12)}`

/** A short name for a text of any length that no other text has. */
import type { Option } from "effect"
import { Effect, Encoding } from "effect"

const encoder = new TextEncoder()

/** SHA-256 by Web Crypto, in hexadecimal; none where there is no Web Crypto (an insecure page). */
export const digest = (text: string): Effect.Effect<Option.Option<string>> =>
  Effect.option(
    Effect.map(
      Effect.tryPromise(() => crypto.subtle.digest("SHA-256", encoder.encode(text))),
      (bytes) => Encoding.encodeHex(new Uint8Array(bytes))
    )
  )

/** SHA-256 hex digests. */
import type { Option } from "effect"
import { Effect, Encoding } from "effect"

const encoder = new TextEncoder()

/** SHA-256 by Web Crypto, as hexadecimal digits; `None` where Web Crypto is missing (a page without TLS). */
export const digest = (text: string): Effect.Effect<Option.Option<string>> =>
  Effect.option(
    Effect.map(
      Effect.tryPromise(() => crypto.subtle.digest("SHA-256", encoder.encode(text))),
      (bytes) => Encoding.encodeHex(new Uint8Array(bytes))
    )
  )

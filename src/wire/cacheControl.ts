/** The field `cache_control` of a part, tool or message. Chat Completions has it from Anthropic. */
import type { Json } from "./json.js"
import { record, withoutNulls } from "./json.js"

const ttls: ReadonlySet<unknown> = new Set(["5m", "1h"])

/** The cache control, without a `ttl` that the vocabulary does not have. */
export const decodeCacheControl = (from: Json): Json => {
  const control = record(from, "cache_control")
  if (control === undefined) return {}
  const ttl = control["ttl"]
  return { cacheControl: ttls.has(ttl) ? { ttl } : {} }
}

/** The field, unchanged, when the vocabulary does not cover its value. */
export const unknownCacheControl = (from: Json): Json | undefined => {
  const control = record(from, "cache_control")
  const isKnown =
    control === undefined ||
    Object.entries(withoutNulls(control)).every(
      ([field, value]) => (field === "type" && value === "ephemeral") || (field === "ttl" && ttls.has(value))
    )
  return isKnown ? undefined : { cache_control: control }
}

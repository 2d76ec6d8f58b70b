/** Reads `on_disconnect` of a model of a provider file. */
import type { OnDisconnect } from "../call/disconnect.js"
import { isRecord } from "../wire/json.js"
import { fieldsOf } from "./fileFields.js"
import type { Context } from "./filePrice.js"
import { warnOfUnknownFields } from "./filePrice.js"

const expected =
  'expected "cancel", "detach", or an object such as { "drain": { "max_tokens": 2000, "max_seconds": 20 } }'

const drainFields: ReadonlySet<string> = new Set(["max_tokens", "max_seconds"])

export const readOnDisconnect = (json: unknown, path: string, context: Context): OnDisconnect | undefined => {
  if (json === undefined || json === null) return undefined
  if (json === "cancel" || json === "detach") return json
  const drain = isRecord(json) ? json["drain"] : undefined
  if (!isRecord(json) || !isRecord(drain)) {
    context.addFault(path, expected)
    return undefined
  }
  warnOfUnknownFields(json, path, new Set(["drain"]), context)
  const at = `${path}.drain`
  warnOfUnknownFields(drain, at, drainFields, context)
  const fields = fieldsOf(drain, at, context.addFault, context.expand)
  for (const field of drainFields) if (drain[field] === undefined) context.addFault(fields.at(field), "is missing")
  const maxTokens = fields.positive("max_tokens")
  const maxSeconds = fields.positive("max_seconds")
  return maxTokens === undefined || maxSeconds === undefined
    ? undefined
    : { drain: { maxTokens, maxMillis: maxSeconds * 1000 } }
}

/**
 * Fields and items that only the Responses protocol has: native fields of the decoded message, part or call. A text or a refusal
 * of the assistant has the fields of its message item in `message`. An item that the vocabulary does not cover is a provider part
 * with the field `item`.
 */
import type { AssistantPart, UserPart } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord } from "../json.js"
import * as Native from "../native.js"

export const native = Native.make("responses")

/** Returns the native fields of a part that may be written: all of them, or those that a provider can read. */
export type ReadFields = (part: Native.PartWithNative) => Json | undefined

/** The item in a provider part; undefined for every other part. */
export const nativeItem = (part: AssistantPart | UserPart, read: ReadFields = native.fieldsOf): Json | undefined => {
  const item = part.type === "provider" ? read(part)?.["item"] : undefined
  return isRecord(item) ? item : undefined
}

/** The fields of the message item of a part; undefined when it has none. */
export const messageFieldsOf = (fields: Json | undefined): Json | undefined => {
  const message = fields?.["message"]
  return isRecord(message) ? message : undefined
}

/** Whether parts with these fields of their message items are of one item: with the same id, or with the same fields. */
export const isSameMessage = (one: Json | undefined, other: Json | undefined): boolean =>
  one?.["id"] === undefined && other?.["id"] === undefined
    ? JSON.stringify(one ?? {}) === JSON.stringify(other ?? {})
    : one?.["id"] === other?.["id"]

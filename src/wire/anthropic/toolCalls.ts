/** Tool calls as blocks. Their arguments are an object, and their ids are restricted to a few characters. */
import type { ToolCall } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, parseJson } from "../json.js"
import { knownFields } from "../native.js"
import { native } from "./native.js"

/** The arguments as an object. Free text, and JSON that is truncated or not an object, becomes the field `input`. */
export const inputOf = (call: ToolCall): Json => {
  if (call.type === undefined && call.arguments.trim() === "") return {}
  const value = call.type === undefined ? parseJson(call.arguments) : undefined
  return isRecord(value) ? value : { input: call.arguments }
}

/** An id, possibly of another provider, in the allowed characters. */
export const callId = (id: string): string => id.replace(/[^a-zA-Z0-9_-]/g, "_")

export const callBlock = (call: ToolCall): Json =>
  native.encode({ type: "tool_use", id: callId(call.id), name: call.name, input: inputOf(call) }, call)

const callFields = knownFields(["type", "id", "name", "input"])

export const decodeNativeCall = (block: Json): Json => native.decode(block, callFields)

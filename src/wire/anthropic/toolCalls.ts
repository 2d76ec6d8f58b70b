/** Tool calls as blocks. Their arguments are an object, and their ids are restricted to a few characters. */
import type { ToolCall } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, parseJson } from "../json.js"
import { knownFields } from "../native.js"

/** The arguments as an object. Free text, and JSON that is truncated or not an object, becomes the field `input`. */
export const inputOf = ({ arguments: args, custom }: Pick<ToolCall, "arguments" | "custom">): Json => {
  if (custom === undefined && args.trim() === "") return {}
  const value = custom === undefined ? parseJson(args) : undefined
  return isRecord(value) ? value : { input: args }
}

/** An id, possibly of another provider, in the allowed characters. */
export const callId = (id: string): string => id.replace(/[^a-zA-Z0-9_-]/g, "_")

/** The block without native fields. */
export const callBlock = (call: ToolCall): Json => ({
  type: "tool_use",
  id: callId(call.id),
  name: call.name,
  input: inputOf(call)
})

/** The fields that a tool call covers. Another is `caller`, which says whether code of the model made the call. */
export const callFields = knownFields(["type", "id", "name", "input"])

/** Tool calls as the protocol writes them: their arguments are an object, and their ids are of few characters. */
import type { ToolCall } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, parseJson } from "../json.js"
import { knownFields } from "../native.js"
import { native } from "./native.js"

/** The arguments as an object; a text that is none, as it may come from other providers or a cut, in the field `input`. */
export const inputOf = (call: ToolCall): Json => {
  if (call.type === undefined && call.arguments.trim() === "") return {}
  const value = call.type === undefined ? parseJson(call.arguments) : undefined
  return isRecord(value) ? value : { input: call.arguments }
}

/** An id that another provider gave, in the characters that are allowed here. */
export const callId = (id: string): string => id.replace(/[^a-zA-Z0-9_-]/g, "_")

/** A call, as the client sends it back and as a server writes it. */
export const callBlock = (call: ToolCall): Json =>
  native.encode({ type: "tool_use", id: callId(call.id), name: call.name, input: inputOf(call) }, call)

const callFields = knownFields(["type", "id", "name", "input"])

/** What is said of a call beside it. */
export const furtherOfCall = (block: Json): Json => native.decode(block, callFields)

/** Native fields of Chat Completions. */
import type { ProviderPart } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { record } from "../json.js"
import * as Native from "../native.js"

export const native = Native.make("chat-completions")

/**
 * A part with fields of the message itself, which the next turn needs back. Every other part of this protocol is an entry of the
 * content.
 */
export const messagePart = (fields: Json, provider: string): ProviderPart => native.part({ message: fields }, provider)

/** The fields of the message in a part; undefined when it is an entry of the content. */
export const messageFieldsOf = (part: Json): Json | undefined =>
  part["type"] === undefined ? record(part, "message") : undefined

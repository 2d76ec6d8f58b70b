/** Native fields of Chat Completions. */
import * as Native from "../native.js"

export const native = Native.make("chat-completions")

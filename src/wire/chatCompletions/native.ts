/** What only Chat Completions has a word for. */
import * as Native from "../native.js"

export const native = Native.make("chat-completions")

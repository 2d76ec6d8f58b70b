/** What only the Messages protocol has a word for. */
import * as Native from "../native.js"

export const native = Native.make("anthropic-messages")

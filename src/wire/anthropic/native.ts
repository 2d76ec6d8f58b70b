/** Fields and parts that only the Messages protocol has. */
import * as Native from "../native.js"

export const native = Native.make("anthropic-messages")

/** Fields and parts that only the Gemini protocol has. */
import * as Native from "../native.js"

export const native = Native.make("gemini")

/**
 * Fields and items that only the Responses protocol has. The fields of an item are native fields of the decoded message,
 * reasoning or call; an item that the vocabulary does not cover is a native part with the field `item`.
 */
import * as Native from "../native.js"

export const native = Native.make("responses")

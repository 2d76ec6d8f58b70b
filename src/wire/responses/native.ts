/**
 * What only the Responses protocol has a word for. The fields of an item stand on the message, the thought or the call that it is;
 * an item that the vocabulary has no word for is a part under `item`.
 */
import * as Native from "../native.js"

export const native = Native.make("responses")

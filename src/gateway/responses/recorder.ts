/** Stores the answers of `/v1/responses` beside sending them, in plain code: the route of a request takes no step for it. */
import type { Chunk } from "effect"
import { Chunk as Chunks } from "effect"
import * as RawResponses from "../../call/passthrough.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type { Json } from "../../wire/json.js"
import { isRecord, parseJson, record, string } from "../../wire/json.js"
import * as RawFrames from "../../wire/rawFrames.js"
import type { StreamEncoder } from "../chat/sse.js"
import type { Service as ResponseStore } from "../ResponseStore.js"
import type { Account, Stored } from "./model.js"
import { encode, keyOf, newId, outputItems } from "./model.js"

/** Stores an answer, and where to find each of its items. */
export const store = (store: Pick<ResponseStore, "unsafeSet">, callerId: string, stored: Omit<Stored, "version">) => {
  const id = string(stored.response, "id") ?? ""
  if (id === "") return
  store.unsafeSet(keyOf(callerId, "response", id), encode(stored))
  for (const item of outputItems(stored)) {
    const itemId = string(item, "id") ?? ""
    if (itemId !== "") store.unsafeSet(keyOf(callerId, "item", itemId), id)
  }
}

/** The id of an answer that the gateway encodes. Ids of other protocols are not unique, or missing. */
export const idOf = (providerId: string): string => (/^resp_./.test(providerId) ? providerId : newId())

/** Stores the answer to one request. `owner`: the account that has the answer, too. */
export type Recorder = (response: Json, owner: Account | undefined) => void

const utf8 = new TextEncoder()

/** The frames with a whole answer. OpenAI, API reference: responses-streaming. */
const endTypes: ReadonlySet<unknown> = new Set(["response.completed", "response.incomplete"])

/** The answer in the last bytes of a stream. */
const answerIn = (bytes: string | Uint8Array): Json | undefined => {
  for (const { frames } of RawFrames.split(typeof bytes === "string" ? utf8.encode(bytes) : bytes)) {
    for (const { data } of frames) {
      const event = parseJson(data)
      if (isRecord(event) && endTypes.has(event["type"])) return record(event, "response")
    }
  }
  return undefined
}

/** Stores the answer at the end of its stream. A stream that is cut off or fails is not stored. */
export const recording = (
  encoder: StreamEncoder<ChatEvent>,
  wireName: string,
  recorder: Recorder
): StreamEncoder<ChatEvent> => {
  let source: Account | undefined
  return {
    ...encoder,
    write: (events: Chunk.Chunk<ChatEvent>) => {
      const written = encoder.write(events)
      for (const event of events) if (event._tag === "Start") source = event
      const last = Chunks.last(events)
      if (last._tag === "None" || last.value._tag !== "Finish") return written
      const isNative = typeof written !== "string" && RawResponses.relayOf(wireName, events)?.isFaithful === true
      const answer = answerIn(written)
      if (answer !== undefined) {
        recorder(answer, isNative ? source : undefined)
      }
      return written
    }
  }
}

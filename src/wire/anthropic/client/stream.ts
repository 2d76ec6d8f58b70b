/** The client reads a stream. Anthropic, "Streaming Messages": the flow of events. */
import type { Json } from "../../json.js"
import { array, isRecord, number, parsed, record, string } from "../../json.js"
import type { AnswerSource, Frame, StreamDecoder, WireEvent, WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader, reportedError } from "./answer.js"

/** The reader of one stream. */
export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const answer = answerReader(source)
  let state: StreamDecoder["state"] = "open"
  let begun = false

  const finish = (out: Array<WireEvent>): undefined => {
    state = "done"
    answer.finish(out)
  }

  const read = (type: string, event: Json, out: Array<WireEvent>): WireFailure | undefined => {
    const position = number(event, "index") ?? 0
    switch (type) {
      case "message_start": {
        const message = record(event, "message")
        if (message === undefined) return malformed("message", event["message"])
        answer.begin(message)
        // Some proxies send it twice.
        if (begun) return undefined
        begun = true
        return answer.wholeBlocks(array(message, "content") ?? [], "message.content", out)
      }
      case "content_block_start": {
        const block = record(event, "content_block")
        if (block === undefined) return malformed("content_block", event["content_block"])
        return answer.blockStart(position, block, out)
      }
      case "content_block_delta":
        return answer.blockDelta(position, record(event, "delta") ?? {}, out) ?? undefined
      case "content_block_stop":
        return answer.blockStop(position, out) ?? undefined
      case "message_delta":
        if (answer.messageDelta(event)) state = "finishing"
        return undefined
      case "message_stop":
        return finish(out)
      case "error":
        return { _tag: "Reported", body: event }
      default:
        // `ping`, and what is yet to come.
        return reportedError(event)
    }
  }

  return {
    get id() {
      return answer.id()
    },
    get model() {
      return answer.model()
    },
    get state() {
      return state
    },
    get usage() {
      return answer.usage()
    },
    push: ({ data, event: name }: Frame, out) => {
      if (state === "done" || data.trim() === "") return undefined
      // The end of other protocols, which some proxies add.
      if (data.trim() === "[DONE]") return state === "finishing" ? finish(out) : { _tag: "Truncated" }
      const event = parsed(data)
      if (name === "error") return { _tag: "Reported", body: event ?? data }
      if (!isRecord(event)) return malformed("", data)
      return read(string(event, "type") ?? name ?? "", event, out)
    },
    end: (out) => {
      if (state === "done") return undefined
      return state === "finishing" ? finish(out) : { _tag: "Truncated" }
    }
  }
}

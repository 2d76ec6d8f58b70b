/** Decodes streams. Source: Anthropic, "Streaming Messages", the event flow. */
import { streamDecoder, truncated } from "../../answerReader.js"
import type { Json } from "../../json.js"
import { array, isRecord, number, parseJson, record, string } from "../../json.js"
import * as TextRuns from "../../textRun.js"
import type { AnswerSource, StreamDecoder, WireEvent, WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader, reportedError } from "./answer.js"

const runs = TextRuns.make({ text: "text", ignored: [] })

export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const answer = answerReader(source)
  let started = false

  const read = (type: string, event: Json, out: Array<WireEvent>): StreamDecoder["state"] | WireFailure | undefined => {
    const position = number(event, "index") ?? 0
    switch (type) {
      case "message_start": {
        const message = record(event, "message")
        if (message === undefined) return malformed("message", event["message"])
        answer.begin(message)
        // Some proxies send it twice.
        if (started) return undefined
        started = true
        return answer.wholeBlocks(array(message, "content") ?? [], "message.content", out)
      }
      case "content_block_start": {
        const block = record(event, "content_block")
        if (block === undefined) return malformed("content_block", event["content_block"])
        return answer.blockStart(position, block, out)
      }
      case "content_block_delta":
        answer.blockDelta(position, record(event, "delta") ?? {}, out)
        return undefined
      case "content_block_stop":
        answer.blockStop(position, out)
        return undefined
      case "message_delta":
        return answer.messageDelta(event) ? "finishing" : undefined
      case "message_stop":
        return "done"
      case "error":
        return { _tag: "Reported", body: event }
      default:
        // `ping`, and events of later versions.
        return reportedError(event)
    }
  }

  return streamDecoder(
    answer,
    ({ data, event: name }, out, state) => {
      const text = data.trim()
      if (text === "") return undefined
      // Some proxies add the end marker of another protocol.
      if (text === "[DONE]") return state === "finishing" ? "done" : truncated
      const event = parseJson(data)
      if (name === "error") return { _tag: "Reported", body: event ?? data }
      return isRecord(event) ? read(string(event, "type") ?? name ?? "", event, out) : malformed("", data)
    },
    { begin: runs, addText: answer.addText }
  )
}

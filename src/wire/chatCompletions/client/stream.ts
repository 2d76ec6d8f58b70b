/** Decodes streams. OpenAI, API reference: chat/streaming. */
import { streamDecoder, truncated } from "../../answerReader.js"
import type { Json } from "../../json.js"
import { array, isRecord, parseJson } from "../../json.js"
import * as TextRuns from "../../textRun.js"
import type { AnswerSource, StreamDecoder } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { isTextAlone, padding } from "../metadata.js"
import { answerReader, reportedError } from "./answer.js"

const runs = TextRuns.make({ text: "content", ignored: padding })

export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const answer = answerReader(source)
  let last: Json = {}
  const addText = () => (isTextAlone(last) ? answer.addText : undefined)
  return streamDecoder(
    answer,
    ({ data, event }, out) => {
      if (data.startsWith("[DONE]")) return answer.stopped() || answer.endedWithUsage() ? "done" : truncated
      // Some servers keep the connection alive with data such as `:keepalive:`.
      if (data === "" || data.startsWith(":")) return undefined
      const chunk = parseJson(data)
      if (event === "error") return { _tag: "Reported", body: chunk ?? data }
      if (!isRecord(chunk)) return malformed("", data)
      const error = reportedError(chunk)
      if (error !== undefined) return { _tag: "Reported", body: error }
      answer.read(chunk, out)
      last = chunk
      if (!answer.stopped()) return "open"
      // After the finish reason, a chunk with the usage and without a choice is the last one.
      return answer.hasUsage() && (array(chunk, "choices") ?? []).length === 0 ? "done" : "finishing"
    },
    { begin: runs, addText }
  )
}

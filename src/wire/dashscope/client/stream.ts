/** Decodes streams. alibabacloud.com/help/en/model-studio/stream */
import { streamDecoder } from "../../answerReader.js"
import { isRecord, parseJson } from "../../json.js"
import type { AnswerSource, StreamDecoder } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader, reportedError } from "../answer.js"

/** A stream ends with the finish reason and the last counts, usually in one event. There is no other marker of the end. */
export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const answer = answerReader(source)
  return streamDecoder(answer, ({ data, event }, out) => {
    if (data === "" || data.startsWith("[DONE]")) return undefined
    const body = parseJson(data)
    if (event === "error") return { _tag: "Reported", body: body ?? data }
    if (!isRecord(body)) return malformed("", data)
    const error = reportedError(body)
    if (error !== undefined) return { _tag: "Reported", body: error }
    answer.read(body, out)
    if (!answer.stopped()) return undefined
    return answer.hasUsage() ? "done" : "finishing"
  })
}

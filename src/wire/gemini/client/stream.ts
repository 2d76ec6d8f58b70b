/** The client reads a stream. Source: Gemini API, "models.streamGenerateContent". */
import { streamDecoder } from "../../answerReader.js"
import { parseJson } from "../../json.js"
import type { AnswerSource, StreamDecoder } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader } from "./answer.js"

/** The only mark of the end is the finish reason, after which more can follow: the stream is complete when its bytes end. */
export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const answer = answerReader(source)
  return streamDecoder(answer, ({ data }, out) => {
    // Some gateways add the end mark of another protocol.
    if (data.trim() === "" || data.startsWith("[DONE]")) return undefined
    const piece = parseJson(data)
    const failure = piece === undefined ? malformed("", data) : answer.read(piece, out)
    return failure ?? (answer.stopped() ? "finishing" : "open")
  })
}

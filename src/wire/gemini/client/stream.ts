/** Decodes streams. Source: Gemini API, "models.streamGenerateContent". */
import { streamDecoder } from "../../answerReader.js"
import { parseJson } from "../../json.js"
import type { AnswerSource, StreamDecoder } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader } from "./answer.js"

/** The protocol has no end marker, and output can follow a finish reason: a stream is complete when its bytes end after one. */
export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const answer = answerReader(source)
  return streamDecoder(answer, ({ data }, out) => {
    // Some gateways add the end marker of another protocol.
    if (data.trim() === "" || data.startsWith("[DONE]")) return undefined
    const chunk = parseJson(data)
    const failure = chunk === undefined ? malformed("", data) : answer.read(chunk, out)
    return failure ?? (answer.stopped() ? "finishing" : "open")
  })
}

/** The client reads a stream. Gemini API, "models.streamGenerateContent": it has no mark of its end but the reason. */
import { parsed } from "../../json.js"
import type { AnswerSource, Frame, StreamDecoder } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader } from "./answer.js"

export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const answer = answerReader(source)
  let done = false
  return {
    get id() {
      return answer.id()
    },
    get model() {
      return answer.model()
    },
    get state() {
      return done ? "done" : answer.stopped() ? "finishing" : "open"
    },
    get usage() {
      return answer.usage()
    },
    push: ({ data }: Frame, out) => {
      // Gateways add the mark that other protocols end with.
      if (done || data.trim() === "" || data.startsWith("[DONE]")) return undefined
      const piece = parsed(data)
      return piece === undefined ? malformed("", data) : answer.read(piece, out)
    },
    end: (out) => {
      if (done) return undefined
      if (!answer.stopped()) return { _tag: "Truncated" }
      done = true
      answer.finish(out)
      return undefined
    }
  }
}

/** A streamed answer as Ollama writes it, one JSON text a line. docs.ollama.com/api/streaming */
import { isRecord, parsed } from "../../json.js"
import type { AnswerSource, StreamDecoder } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader, reportedError } from "../answer.js"

/** The reader of one stream. The line that says `done` is the last one and has the usage. */
export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const answer = answerReader(source)
  let state: StreamDecoder["state"] = "open"
  return {
    id: "",
    get model() {
      return answer.model()
    },
    get state() {
      return state
    },
    get usage() {
      return answer.usage()
    },
    push: (frame, out) => {
      if (state === "done") return undefined
      const line = parsed(frame.data)
      if (!isRecord(line)) return malformed("", frame.data)
      const failure = reportedError(line) ?? answer.read(line, out)
      if (failure !== undefined || !answer.done()) return failure
      state = "done"
      answer.finish(out)
      return undefined
    },
    end: () => (state === "done" ? undefined : { _tag: "Truncated" })
  }
}

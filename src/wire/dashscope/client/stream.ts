/** A streamed answer as DashScope writes it. alibabacloud.com/help/en/model-studio/stream */
import { isRecord, parsed } from "../../json.js"
import type { AnswerSource, StreamDecoder, WireEvent } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader, reportedError } from "../answer.js"

/** The reader of one stream. Nothing marks its end but the reason to stop, with the last counts beside it. */
export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const answer = answerReader(source)
  let state: StreamDecoder["state"] = "open"

  const finish = (out: Array<WireEvent>): undefined => {
    state = "done"
    answer.finish(out)
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
    push: ({ data, event }, out) => {
      if (state === "done" || data === "" || data.startsWith("[DONE]")) return undefined
      const body = parsed(data)
      if (event === "error") return { _tag: "Reported", body: body ?? data }
      if (!isRecord(body)) return malformed("", data)
      const error = reportedError(body)
      if (error !== undefined) return { _tag: "Reported", body: error }
      answer.read(body, out)
      if (!answer.stopped()) return undefined
      if (answer.counted()) return finish(out)
      state = "finishing"
      return undefined
    },
    end: (out) => {
      if (state === "done") return undefined
      return answer.stopped() ? finish(out) : { _tag: "Truncated" }
    }
  }
}

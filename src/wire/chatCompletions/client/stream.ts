/** A streamed answer as Chat Completions writes it. OpenAI, API reference: chat/streaming. */
import { array, isRecord, parsed } from "../../json.js"
import type { AnswerSource, Frame, StreamDecoder, WireEvent, WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader, reportedError } from "./answer.js"

/** The reader of one stream. */
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
    push: (frame: Frame, out: Array<WireEvent>): WireFailure | undefined => {
      const { data, event } = frame
      if (state === "done") return undefined
      if (data.startsWith("[DONE]")) return answer.stopped() || answer.closed() ? finish(out) : { _tag: "Truncated" }
      // Some keep a connection alive with a word of their own, such as `:keepalive:`.
      if (data === "" || data.startsWith(":")) return undefined
      const chunk = parsed(data)
      if (event === "error") return { _tag: "Reported", body: chunk ?? data }
      if (!isRecord(chunk)) return malformed("", data)
      const error = reportedError(chunk)
      if (error !== undefined) return { _tag: "Reported", body: error }
      answer.read(chunk, out)
      if (!answer.stopped()) return undefined
      state = "finishing"
      // After the reason, a chunk with the usage and without a choice is the last one.
      return answer.counted() && (array(chunk, "choices") ?? []).length === 0 ? finish(out) : undefined
    },
    end: (out) => {
      if (state === "done") return undefined
      return answer.stopped() ? finish(out) : { _tag: "Truncated" }
    }
  }
}

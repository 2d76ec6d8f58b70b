/** A streamed answer as DashScope writes it. alibabacloud.com/help/en/model-studio/stream */
import { isRecord } from "../json.js"
import type { AnswerSource, StreamDecoder } from "../Wire.js"
import { malformed } from "../Wire.js"
import { answerReader, reportedError } from "./answer.js"

const parse = (data: string): unknown => {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}

/** The reader of one stream. Nothing marks its end but the reason, and counts may come after that. */
export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const answer = answerReader(source)
  let state: StreamDecoder["state"] = "open"
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
      const body = parse(data)
      if (event === "error") return { _tag: "Reported", body: body ?? data }
      if (!isRecord(body)) return malformed("", data)
      const error = reportedError(body)
      if (error !== undefined) return { _tag: "Reported", body: error }
      answer.read(body, out)
      if (answer.stopped()) state = "finishing"
      return undefined
    },
    end: (out) => {
      if (state === "done") return undefined
      if (state === "open") return { _tag: "Truncated" }
      state = "done"
      answer.finish(out)
      return undefined
    }
  }
}

/** Decodes streams. docs.ollama.com/api/streaming */
import { streamDecoder } from "../../answerReader.js"
import { isRecord, parseJson } from "../../json.js"
import type { AnswerSource, StreamDecoder } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader, reportedError } from "../answer.js"

/** The line with `done` is the last one and contains the usage. */
export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const answer = answerReader(source)
  return streamDecoder(answer, ({ data }, out) => {
    const line = parseJson(data)
    if (!isRecord(line)) return malformed("", data)
    return reportedError(line) ?? answer.read(line, out) ?? (answer.done() ? "done" : undefined)
  })
}

/**
 * Citations and log probabilities: fields of a text in this protocol, and of the whole answer in Chat Completions and Ollama, which have one
 * text. OpenAI, API reference: chat/object (`annotations`, `logprobs`); Open Responses, `UrlCitationBody` and `LogProb`.
 */
import type { AssistantPart } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { array, isRecord, number, record, records, string } from "../../json.js"
import { native } from "../native.js"

const utf8 = new TextEncoder()

const tokenOf = (entry: Json): Json => {
  const token = string(entry, "token") ?? ""
  return { token, logprob: number(entry, "logprob") ?? 0, bytes: array(entry, "bytes") ?? [...utf8.encode(token)] }
}

const logprobsOf = (metadata: Json): ReadonlyArray<Json> =>
  (array(metadata, "logprobs") ?? records(record(metadata, "logprobs") ?? {}, "content"))
    .filter(isRecord)
    .map((entry) => ({ ...tokenOf(entry), top_logprobs: records(entry, "top_logprobs").map(tokenOf) }))

/** Some servers leave the place of a citation in the text out. */
const citationsOf = (metadata: Json): ReadonlyArray<Json> =>
  records(metadata, "annotations").flatMap((annotation) => {
    const citation = record(annotation, "url_citation") ?? {}
    const url = string(citation, "url")
    return url === undefined
      ? []
      : [
          {
            type: "url_citation",
            url,
            title: string(citation, "title") ?? "",
            start_index: number(citation, "start_index") ?? 0,
            end_index: number(citation, "end_index") ?? 0
          }
        ]
  })

/** The parts of the last message, whose last text has the citations and log probabilities in the metadata of its answer. */
export const lastTextWith = <A extends AssistantPart>(parts: ReadonlyArray<A>, metadata: Json): Array<A> => {
  const logprobs = logprobsOf(metadata)
  const annotations = citationsOf(metadata)
  const index = parts.findLastIndex(({ type }) => type === "text")
  const part = parts[index]
  if (part === undefined || (logprobs.length === 0 && annotations.length === 0)) return [...parts]
  const fields = {
    ...(annotations.length === 0 ? {} : { annotations }),
    ...(logprobs.length === 0 ? {} : { logprobs }),
    ...native.fieldsOf(part)
  }
  return parts.with(index, { ...part, native: { ...part.native, ...native.wrap(fields).native } })
}

/** The filter of the request log: words that occur anywhere, and words for one field such as `status:429`. */
import type { LoggedRequest } from "../requestLog.js"

type Texts = Readonly<Record<string, string>>

const textsOf = (request: LoggedRequest): Texts => ({
  client: `${request.client} ${request.clientKey}`,
  model: request.model,
  deployment: `${request.provider}/${request.answeredBy}`,
  key: request.keyId,
  status: String(request.status ?? ""),
  outcome: request.refused ? `${request.outcome} refused` : request.outcome,
  operation: `${request.operation} ${request.streamed ? "streamed" : "whole"}`,
  id: request.requestId,
  message: request.message ?? "",
  attempts: String(request.attempts.length)
})

/** Makes the test of a filter: every word must match, in any case. */
export const parse = (filter: string): ((request: LoggedRequest) => boolean) => {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return () => true
  return (request) => {
    const texts = textsOf(request)
    const all = Object.values(texts).join("\n").toLowerCase()
    return words.every((word) => {
      const [, name = "", value = ""] = /^([a-z]+):(.*)$/.exec(word) ?? []
      const text = Object.hasOwn(texts, name) ? texts[name] : undefined
      if (text === undefined) return all.includes(word)
      return name === "attempts" ? text === value : text.toLowerCase().includes(value)
    })
  }
}

/** Files of the request log. */
import type { LoggedRequest } from "../requestLog.js"

const columns: ReadonlyArray<readonly [string, (request: LoggedRequest) => string | number | undefined]> = [
  ["started_at", ({ startedAt }) => new Date(startedAt).toISOString()],
  ["request_id", ({ requestId }) => requestId],
  ["client", ({ client }) => client],
  ["client_key", ({ clientKey }) => clientKey],
  ["model", ({ model }) => model],
  ["provider", ({ provider }) => provider],
  ["answered_by", ({ answeredBy }) => answeredBy],
  ["key_id", ({ keyId }) => keyId],
  ["status", ({ status }) => status],
  ["outcome", ({ outcome }) => outcome],
  ["input_tokens", ({ inputTokens }) => inputTokens],
  ["output_tokens", ({ outputTokens }) => outputTokens],
  ["cost_dollars", ({ cost }) => cost],
  ["latency_ms", ({ latency }) => Math.round(latency)],
  ["time_to_first_event_ms", ({ timeToFirstEvent }) => timeToFirstEvent && Math.round(timeToFirstEvent)],
  ["waited_for_permit_ms", ({ waitedForPermit }) => waitedForPermit],
  ["waited_for_key_ms", ({ waitedForKey }) => waitedForKey],
  ["attempts", ({ attempts }) => attempts.length]
]

/** A field that a client wrote must not be a formula in a spreadsheet. */
const cell = (value: string | number | undefined): string => {
  const text = String(value ?? "")
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

export const csv = (requests: ReadonlyArray<LoggedRequest>): string =>
  [
    columns.map(([name]) => name).join(","),
    ...requests.map((request) => columns.map(([, valueOf]) => cell(valueOf(request))).join(","))
  ].join("\r\n")

export const download = (name: string, type: string, content: string): void => {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(new Blob([content], { type }))
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
}

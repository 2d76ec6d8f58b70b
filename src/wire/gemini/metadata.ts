/** What Gemini says beside the answer, kept in its own words. */
import type { Json } from "../json.js"
import { isRecord } from "../json.js"

/** What the vocabulary says of an answer, and the provider's clock. */
const knownOfBody: ReadonlySet<string> = new Set([
  "candidates",
  "createTime",
  "modelVersion",
  "responseId",
  "usageMetadata"
])

const knownOfCandidate: ReadonlySet<string> = new Set(["content", "finishReason", "index"])

/** Said of the answer, not of the candidate. */
const ofBody: ReadonlySet<string> = new Set(["promptFeedback", "modelStatus"])

/** Made by this wire: what else the usage says, parts of other kinds, and candidates other than the first. */
const ours: ReadonlySet<string> = new Set(["usage", "parts", "candidates"])

/** Sources that are told in each piece for that piece. Everything else is told anew. */
const told: ReadonlySet<string> = new Set(["citations", "citationSources"])

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (isRecord(value) && Object.keys(value).length === 0)

const merged = (before: unknown, after: unknown): unknown => {
  if (!isRecord(before) || !isRecord(after)) return after
  const both = Object.entries(after).map(([field, value]): readonly [string, unknown] => {
    const earlier = before[field]
    return [field, told.has(field) && Array.isArray(earlier) && Array.isArray(value) ? [...earlier, ...value] : value]
  })
  return { ...before, ...Object.fromEntries(both) }
}

const keep = (into: Record<string, unknown>, from: Json, known: ReadonlySet<string>): void => {
  for (const [field, value] of Object.entries(from)) {
    if (!known.has(field) && !isEmpty(value)) into[field] = merged(into[field], value)
  }
}

/** Keeps what an answer, or a piece of one, says of its candidate and of itself. */
export const gather = (into: Record<string, unknown>, body: Json, candidate: Json): void => {
  keep(into, body, knownOfBody)
  keep(into, candidate, knownOfCandidate)
}

const pick = (metadata: Json, wanted: (field: string) => boolean): Json =>
  Object.fromEntries(Object.entries(metadata).filter(([field]) => wanted(field)))

export const bodyFields = (metadata: Json): Json => pick(metadata, (field) => ofBody.has(field))

export const candidateFields = (metadata: Json): Json =>
  pick(metadata, (field) => !ofBody.has(field) && !ours.has(field) && field !== "error")

/** The fields of an answer that the vocabulary does not cover, unchanged. */
import type { Json } from "../json.js"
import { isRecord } from "../json.js"

/** The fields that the vocabulary covers, and the provider's time. */
const knownBodyFields: ReadonlySet<string> = new Set([
  "candidates",
  "createTime",
  "modelVersion",
  "responseId",
  "usageMetadata"
])

const knownCandidateFields: ReadonlySet<string> = new Set(["content", "finishReason", "index"])

/** Metadata of the body; all other metadata is of the candidate. */
const bodyMetadata: ReadonlySet<string> = new Set(["promptFeedback", "modelStatus"])

/** Added by this wire: other fields of the usage, and candidates after the first. */
const addedMetadata: ReadonlySet<string> = new Set(["usage", "candidates"])

/** Lists of which each chunk sends only its own entries. All other fields are sent whole. */
const appendedLists: ReadonlySet<string> = new Set(["citations", "citationSources"])

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (isRecord(value) && Object.keys(value).length === 0)

const mergeValues = (before: unknown, after: unknown): unknown => {
  if (!isRecord(before) || !isRecord(after)) return after
  const merged = Object.entries(after).map(([field, value]): readonly [string, unknown] => {
    const earlier = before[field]
    const isAppended = appendedLists.has(field) && Array.isArray(earlier) && Array.isArray(value)
    return [field, isAppended ? [...earlier, ...value] : value]
  })
  return { ...before, ...Object.fromEntries(merged) }
}

const collect = (into: Record<string, unknown>, from: Json, known: ReadonlySet<string>): void => {
  for (const [field, value] of Object.entries(from)) {
    if (!known.has(field) && !isEmpty(value)) into[field] = mergeValues(into[field], value)
  }
}

/** Adds the fields of a chunk and of its candidate to the metadata of the answer. */
export const collectMetadata = (into: Record<string, unknown>, body: Json, candidate: Json): void => {
  collect(into, body, knownBodyFields)
  collect(into, candidate, knownCandidateFields)
}

const filterFields = (metadata: Json, test: (field: string) => boolean): Json =>
  Object.fromEntries(Object.entries(metadata).filter(([field]) => test(field)))

export const bodyFields = (metadata: Json): Json => filterFields(metadata, (field) => bodyMetadata.has(field))

export const candidateFields = (metadata: Json): Json =>
  filterFields(metadata, (field) => !bodyMetadata.has(field) && !addedMetadata.has(field) && field !== "error")

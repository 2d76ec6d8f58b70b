/** Where a model is asked, and what its name says of it. Gemini API, "models.generateContent". */
import type { Address } from "../Wire.js"

const method = (stream: boolean): string => (stream ? "streamGenerateContent" : "generateContent")

/** Names that say which collection the model is in, such as `models/x` and `tunedModels/x`. */
const resource = /^(?:models|tunedModels|endpoints|publishers|projects)\//

const encoded = (segments: ReadonlyArray<string>): string => segments.map(encodeURIComponent).join("/")

/** A segment of dots would lead out of its collection, encoded or not. */
const isPlain = (segment: string): boolean => !/^\.{0,2}$/.test(segment)

export const pathOf = (model: string, stream: boolean): string => {
  const segments = model.split("/")
  return `/${resource.test(model) && segments.every(isPlain) ? encoded(segments) : `models/${encodeURIComponent(model)}`}:${method(stream)}`
}

const decoded = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** What a server is asked for: nothing where the path is not of the protocol. */
export const askedAt = (
  address: Address | undefined
): { readonly model: string; readonly stream: boolean } | undefined => {
  const [, collection, name, verb] =
    /(?:^|\/)([^/]+)\/([^/]+):(generateContent|streamGenerateContent)$/.exec(address?.path.split("?")[0] ?? "") ?? []
  if (collection === undefined || name === undefined) return undefined
  return {
    model: collection === "models" ? decoded(name) : `${collection}/${decoded(name)}`,
    stream: verb === "streamGenerateContent"
  }
}

/**
 * Models from before Gemini 3. They count their thinking instead of grading it ("Gemini thinking"), refuse the ids of calls,
 * take no media within the result of a tool ("Function calling"), and do not miss signatures ("Thought signatures").
 */
export const isBeforeGemini3 = (model: string): boolean => /gemini-(?:robotics-er-)?[12]\b/.test(model)

/** Models that refuse a call of theirs that comes back without its signature, as far as their names tell. */
export const wantsSignatures = (model: string): boolean => /gemini-/.test(model) && !isBeforeGemini3(model)

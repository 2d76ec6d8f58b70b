/** The address of a model, and what its name implies. Source: Gemini API, "models.generateContent". */
import type { Address } from "../Wire.js"

const method = (stream: boolean): string => (stream ? "streamGenerateContent" : "generateContent")

/** Names with a collection, such as `models/x` and `tunedModels/x`. */
const resource = /^(?:models|tunedModels|endpoints|publishers|projects)\//

const encodedPath = (segments: ReadonlyArray<string>): string => segments.map(encodeURIComponent).join("/")

/** An empty segment, `.` and `..` would address another collection, even when encoded. */
const isSafeSegment = (segment: string): boolean => !/^\.{0,2}$/.test(segment)

export const pathOf = (model: string, stream: boolean): string => {
  const segments = model.split("/")
  return `/${resource.test(model) && segments.every(isSafeSegment) ? encodedPath(segments) : `models/${encodeURIComponent(model)}`}:${method(stream)}`
}

const decodeSegment = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** The model and the kind of answer that a path requests; undefined when the path is not of this protocol. */
export const targetOf = (
  address: Address | undefined
): { readonly model: string; readonly stream: boolean } | undefined => {
  const [, collection, name, verb] =
    /(?:^|\/)([^/]+)\/([^/]+):(generateContent|streamGenerateContent)$/.exec(address?.path.split("?")[0] ?? "") ?? []
  if (collection === undefined || name === undefined) return undefined
  return {
    model: collection === "models" ? decodeSegment(name) : `${collection}/${decodeSegment(name)}`,
    stream: verb === "streamGenerateContent"
  }
}

/**
 * Whether a model is older than Gemini 3. These models take a thinking budget instead of a level ("Gemini thinking"), reject ids
 * of calls and media in tool results ("Function calling"), and do not require signatures ("Thought signatures").
 */
export const isBeforeGemini3 = (model: string): boolean => /gemini-(?:robotics-er-)?[12]\b/.test(model)

/** Whether a model rejects tool calls that are sent back without their signatures, judged by its name. */
export const requiresSignatures = (model: string): boolean => /gemini-/.test(model) && !isBeforeGemini3(model)

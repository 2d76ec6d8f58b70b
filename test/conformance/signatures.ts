/** Finds signatures in recordings, independently of the wires: in every place of the JSON where a provider puts one. */
import type { AssistantPart } from "../../src/vocabulary/Chat.js"
import type { Exchange } from "./exchanges.js"

const names: ReadonlySet<string> = new Set([
  "signature",
  "thoughtSignature",
  "thought_signature",
  "encrypted_content",
  "encrypted_index",
  "reasoning_opaque"
])

/** Objects whose `data` is encrypted reasoning, by their type. */
const encrypted: ReadonlySet<unknown> = new Set(["redacted_thinking", "reasoning.encrypted"])

const collect = (value: unknown, found: Set<string>): void => {
  if (typeof value !== "object" || value === null) return
  for (const [name, inner] of Object.entries(value)) {
    const isSignature = names.has(name) || (name === "data" && "type" in value && encrypted.has(value.type))
    if (isSignature && typeof inner === "string" && inner !== "") found.add(inner)
    else collect(inner, found)
  }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const type = (event: unknown): string =>
  typeof event === "object" && event !== null && "type" in event && typeof event.type === "string" ? event.type : ""

const isRepeated = (event: unknown): boolean => /^response\.(?:completed|incomplete)$/.test(type(event))

/**
 * Responses: encrypted content differs from event to event, and the last is valid: that of the end, which repeats the items, or
 * that of the end of an item.
 */
const finalEvents = (events: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const others = events.filter((event) => !type(event).startsWith("response."))
  const last = events.filter((event) => isRepeated(event) && JSON.stringify(event).includes('"output":[{'))
  return others.concat(last.length > 0 ? last : events.filter((event) => type(event) === "response.output_item.done"))
}

/** The documents of a body: one, or the data of each event or line. */
const documents = (body: Uint8Array): ReadonlyArray<unknown> => {
  const text = new TextDecoder().decode(body)
  const whole = parsed(text)
  if (whole !== undefined) return [whole]
  return text.split(/\r?\n/).map((line) => parsed(line.replace(/^data: ?/, "")))
}

const sorted = (found: ReadonlySet<string>): ReadonlyArray<string> => [...found].sort()

/** The distinct signatures of a recorded response, sorted. */
export const recordedSignatures = ({ body }: Exchange): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (const document of finalEvents(documents(body))) collect(document, found)
  return sorted(found)
}

/** The distinct signatures in the parts of a response, sorted. */
export const signaturesOf = (content: ReadonlyArray<AssistantPart>): ReadonlyArray<string> => {
  const found = new Set<string>()
  collect(content, found)
  return sorted(found)
}

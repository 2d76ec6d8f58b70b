/** Entries of the content of assistant messages. */
import type { Json } from "../json.js"
import { isRecord, string } from "../json.js"

/** The text of an entry without other fields; undefined for any other entry. */
export const plainText = (entry: unknown): string | undefined =>
  isRecord(entry) && entry["type"] === "text" && Object.keys(entry).length === 2 ? string(entry, "text") : undefined

/** Entries as content: plain texts alone are one string, which every peer accepts. */
export const encodeEntries = (entries: ReadonlyArray<Json>): string | ReadonlyArray<Json> => {
  const texts = entries.map(plainText)
  return texts.every((text) => text !== undefined) ? texts.join("") : entries.filter((_, index) => texts[index] !== "")
}

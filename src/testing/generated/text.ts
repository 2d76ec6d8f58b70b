/** Example texts of JSON Schemas of strings. */
import { isRecord, parseJson } from "../../wire/json.js"
import type { JsonSchema } from "../../wire/schema/walker.js"
import { examplesOf, regExpOf } from "./pattern.js"

const date = "2026-01-15"
const dateTime = "2026-01-15T09:30:00Z"
const url = "https://example.com/"

/** By `format`; `count` distinguishes the items of a list. */
const formats: Readonly<Record<string, (count: number) => string>> = {
  "date-time": () => dateTime,
  date: () => date,
  time: () => "09:30:00Z",
  duration: () => "PT15M",
  email: (count) => `person${count}@example.com`,
  "idn-email": (count) => `person${count}@example.com`,
  hostname: () => "example.com",
  ipv4: () => "192.0.2.1",
  ipv6: () => "2001:db8::1",
  uri: (count) => `${url}${count}`,
  url: (count) => `${url}${count}`,
  "uri-reference": (count) => `${url}${count}`,
  uuid: (count) => `00000000-0000-4000-8000-${String(count).padStart(12, "0")}`,
  byte: () => "48656c6c",
  "json-pointer": () => "/example"
}

/** By the words of the name and of the description, among them the descriptions that Effect writes for strings that are decoded. */
const hints: ReadonlyArray<readonly [RegExp, string]> = [
  [/decoded into a DateTime\.Zoned/, `${date}T09:30:00+01:00[Europe/Berlin]`],
  [/decoded into a (?:number|bigint|BigDecimal|.*integer)/i, "42"],
  // Valid in Base64 and in hexadecimal digits.
  [/decoded into a Uint8Array/, "48656c6c"],
  [/decoded into JSON/, "{}"],
  [/\b(?:date ?time|timestamp)\b/i, dateTime],
  [/\bdate\b/i, date],
  [/\be-?mail\b/i, "person@example.com"],
  [/\b(?:ur[il]|website)\b/i, url]
]

/** The words of a name such as `dueDate` or `due_date`. */
export const wordsOf = (name: string): string =>
  name
    .replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2")
    .replace(/[_.-]+/g, " ")
    .trim()
    .toLowerCase()

const numberOf = (value: unknown, otherwise: number): number => (typeof value === "number" ? value : otherwise)

/** The most characters of a text, whatever its `minLength`. */
const maxLength = 10_000

export interface Wanted {
  /** The name of the property; empty for other values. */
  readonly name: string
  /** The place in a list, from 0: the texts of a list differ. */
  readonly index: number
  /** The next name in the prompt. */
  readonly mentioned: () => string | undefined
  /** The value of a schema, for JSON in a text. */
  readonly valueOf: (schema: unknown) => unknown
}

/** The first candidate that the schema allows. A text for which no candidate fits is filled up or cut. */
export const textOf = (schema: JsonSchema, { index, mentioned, name, valueOf }: Wanted): string => {
  const patterns = [schema["pattern"]].flat().filter((pattern) => typeof pattern === "string")
  const min = Math.min(maxLength, numberOf(schema["minLength"], 0))
  const max = numberOf(schema["maxLength"], Infinity)
  const expressions = patterns.map(regExpOf).filter((expression) => expression !== undefined)
  const isAllowed = (text: string): boolean =>
    text.length >= min && text.length <= max && expressions.every((expression) => expression.test(text))

  const { contentMediaType, contentSchema, description, examples, format } = schema
  const isJson = contentMediaType === "application/json"
  if (isJson) return JSON.stringify(valueOf(isRecord(contentSchema) ? contentSchema : {}))
  const words = wordsOf(name)
  const hint = `${words} ${typeof description === "string" ? description : ""}`
  const number = index === 0 ? "" : ` ${index + 1}`
  const generic = `Example${words === "" ? "" : ` ${words}`}${number}`
  const fixed = [
    ...(Array.isArray(examples) && index === 0 ? examples : []),
    ...(typeof format === "string" && Object.hasOwn(formats, format) ? [formats[format]?.(index + 1)] : []),
    ...hints.filter(([expression]) => expression.test(hint)).map(([, text]) => text)
  ]
  const first = fixed.find((text): text is string => typeof text === "string" && isAllowed(text))
  if (first !== undefined) return first
  const found = patterns.length === 0 ? mentioned() : undefined
  if (found !== undefined && isAllowed(found)) return found
  if (isAllowed(generic)) return generic
  if (patterns.length === 0) {
    const short = generic.length > max ? `${index + 1}`.slice(0, max) : generic
    return short.padEnd(min, "…")
  }
  const samples = patterns.flatMap((pattern) => examplesOf(pattern, min))
  const cut = samples.filter(({ length }) => length > max).map((text) => text.slice(0, max))
  return [...samples, ...cut].find(isAllowed) ?? samples[0] ?? generic
}

/** The values that a text mentions. */
export interface Mentions {
  readonly text: string
  /** Quoted texts, and names: words with a capital that do not begin a sentence. */
  readonly names: ReadonlyArray<string>
  readonly numbers: ReadonlyArray<number>
}

const quotedOrName =
  /"([^"\n]{1,80})"|“([^”\n]{1,80})”|(?<![\p{L}\p{N}])\p{Lu}[\p{L}\p{N}'-]*(?: \p{Lu}[\p{L}\p{N}'-]*)*/gu

export const mentionsOf = (text: string): Mentions => ({
  text,
  names: [
    ...new Set(
      [...text.matchAll(quotedOrName)].flatMap((match) => {
        const [all, quoted = match[2]] = match
        if (quoted !== undefined) return [quoted]
        const beginsSentence = /(?:^|[.!?:\n]["”)]?)\s*$/.test(text.slice(Math.max(0, match.index - 20), match.index))
        // The first word of a sentence has a capital in any case.
        const name = beginsSentence ? all.replace(/^\S+ ?/, "") : all
        return name === "" || name === "I" ? [] : [name]
      })
    )
  ],
  numbers: [...text.matchAll(/(?<![\p{L}\p{N}.])-?\d+(?:\.\d+)?(?![\p{L}\p{N}])/gu)].flatMap(([number]) => {
    const value: unknown = parseJson(number)
    return typeof value === "number" ? [value] : []
  })
})

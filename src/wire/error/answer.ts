/**
 * What a provider sent instead of an answer, and what it says, in whichever shape: `error.message`, `error` or `detail` as
 * text, flat `code` and `message`, lists of errors, a list around it all (Gemini), JSON inside a string (OpenRouter's
 * `metadata.raw`), an SSE event (DashScope), HTML, or nothing.
 *
 * @since 0.1.0
 */
import { isRecord } from "../json.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface ErrorAnswer {
  /** The HTTP status; 200 for an error in the middle of a stream or in a body under 200. */
  readonly status: number
  /** With lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Parsed from JSON, or the text where it is not JSON. */
  readonly body: unknown
  /** Whether the error came under a status that says success. @default `status` is below 300 */
  readonly inBand?: boolean
}

/**
 * What an answer says, whatever its shape.
 *
 * @since 0.1.0
 * @category model
 */
export interface ErrorReport {
  /** The HTTP status; of an in-band error the one that the body names, or 0. */
  readonly status: number
  /** Every code, type, status and reason, in lower case without punctuation. */
  readonly codes: ReadonlySet<string>
  /** The most telling of them, as the provider writes it. */
  readonly code: string | undefined
  /** The field of the request that is at fault. */
  readonly field: string | undefined
  /** The provider's own words, unmasked; empty where there are none. */
  readonly words: string
  /** All its words in lower case, to be searched. */
  readonly text: string
  readonly requestId: string | undefined
  /** Numbers and texts of the body under `key`, which is in lower case without punctuation. */
  readonly values: (key: string) => ReadonlyArray<string | number>
  /** The upstream's headers that a router passes on in the body, with lower-case names. */
  readonly upstreamHeaders: Readonly<Record<string, string>>
}

type Scalar = string | number

const isScalar = (value: unknown): value is Scalar => typeof value === "string" || typeof value === "number"

interface Leaf {
  readonly key: string
  readonly value: Scalar
}

/** Enough for any error, and a bound on what a hostile one costs. */
const maxDepth = 8
const maxLeaves = 400
const maxText = 8000

/** Lower case without punctuation, so that `insufficient_quota`, `InsufficientQuota` and `insufficient-quota` are one. */
export const canonical = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "")

/**
 * What may hold more of the error. Everything else is passed over: an error can quote the answer that failed
 * (`failed_generation`) or the prompt (`flagged_input`), and words in these decide nothing. So does the `metadata` that the
 * caller gave to a response, other than that of the error.
 */
const containers: ReadonlySet<string> = new Set([
  "error",
  "errors",
  "detail",
  "details",
  "raw",
  "response",
  "innererror",
  "violations",
  "reasons",
  "message",
  "choices",
  "baseresp",
  "incompletedetails"
])

const messageKeys: ReadonlySet<string> = new Set([
  "message",
  "msg",
  "error",
  "errors",
  "errormessage",
  "errormsg",
  "errordescription",
  "description",
  "statusmsg",
  "detail",
  "details",
  "reasons",
  "raw",
  "title"
])

const codeKeys: ReadonlySet<string> = new Set(["code", "errorcode", "statuscode"])

const kindKeys: ReadonlySet<string> = new Set(["type", "errortype", "status", "reason", "quotaid", "limitsource"])

const statusKeys: ReadonlySet<string> = new Set(["code", "status", "statuscode", "httpstatus", "rawstatuscode"])

/** Kinds that say no more than that there is an error. */
const empty: ReadonlySet<string> = new Set(["", "error", "failed", "responsefailed", "aboutblank", "null"])

const parsed = (text: string): object | undefined => {
  const start = text.trimStart()
  if (!start.startsWith("{") && !start.startsWith("[")) return undefined
  try {
    const value: unknown = JSON.parse(start)
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

const stripped = (html: string): string =>
  html
    .replace(/<[^<>]*>/g, " ")
    .replaceAll("&nbsp;", " ")
    .replaceAll("&amp;", "&")
    .trim()

/** The text of an HTML page; the title only where there is no other. Anything else is left as it is. */
const withoutMarkup = (text: string): string => {
  if (!/<(?:!doctype|html|head|body|title|center|h\d|p|div)\b/i.test(text)) return text
  const visible = stripped(text.replace(/<(script|style|title)\b[^]*?(?:<\/\1>|$)/gi, " "))
  return visible === "" ? stripped(text) : visible
}

const plain = (text: string): string => withoutMarkup(text.slice(0, maxText)).replace(/\s+/g, " ").trim()

/** The data of an error that came as an SSE event though the status is not 200 (DashScope, with streaming asked for). */
const eventData = (text: string): object | undefined => {
  const match = /^data: ?(.+)$/m.exec(text.slice(0, maxText))
  return match === null ? undefined : parsed(match[1] ?? "")
}

/** The error of an upstream that a gateway quotes within its own words: `AnthropicException - {"error":{…}}`. */
const quotedError = (text: string): object | undefined => {
  const start = text.search(/\{\s{0,9}"(?:error|type)"/)
  if (start <= 0) return undefined
  const inner = parsed(text.slice(start, text.lastIndexOf("}") + 1))
  return isRecord(inner) && (isRecord(inner["error"]) || typeof inner["error"] === "string") ? inner : undefined
}

/** What pydantic found, as Python prints it (vLLM, Fireworks), without the part of the request that it quotes. */
const withoutInput = (text: string): string =>
  /['"]loc['"]: ?[[(]/.test(text) ? text.replace(/['"]input['"]: ?[^]*$/, "") : text

/** google.protobuf.Duration as an object. */
const secondsOf = ({ nanos, seconds }: { readonly [x: string]: unknown }): number =>
  Number(seconds ?? 0) + Number(nanos ?? 0) / 1e9

/** Where in the request pydantic (vLLM, Mistral …) found a fault, without the `body` before it. */
const location = (loc: unknown): string | undefined =>
  Array.isArray(loc)
    ? loc
        .filter((step) => isScalar(step))
        .slice(0, maxDepth)
        .join(".")
        .replace(/^body\./, "")
    : undefined

interface Harvest {
  readonly leaves: Array<Leaf>
  readonly headers: Record<string, string>
}

/** Gathers the leaves: `error` first, then what stands beside it, then what else may hold more. */
const gather = (value: unknown, key: string, depth: number, out: Harvest): void => {
  if (depth > maxDepth || out.leaves.length >= maxLeaves) return
  if (typeof value === "string") {
    const inner =
      key === "body" ? (parsed(value) ?? eventData(value)) : messageKeys.has(key) ? parsed(value) : undefined
    if (inner !== undefined) return gather(inner, key, depth + 1, out)
    out.leaves.push({ key: key === "body" ? "message" : key, value })
    if (messageKeys.has(key)) gather(quotedError(value), key, depth + 1, out)
  } else if (typeof value === "number") {
    out.leaves.push({ key, value })
  } else if (Array.isArray(value)) {
    for (const element of value.slice(0, 20)) gather(element, key, depth + 1, out)
  } else if (isRecord(value)) {
    gatherFields(value, key, depth, out)
  }
}

const gatherFields = (record: { readonly [x: string]: unknown }, key: string, depth: number, out: Harvest): void => {
  const later: Array<readonly [key: string, value: unknown]> = []
  if (record["error"] !== undefined) gather(record["error"], "error", depth + 1, out)
  for (const [name, value] of Object.entries(record)) {
    const plainName = canonical(name)
    if (name === "error") continue
    if (isScalar(value)) gather(value, plainName, depth + 1, out)
    else if (plainName === "loc") gather(location(value), "param", depth + 1, out)
    else if (plainName === "retrydelay" && isRecord(value)) out.leaves.push({ key: plainName, value: secondsOf(value) })
    else if (plainName === "headers" && key === "metadata") gatherHeaders(value, out)
    else if (containers.has(plainName)) later.push([plainName, value])
    else if (plainName === "metadata" && (key === "error" || key === "details")) later.push([plainName, value])
  }
  for (const [name, value] of later) gather(value, name, depth + 1, out)
}

const gatherHeaders = (value: unknown, out: Harvest): void => {
  if (!isRecord(value)) return
  for (const [name, content] of Object.entries(value).slice(0, 50)) {
    if (isScalar(content)) out.headers[name.toLowerCase()] = String(content)
  }
}

/** The messages in order, without those that only repeat a part of another. */
const distinct = (messages: ReadonlyArray<string>): ReadonlyArray<string> => {
  const kept: Array<string> = []
  for (const message of messages) {
    if (message === "" || kept.some((other) => other.includes(message))) continue
    const part = kept.findIndex((other) => message.includes(other))
    if (part === -1) kept.push(message)
    else kept[part] = message
  }
  return kept
}

const isStatus = (value: Scalar): boolean => /^[45]\d\d$/.test(String(value))

const requestIdHeaders: ReadonlyArray<string> = [
  "x-request-id",
  "request-id",
  "apim-request-id",
  "x-ms-request-id",
  "x-amzn-requestid",
  "x-goog-request-id",
  "x-dashscope-request-id"
]

const requestIdOf = (
  headers: Readonly<Record<string, string>>,
  values: ErrorReport["values"],
  words: string
): string | undefined =>
  [
    ...requestIdHeaders.map((name) => headers[name]),
    values("requestid")[0],
    // OpenAI names it only in the words of an error in the middle of a stream.
    /\brequest id:? (req_\w{1,80})/i.exec(words)?.[1],
    headers["cf-ray"]
  ]
    .find((id) => id !== undefined && id !== "")
    ?.toString()

/**
 * Reads an answer. Whatever the body is, this does not throw.
 *
 * @since 0.1.0
 * @category decoding
 */
export const read = ({ body, headers, inBand, status }: ErrorAnswer): ErrorReport => {
  const harvest: Harvest = { leaves: [], headers: {} }
  gather(body, "body", 0, harvest)
  // Amazon puts the class of the error in a header, with a link behind a colon.
  const amazon = headers["x-amzn-errortype"]?.split(":")[0]
  const leaves = amazon === undefined ? harvest.leaves : [...harvest.leaves, { key: "code", value: amazon }]
  const values = (key: string) => leaves.filter((leaf) => leaf.key === key).map((leaf) => leaf.value)
  const named = (keys: ReadonlySet<string>) =>
    leaves
      .filter((leaf) => keys.has(leaf.key) && !empty.has(canonical(String(leaf.value))))
      .map((leaf) => String(leaf.value).trim().slice(0, 200))
      .filter((name) => !name.startsWith("type.googleapis.com/"))
  const codes = named(codeKeys)
  const kinds = named(kindKeys)
  const messages = leaves
    .filter((leaf) => messageKeys.has(leaf.key) && typeof leaf.value === "string")
    .map((leaf) => plain(String(leaf.value)))
  const words = distinct(messages).slice(0, 3).join(": ")
  // xAI writes a sentence where others have a code.
  const sentences = codes.filter((code) => /\s/.test(code))
  return {
    status:
      (inBand ?? status < 300)
        ? Number(leaves.find((leaf) => statusKeys.has(leaf.key) && isStatus(leaf.value))?.value ?? 0)
        : status,
    codes: new Set([...codes, ...kinds].map(canonical)),
    code: codes.find((code) => !isStatus(code)) ?? kinds.find((kind) => !isStatus(kind)) ?? codes[0],
    field: values("param").find((value) => typeof value === "string"),
    words: words === "" ? (sentences[0] ?? "") : words,
    text: [...messages.map(withoutInput), ...sentences].join("\n").slice(0, maxText).toLowerCase(),
    requestId: requestIdOf(headers, values, words),
    values,
    upstreamHeaders: harvest.headers
  }
}

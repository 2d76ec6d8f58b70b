/**
 * Reads the errors of providers in any shape: `error.message`, `error` or `detail` as text, flat `code` and `message`, lists of
 * errors, a list as the body (Gemini), JSON in a string (OpenRouter's `metadata.raw`), an SSE event (DashScope), HTML, or
 * nothing.
 *
 * @since 0.1.0
 */
import { isRecord } from "../json.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface ErrorAnswer {
  /** The HTTP status; 200 for an error in a stream or in the body of a 200. */
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Parsed JSON, or the text when it is not valid JSON. */
  readonly body: unknown
  /** Whether the error came in a response whose status is a success. @default `status` is below 300 */
  readonly inBand?: boolean
}

/**
 * The content of an error, independent of its shape.
 *
 * @since 0.1.0
 * @category model
 */
export interface ErrorReport {
  /** The HTTP status; for an error in band the one in the body, or 0. */
  readonly status: number
  /** Every code, type, status and reason, in lower case without punctuation. */
  readonly codes: ReadonlySet<string>
  /** The most specific of them, as the provider sent it. */
  readonly code: string | undefined
  /** The field of the request that is at fault. */
  readonly field: string | undefined
  /** The provider's message, unmasked; empty when there is none. */
  readonly message: string
  /** All messages in lower case, for the rules to search. */
  readonly text: string
  readonly requestId: string | undefined
  /** Numbers and texts of the body under `key`, which is in lower case without punctuation. */
  readonly values: (key: string) => ReadonlyArray<string | number>
  /** Headers of the upstream that a router includes in the body; names in lower case. */
  readonly upstreamHeaders: Readonly<Record<string, string>>
}

type Scalar = string | number

const isScalar = (value: unknown): value is Scalar => typeof value === "string" || typeof value === "number"

interface Leaf {
  readonly key: string
  readonly value: Scalar
}

/** Bounds on the cost of a hostile body, large enough for every error. */
const maxDepth = 8
const maxLeaves = 400
const maxText = 8000

/** Lower case without punctuation: `insufficient_quota`, `InsufficientQuota` and `insufficient-quota` are equal. */
export const canonical = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "")

/**
 * Fields that can contain more of the error. All others are skipped: an error can quote the failed answer (`failed_generation`),
 * the prompt (`flagged_input`), or the caller's `metadata` of a response, and their text must not decide the class.
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

/** Codes and types that only repeat that there is an error. */
const uninformative: ReadonlySet<string> = new Set(["", "error", "failed", "responsefailed", "aboutblank", "null"])

const parseObject = (text: string): object | undefined => {
  const start = text.trimStart()
  if (!start.startsWith("{") && !start.startsWith("[")) return undefined
  try {
    const value: unknown = JSON.parse(start)
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

const stripTags = (html: string): string =>
  html
    .replace(/<[^<>]*>/g, " ")
    .replaceAll("&nbsp;", " ")
    .replaceAll("&amp;", "&")
    .trim()

/** The text of an HTML page, or its title when it has no other text. Other texts are returned unchanged. */
const withoutMarkup = (text: string): string => {
  if (!/<(?:!doctype|html|head|body|title|center|h\d|p|div)\b/i.test(text)) return text
  const visible = stripTags(text.replace(/<(script|style|title)\b[^]*?(?:<\/\1>|$)/gi, " "))
  return visible === "" ? stripTags(text) : visible
}

const plain = (text: string): string => withoutMarkup(text.slice(0, maxText)).replace(/\s+/g, " ").trim()

/** The data of an error sent as an SSE event with an error status (DashScope, for requests of a stream). */
const eventData = (text: string): object | undefined => {
  const match = /^data: ?(.+)$/m.exec(text.slice(0, maxText))
  return match === null ? undefined : parseObject(match[1] ?? "")
}

/** The error of an upstream that a gateway quotes in its own message: `AnthropicException - {"error":{…}}`. */
const quotedError = (text: string): object | undefined => {
  const start = text.search(/\{\s{0,9}"(?:error|type)"/)
  if (start <= 0) return undefined
  const inner = parseObject(text.slice(start, text.lastIndexOf("}") + 1))
  return isRecord(inner) && (isRecord(inner["error"]) || typeof inner["error"] === "string") ? inner : undefined
}

/** An error of pydantic as Python prints it (vLLM, Fireworks), without the quoted part of the request. */
const withoutInput = (text: string): string =>
  /['"]loc['"]: ?[[(]/.test(text) ? text.replace(/['"]input['"]: ?[^]*$/, "") : text

/** The seconds of a google.protobuf.Duration that is an object. */
const secondsOf = ({ nanos, seconds }: { readonly [x: string]: unknown }): number =>
  Number(seconds ?? 0) + Number(nanos ?? 0) / 1e9

/** The path of a fault in the request from pydantic (vLLM, Mistral …), without its first step `body`. */
const location = (loc: unknown): string | undefined =>
  Array.isArray(loc)
    ? loc
        .filter((step) => isScalar(step))
        .slice(0, maxDepth)
        .join(".")
        .replace(/^body\./, "")
    : undefined

interface Collected {
  readonly leaves: Array<Leaf>
  readonly headers: Record<string, string>
}

/** Collects the leaves: `error` first, then the scalar fields beside it, then those of the containers. */
const collect = (value: unknown, key: string, depth: number, out: Collected): void => {
  if (depth > maxDepth || out.leaves.length >= maxLeaves) return
  if (typeof value === "string") {
    const inner =
      key === "body" ? (parseObject(value) ?? eventData(value)) : messageKeys.has(key) ? parseObject(value) : undefined
    if (inner !== undefined) return collect(inner, key, depth + 1, out)
    out.leaves.push({ key: key === "body" ? "message" : key, value })
    if (messageKeys.has(key)) collect(quotedError(value), key, depth + 1, out)
  } else if (typeof value === "number") {
    out.leaves.push({ key, value })
  } else if (Array.isArray(value)) {
    for (const element of value.slice(0, 20)) collect(element, key, depth + 1, out)
  } else if (isRecord(value)) {
    collectFields(value, key, depth, out)
  }
}

const collectFields = (record: { readonly [x: string]: unknown }, key: string, depth: number, out: Collected): void => {
  const later: Array<readonly [key: string, value: unknown]> = []
  if (record["error"] !== undefined) collect(record["error"], "error", depth + 1, out)
  for (const [name, value] of Object.entries(record)) {
    const plainName = canonical(name)
    if (name === "error") continue
    if (isScalar(value)) collect(value, plainName, depth + 1, out)
    else if (plainName === "loc") collect(location(value), "param", depth + 1, out)
    else if (plainName === "retrydelay" && isRecord(value)) out.leaves.push({ key: plainName, value: secondsOf(value) })
    else if (plainName === "headers" && key === "metadata") collectHeaders(value, out)
    else if (containers.has(plainName)) later.push([plainName, value])
    else if (plainName === "metadata" && (key === "error" || key === "details")) later.push([plainName, value])
  }
  for (const [name, value] of later) collect(value, name, depth + 1, out)
}

const collectHeaders = (value: unknown, out: Collected): void => {
  if (!isRecord(value)) return
  for (const [name, content] of Object.entries(value).slice(0, 50)) {
    if (isScalar(content)) out.headers[name.toLowerCase()] = String(content)
  }
}

/** The messages in order, without those that another one contains. */
const distinct = (messages: ReadonlyArray<string>): ReadonlyArray<string> => {
  const result: Array<string> = []
  for (const message of messages) {
    if (message === "" || result.some((other) => other.includes(message))) continue
    const contained = result.findIndex((other) => message.includes(other))
    if (contained === -1) result.push(message)
    else result[contained] = message
  }
  return result
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
  message: string
): string | undefined =>
  [
    ...requestIdHeaders.map((name) => headers[name]),
    values("requestid")[0],
    // In a stream OpenAI sends the id only in the message.
    /\brequest id:? (req_\w{1,80})/i.exec(message)?.[1],
    headers["cf-ray"]
  ]
    .find((id) => id !== undefined && id !== "")
    ?.toString()

/**
 * Reads an error. Never throws, whatever the body.
 *
 * @since 0.1.0
 * @category decoding
 */
export const read = ({ body, headers, inBand, status }: ErrorAnswer): ErrorReport => {
  const collected: Collected = { leaves: [], headers: {} }
  collect(body, "body", 0, collected)
  // Amazon sends the class of the error in a header, followed by a colon and a link.
  const amazonType = headers["x-amzn-errortype"]?.split(":")[0]
  const leaves = amazonType === undefined ? collected.leaves : [...collected.leaves, { key: "code", value: amazonType }]
  const values = (key: string) => leaves.filter((leaf) => leaf.key === key).map((leaf) => leaf.value)
  const informative = (keys: ReadonlySet<string>) =>
    leaves
      .filter((leaf) => keys.has(leaf.key) && !uninformative.has(canonical(String(leaf.value))))
      .map((leaf) => String(leaf.value).trim().slice(0, 200))
      .filter((name) => !name.startsWith("type.googleapis.com/"))
  const codes = informative(codeKeys)
  const kinds = informative(kindKeys)
  const messages = leaves
    .filter((leaf) => messageKeys.has(leaf.key) && typeof leaf.value === "string")
    .map((leaf) => plain(String(leaf.value)))
  const message = distinct(messages).slice(0, 3).join(": ")
  // xAI sends a sentence as the code.
  const sentences = codes.filter((code) => /\s/.test(code))
  return {
    status:
      (inBand ?? status < 300)
        ? Number(leaves.find((leaf) => statusKeys.has(leaf.key) && isStatus(leaf.value))?.value ?? 0)
        : status,
    codes: new Set([...codes, ...kinds].map(canonical)),
    code: codes.find((code) => !isStatus(code)) ?? kinds.find((kind) => !isStatus(kind)) ?? codes[0],
    field: values("param").find((value) => typeof value === "string"),
    message: message === "" ? (sentences[0] ?? "") : message,
    text: [...messages.map(withoutInput), ...sentences].join("\n").slice(0, maxText).toLowerCase(),
    requestId: requestIdOf(headers, values, message),
    values,
    upstreamHeaders: collected.headers
  }
}

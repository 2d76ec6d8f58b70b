/** What must not be seen of an endpoint: the credentials of its URL and the values of its headers and query. */
import { Either, Encoding } from "effect"
import type { Endpoint } from "../wire/providerClient.js"

/** Shorter than any real secret: masking it would spoil words and hide nothing. */
const shortestSecret = 6

/** Headers whose values say what is asked and not who asks. */
const harmlessHeaders: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "anthropic-beta",
  "anthropic-version",
  "cache-control",
  "connection",
  "content-type",
  "http-referer",
  "openai-beta",
  "openai-organization",
  "openai-project",
  "origin",
  "prefer",
  "referer",
  "user-agent",
  "x-title"
])

/** Fields of a query whose values say what is asked and not who asks. */
const harmlessFields: ReadonlySet<string> = new Set([
  "alt",
  "api-version",
  "beta",
  "deployment",
  "limit",
  "location",
  "model",
  "region",
  "version"
])

/** Headers of several parts, of which each may be echoed by itself. */
const compoundHeader = /^(?:proxy-)?authorization$|^cookie$/

const scheme = /^(?:basic|bearer|digest|token|apikey|api-key)\s+/i

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const encoded = (text: string): string => {
  try {
    return encodeURIComponent(text)
  } catch {
    // A lone surrogate cannot be encoded, nor sent.
    return text
  }
}

/** A secret as it may stand in a text: as it is, percent-encoded, and within a JSON text. */
const formsOf = (secret: string): ReadonlyArray<string> => {
  const percent = encoded(secret)
  return [
    secret,
    percent,
    percent.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    percent.replaceAll("%20", "+"),
    JSON.stringify(secret).slice(1, -1)
  ]
}

/** The user info and the query of a URL, as they stand in it. */
const partsOf = (url: string): { readonly userInfo: string; readonly query: string } => ({
  userInfo: /^(?:[a-z][a-z0-9+.-]*:\/\/)?([^/?#]*)@/i.exec(url)?.[1] ?? "",
  query: /^[^?#]*\?([^#]*)/.exec(url)?.[1] ?? ""
})

const ofUserInfo = (userInfo: string): ReadonlyArray<string> => {
  if (userInfo === "") return []
  const colon = userInfo.indexOf(":")
  const name = colon === -1 ? userInfo : userInfo.slice(0, colon)
  const password = colon === -1 ? "" : userInfo.slice(colon + 1)
  const pair = `${decoded(name)}:${decoded(password)}`
  // RFC 7617: what a client sends of it in the header.
  return [userInfo, pair, Encoding.encodeBase64(pair), name, decoded(name), password, decoded(password)]
}

const ofQuery = (query: string): ReadonlyArray<string> =>
  query.split("&").flatMap((field) => {
    const equals = field.indexOf("=")
    const value = field.slice(equals + 1)
    return equals !== -1 && harmlessFields.has(decoded(field.slice(0, equals)).toLowerCase())
      ? []
      : [value, decoded(value.replaceAll("+", " "))]
  })

const ofHeader = (name: string, value: string): ReadonlyArray<string> => {
  if (harmlessHeaders.has(name.toLowerCase()) || /^[a-z]+\/[a-z0-9.+-]+$/.test(value)) return []
  if (!compoundHeader.test(name.toLowerCase()) && !scheme.test(value)) return [value]
  const bare = value.replace(scheme, "")
  const parts = bare.split(/[\s;,]+/).flatMap((part) => [part, part.slice(part.indexOf("=") + 1)])
  const pair = Either.getOrElse(Encoding.decodeBase64String(bare), () => "")
  return [value, bare, ...parts, ...(pair.includes(":") ? ofUserInfo(pair) : [])]
}

/** All that is to be masked of an endpoint. What is shorter than six characters is left out. */
export const ofEndpoint = ({ baseUrl, headers = {}, query = {} }: Endpoint): ReadonlyArray<string> => {
  const { query: inUrl, userInfo } = partsOf(baseUrl)
  return [
    ...ofUserInfo(userInfo),
    ...ofQuery(inUrl),
    ...Object.entries(query).flatMap(([name, value]) => (harmlessFields.has(name.toLowerCase()) ? [] : [value])),
    ...Object.entries(headers).flatMap(([name, value]) => ofHeader(name, value))
  ]
}

/** Without the secret, also where it is cut off at the end, as excerpts are. */
const withoutSecret = (text: string, secret: string): string => {
  const rest = text.replaceAll(secret, "***")
  for (let length = secret.length - 1; length >= shortestSecret; length--) {
    if (rest.endsWith(secret.slice(0, length))) return `${rest.slice(0, -length)}***`
  }
  return rest
}

/** Takes the secrets out of a text, in whichever form they stand in it, and the user info out of every URL. */
const mask = (secrets: ReadonlyArray<string>): ((text: string) => string) => {
  const forms = [...new Set(secrets.flatMap(formsOf))]
    .filter((secret) => secret.length >= shortestSecret)
    // The longest first: one may be a part of another.
    .sort((one, other) => other.length - one.length)
  return (text) => forms.reduce(withoutSecret, text.replace(/(:\/\/)[^/\s?#@"'<>]+@/g, "$1***@"))
}

/** The text without the secrets. */
export const masked = (text: string, secrets: ReadonlyArray<string>): string => mask(secrets)(text)

/** JSON without the secrets in its texts and names. */
export const maskedJson = (json: unknown, secrets: ReadonlyArray<string>): unknown => {
  const without = mask(secrets)
  const walk = (value: unknown): unknown => {
    if (typeof value === "string") return without(value)
    if (Array.isArray(value)) return value.map(walk)
    if (typeof value !== "object" || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [without(name), walk(inner)]))
  }
  return walk(json)
}

/** A URL as it may be shown: without user info and fragment, and without what the fields of its query are, where they may be secret. */
export const shownUrl = (url: string): string => {
  const { query } = partsOf(url)
  const whole = url.replace(/[?#].*$/s, "")
  const base = /^[a-z][a-z0-9+.-]*:\/\//i.test(whole)
    ? whole.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, "$1")
    : whole.replace(/^.*@/s, "")
  if (query === "") return base
  const fields = query.split("&").map((field) => {
    const equals = field.indexOf("=")
    if (equals === -1) return "***"
    const name = field.slice(0, equals)
    return harmlessFields.has(decoded(name).toLowerCase()) ? field : `${name}=***`
  })
  return `${base}?${fields.join("&")}`
}

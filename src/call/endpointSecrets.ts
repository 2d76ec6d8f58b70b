/** Finds and masks the secrets of an endpoint: the credentials of its URL and the values of its headers and query. */
import { Either, Encoding } from "effect"
import type { Endpoint } from "../wire/providerClient.js"

/** The minimum length of a masked text. Shorter ones are no real secrets and occur in ordinary words. */
const shortestSecret = 6

/** Headers whose values are not secret. */
const publicHeaders: ReadonlySet<string> = new Set([
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

/** Query fields whose values are not secret. */
const publicFields: ReadonlySet<string> = new Set([
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

/** Headers with several parts, each of which a server can echo by itself. */
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
    // A lone surrogate can be neither encoded nor sent.
    return text
  }
}

/** The forms in which a secret can occur in a text: plain, percent-encoded, and escaped in JSON. */
const encodingsOf = (secret: string): ReadonlyArray<string> => {
  const percent = encoded(secret)
  return [
    secret,
    percent,
    percent.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    percent.replaceAll("%20", "+"),
    JSON.stringify(secret).slice(1, -1)
  ]
}

/** The encoded user info and query of a URL. */
const partsOf = (url: string): { readonly userInfo: string; readonly query: string } => ({
  userInfo: /^(?:[a-z][a-z0-9+.-]*:\/\/)?([^/?#]*)@/i.exec(url)?.[1] ?? "",
  query: /^[^?#]*\?([^#]*)/.exec(url)?.[1] ?? ""
})

const userInfoSecrets = (userInfo: string): ReadonlyArray<string> => {
  if (userInfo === "") return []
  const colon = userInfo.indexOf(":")
  const name = colon === -1 ? userInfo : userInfo.slice(0, colon)
  const password = colon === -1 ? "" : userInfo.slice(colon + 1)
  const pair = `${decoded(name)}:${decoded(password)}`
  // RFC 7617: a client sends the pair in base64.
  return [userInfo, pair, Encoding.encodeBase64(pair), name, decoded(name), password, decoded(password)]
}

const querySecrets = (query: string): ReadonlyArray<string> =>
  query.split("&").flatMap((field) => {
    const equals = field.indexOf("=")
    const value = field.slice(equals + 1)
    return equals !== -1 && publicFields.has(decoded(field.slice(0, equals)).toLowerCase())
      ? []
      : [value, decoded(value.replaceAll("+", " "))]
  })

const headerSecrets = (name: string, value: string): ReadonlyArray<string> => {
  if (publicHeaders.has(name.toLowerCase()) || /^[a-z]+\/[a-z0-9.+-]+$/.test(value)) return []
  if (!compoundHeader.test(name.toLowerCase()) && !scheme.test(value)) return [value]
  const bare = value.replace(scheme, "")
  const parts = bare.split(/[\s;,]+/).flatMap((part) => [part, part.slice(part.indexOf("=") + 1)])
  const pair = Either.getOrElse(Encoding.decodeBase64String(bare), () => "")
  return [value, bare, ...parts, ...(pair.includes(":") ? userInfoSecrets(pair) : [])]
}

/** The secrets of an endpoint. {@link masked} ignores those under six characters. */
export const ofEndpoint = ({ baseUrl, headers = {}, query = {} }: Endpoint): ReadonlyArray<string> => {
  const { query: inUrl, userInfo } = partsOf(baseUrl)
  return [
    ...userInfoSecrets(userInfo),
    ...querySecrets(inUrl),
    ...Object.entries(query).flatMap(([name, value]) => (publicFields.has(name.toLowerCase()) ? [] : [value])),
    ...Object.entries(headers).flatMap(([name, value]) => headerSecrets(name, value))
  ]
}

/** Masks a secret in a text, also when an excerpt cuts it off at the end. */
const withoutSecret = (text: string, secret: string): string => {
  const rest = text.replaceAll(secret, "***")
  for (let length = secret.length - 1; length >= shortestSecret; length--) {
    if (rest.endsWith(secret.slice(0, length))) return `${rest.slice(0, -length)}***`
  }
  return rest
}

/** Makes a function that masks the secrets in all their forms, and the user info of every URL. */
const mask = (secrets: ReadonlyArray<string>): ((text: string) => string) => {
  const forms = [...new Set(secrets.flatMap(encodingsOf))]
    .filter((secret) => secret.length >= shortestSecret)
    // The longest first: one secret can be a part of another.
    .sort((one, other) => other.length - one.length)
  return (text) => forms.reduce(withoutSecret, text.replace(/(:\/\/)[^/\s?#@"'<>]+@/g, "$1***@"))
}

/** Masks the secrets in a text. */
export const masked = (text: string, secrets: ReadonlyArray<string>): string => mask(secrets)(text)

/** Masks the secrets in the texts and names of a JSON value. */
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

/** A URL for display: without user info and fragment, and with secret query values masked. */
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
    return publicFields.has(decoded(name).toLowerCase()) ? field : `${name}=***`
  })
  return `${base}?${fields.join("&")}`
}

/** Error responses of providers and the source that `classify` needs with them. */
import type { ErrorAnswer, ErrorSource } from "../../../src/wire/error/classify.js"

const now = Date.parse("2026-03-01T12:00:00Z")

export const source = (provider = "somebody"): ErrorSource => ({
  provider,
  model: "some-model",
  keyId: "key-1",
  now,
  mask: (text) => text.replaceAll("planted-canary", "***")
})

export const errorAnswer = (status: number, body: unknown, headers: Record<string, string> = {}): ErrorAnswer => ({
  status,
  headers,
  body
})

export const inBand = (body: unknown, headers: Record<string, string> = {}): ErrorAnswer => ({
  status: 200,
  headers,
  body,
  inBand: true
})

export const openAi = (message: string, code: string | number | null, type: string | null = null) => ({
  error: { message, type, param: null, code }
})

/** What an error of a provider means, by its body alone. */
import { classify } from "../../../src/wire/error/ProviderError.js"

export const errorClassOf = (provider: string, status: number, body: unknown): string =>
  classify(
    { status, headers: {}, body, inBand: status < 300 },
    { provider, model: "acme-1", keyId: "key-1", now: 0, mask: (text) => text }
  )._tag

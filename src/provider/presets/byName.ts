/** Providers by the protocol that they are spoken to in. */
import { presets as anthropic } from "./anthropic.js"
import { presets as chatCompletions } from "./chatCompletions.js"
import { presets as dashscope } from "./dashscope.js"
import { presets as gemini } from "./gemini.js"
import { presets as ollama } from "./ollama.js"
import type { Protocol } from "../protocols.js"
import { ownProtocol } from "../protocols.js"
import { presets as responses } from "./responses.js"

interface Place {
  readonly provider: string
  readonly baseUrl: string
}

const presets: Readonly<Record<Protocol, Readonly<Record<string, Place>>>> = {
  "chat-completions": chatCompletions,
  responses,
  "anthropic-messages": anthropic,
  gemini,
  ollama,
  dashscope
}

const named = (protocol: Protocol, provider: string): Place | undefined =>
  Object.values(presets[protocol]).find((place) => place.provider === provider)

/** Whether a provider has a preset in any protocol. */
export const isKnown = (provider: string): boolean =>
  Object.values(presets).some((places) => Object.values(places).some((place) => place.provider === provider))

/** Whether the preset of a provider says where it is. Without a protocol, one that would be spoken unasked. */
export const hasBaseUrl = (provider: string, protocol: Protocol | undefined): boolean => {
  const own = protocol ?? ownProtocol(provider)
  const spoken: ReadonlyArray<Protocol> = own === undefined ? ["chat-completions", "responses"] : [own]
  return spoken.some((candidate) => Boolean(named(candidate, provider)?.baseUrl))
}

/** All providers that have a preset, each once. */
export const names: ReadonlyArray<string> = [
  ...new Set(Object.values(presets).flatMap((places) => Object.values(places).map(({ provider }) => provider)))
]

/** Whether the preset of a provider is a server on the same machine, which looks at no key. */
export const isLocal = (provider: string): boolean =>
  Object.values(presets).some((places) =>
    Object.values(places).some((place) => place.provider === provider && place.baseUrl.startsWith("http://localhost"))
  )

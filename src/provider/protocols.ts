/** The protocols by the names that files and options call them, and who speaks which. */

export const protocols = [
  "chat-completions",
  "responses",
  "anthropic-messages",
  "gemini",
  "ollama",
  "dashscope"
] as const

export type Protocol = (typeof protocols)[number]

export const isProtocol = (name: string): name is Protocol => protocols.some((protocol) => protocol === name)

/** Other names of providers. */
const aliases: ReadonlyMap<string, string> = new Map([
  ["google", "gemini"],
  ["z.ai", "zai"],
  ["bigmodel", "zhipu"]
])

/** The provider that is meant by a name. */
export const providerOf = (name: string): string => {
  const lower = name.toLowerCase()
  return aliases.get(lower) ?? lower
}

/** Providers who are spoken to in their own protocol unless another is asked for. */
const own: ReadonlyMap<string, Protocol> = new Map([
  ["anthropic", "anthropic-messages"],
  ["gemini", "gemini"],
  ["vertex", "gemini"],
  ["ollama", "ollama"],
  ["ollama-cloud", "ollama"]
])

/** Where they speak as OpenAI does: Ollama below `/v1`, Google below `/openai`. */
const followsOpenAI: ReadonlyMap<Protocol, RegExp> = new Map([
  ["ollama", /\/v1\/*$/],
  ["gemini", /\/openai\/*$/]
])

/** The protocol of a provider that speaks one of its own there. */
export const ownProtocol = (provider: string, baseUrl?: string): Protocol | undefined => {
  const protocol = own.get(provider)
  return protocol !== undefined && followsOpenAI.get(protocol)?.test(baseUrl ?? "") === true ? undefined : protocol
}

/** The protocols by the names that files and options call them. */
export const protocols = ["chat-completions", "responses", "ollama", "dashscope"] as const

export type Protocol = (typeof protocols)[number]

export const isProtocol = (name: string): name is Protocol => protocols.some((protocol) => protocol === name)

/** Providers who are spoken to in their own protocol unless another is asked for. */
const own: ReadonlyMap<string, Protocol> = new Map([
  ["ollama", "ollama"],
  ["ollama-cloud", "ollama"]
])

/** What is spoken where nobody says. An address that ends in `/v1` is that of a mode which follows OpenAI. */
export const protocolOf = (provider: string, baseUrl: string | undefined): Protocol =>
  baseUrl !== undefined && /\/v1\/*$/.test(baseUrl) ? "chat-completions" : (own.get(provider) ?? "chat-completions")

/** Where Ollama is, as its documentation says. Data, not code. */
import type { Dialect } from "../../wire/ollama/dialect.js"
import type { Preset } from "../client.js"

export const presets = {
  /** https://docs.ollama.com/api/introduction: where `ollama serve` listens by default. It looks at no key. */
  local: { provider: "ollama", baseUrl: "http://localhost:11434" },
  /** https://docs.ollama.com/cloud */
  cloud: { provider: "ollama-cloud", baseUrl: "https://ollama.com" }
} as const satisfies Record<string, Preset<Dialect>>

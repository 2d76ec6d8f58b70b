/** Endpoints of Ollama, with the documentation as the source. */
import type { Dialect } from "../../wire/ollama/dialect.js"
import type { Preset } from "../client.js"

export const presets = {
  /** https://docs.ollama.com/api/introduction: the default address of `ollama serve`, which ignores keys. */
  local: { provider: "ollama", baseUrl: "http://localhost:11434" },
  /** https://docs.ollama.com/cloud */
  cloud: { provider: "ollama-cloud", baseUrl: "https://ollama.com" }
} as const satisfies Record<string, Preset<Dialect>>

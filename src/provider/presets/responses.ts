/** Where providers of the Responses protocol are and how they deviate, as their documentation says. Data, not code. */
import { openai as embeddings } from "../../wire/embeddings/dialect.js"
import type { Dialect } from "../../wire/responses/dialect.js"
import type { Preset } from "../client.js"

/** Nothing that only OpenAI's own servers are known to take: how a server is spoken to that nobody knows. */
export const plain = { store: undefined, sealedReasoning: false, strictTools: false } as const

export const presets = {
  /** https://platform.openai.com/docs/api-reference/responses */
  openai: { provider: "openai", baseUrl: "https://api.openai.com/v1", dialect: { embeddings } },
  /**
   * https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses: the v1 API. Give the `baseUrl` of your resource,
   * `https://<resource>.openai.azure.com/openai/v1`.
   */
  azure: { provider: "azure", baseUrl: "", auth: { header: "api-key" }, dialect: { embeddings } },
  /**
   * https://openrouter.ai/docs/api-reference/responses/overview: keeps nothing, wants an id and a status on what the model
   * said before, takes sound, and counts thinking as well as grading it.
   */
  openrouter: {
    provider: "openrouter",
    baseUrl: "https://openrouter.ai/api/v1",
    dialect: { strictTools: false, audio: true, messageIds: true, reasoningBudget: true }
  },
  /** https://docs.x.ai/docs/guides/responses-api: keeps answers for thirty days unless `store` is false. */
  xai: { provider: "xai", baseUrl: "https://api.x.ai/v1", dialect: { strictTools: false } },
  /** https://api-docs.deepseek.com/guides/responses_api: keeps nothing, and shows its thoughts as they are. */
  deepseek: { provider: "deepseek", baseUrl: "https://api.deepseek.com", dialect: { ...plain, embeddings: false } },
  /** https://lmstudio.ai/docs/developer/openai-compat/responses, where it listens by default. */
  lmStudio: { provider: "lmstudio", baseUrl: "http://localhost:1234/v1", dialect: plain }
} as const satisfies Record<string, Preset<Dialect>>

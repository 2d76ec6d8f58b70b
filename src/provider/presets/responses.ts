/** Endpoints of the Responses protocol and their deviations from OpenAI, with the documentation as the source. */
import { openai as embeddings } from "../../wire/embeddings/dialect.js"
import type { Dialect } from "../../wire/responses/dialect.js"
import type { Preset } from "../client.js"

/**
 * The dialect of unknown servers, without the fields that only OpenAI's own servers support, and with the penalties of Open
 * Responses (openresponses.org, specification, `CreateResponseBody`).
 */
export const plain = {
  store: undefined,
  sealedReasoning: false,
  strictTools: false,
  minOutputTokens: 1,
  faithful: false,
  sampling: ["frequencyPenalty", "presencePenalty", "logprobs"]
} as const satisfies Partial<Dialect>

/** https://platform.openai.com/docs/guides/prompt-caching, https://docs.x.ai/developers/advanced-api-usage/prompt-caching */
const affinity = { field: "prompt_cache_key" } as const

export const presets = {
  /** https://platform.openai.com/docs/api-reference/responses */
  openai: { provider: "openai", baseUrl: "https://api.openai.com/v1", dialect: { embeddings, affinity } },
  /**
   * https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses: the v1 API. Set the `baseUrl` of your resource,
   * `https://<resource>.openai.azure.com/openai/v1`.
   */
  azure: { provider: "azure", baseUrl: "", auth: { header: "api-key" }, dialect: { embeddings, affinity } },
  /**
   * https://openrouter.ai/docs/api-reference/responses/overview: stores nothing, requires an id and a status on messages of
   * the assistant, accepts audio, and has a budget of reasoning tokens beside the effort. Its answers of Gemini end with encrypted
   * reasoning.
   */
  openrouter: {
    provider: "openrouter",
    baseUrl: "https://openrouter.ai/api/v1",
    dialect: {
      strictTools: false,
      audio: true,
      messageIds: true,
      lastReasoning: true,
      reasoningBudget: true,
      minOutputTokens: 1,
      faithful: false,
      sampling: ["topK", "frequencyPenalty", "presencePenalty", "logprobs"]
    }
  },
  /** https://docs.x.ai/docs/guides/responses-api: stores responses for thirty days unless `store` is false. */
  xai: {
    provider: "xai",
    baseUrl: "https://api.x.ai/v1",
    dialect: { strictTools: false, minOutputTokens: 1, faithful: false, affinity }
  },
  /** https://api-docs.deepseek.com/guides/responses_api: stores nothing, and sends reasoning unencrypted. */
  deepseek: { provider: "deepseek", baseUrl: "https://api.deepseek.com", dialect: { ...plain, embeddings: false } },
  /** https://lmstudio.ai/docs/developer/openai-compat/responses; the default address. */
  lmStudio: { provider: "lmstudio", baseUrl: "http://localhost:1234/v1", dialect: plain }
} as const satisfies Record<string, Preset<Dialect>>

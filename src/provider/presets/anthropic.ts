/** Endpoints of the Messages protocol and their deviations from Anthropic, with the documentation as the source. */
import type { Dialect } from "../../wire/anthropic/dialect.js"
import type { Traits } from "../../wire/anthropic/models.js"
import type { Preset } from "../client.js"

/** The dialect of unknown servers: Anthropic's model limits do not apply, and reasoning is sent back without a signature. */
export const plain = { modelLimits: false, unsignedReasoning: true, faithful: false } as const

/** Servers that follow Anthropic with other models, without JSON Schema output. */
const compatible = { ...plain, jsonSchema: false } as const

const budgetTraits = (maxTokens: number, efforts: Traits["efforts"]): Traits => ({
  maxTokens,
  thinking: "budget",
  thinkingOff: "disabled",
  efforts,
  sampling: true,
  forcedTools: true,
  systemInTurns: false
})

const bearer = { header: "authorization", prefix: "Bearer " } as const

export const presets = {
  /** https://platform.claude.com/docs/en/api/messages */
  anthropic: { provider: "anthropic", baseUrl: "https://api.anthropic.com/v1", dialect: {} },
  /**
   * https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai: the model is in the path, the version in the
   * body, and the key is an access token. Set the `baseUrl` of your project,
   * `https://<region>-aiplatform.googleapis.com/v1/projects/<project>/locations/<region>/publishers/anthropic/models`.
   */
  vertex: {
    provider: "vertex",
    baseUrl: "",
    auth: bearer,
    dialect: {
      path: "/{model}:rawPredict",
      streamPath: "/{model}:streamRawPredict",
      version: { in: "body", value: "vertex-2023-10-16" }
    }
  },
  /** https://docs.z.ai/devpack/tool/claude and https://docs.z.ai/guides/llm/glm-4.6 */
  zai: {
    provider: "zai",
    baseUrl: "https://api.z.ai/api/anthropic/v1",
    auth: bearer,
    dialect: { ...compatible, otherModels: budgetTraits(32_000, []) }
  },
  /** https://api-docs.deepseek.com/guides/anthropic_api: supports an effort and ignores a budget of tokens. */
  deepseek: {
    provider: "deepseek",
    baseUrl: "https://api.deepseek.com/anthropic/v1",
    dialect: { ...compatible, models: [], otherModels: budgetTraits(32_000, ["low", "medium", "high", "max"]) }
  },
  /**
   * https://platform.minimax.io/docs/api-reference/text-anthropic-api: the whole answer goes back, with its thinking. Stop
   * sequences are ignored.
   */
  minimax: {
    provider: "minimax",
    baseUrl: "https://api.minimax.io/anthropic/v1",
    auth: bearer,
    dialect: { ...compatible, models: [], otherModels: budgetTraits(32_000, []) }
  },
  /** https://platform.kimi.ai/docs/guide/agent-support */
  moonshot: {
    provider: "moonshot",
    baseUrl: "https://api.moonshot.ai/anthropic/v1",
    auth: bearer,
    dialect: { ...compatible, otherModels: budgetTraits(32_000, []) }
  }
} as const satisfies Record<string, Preset<Dialect>>

/** Where providers of Chat Completions are and how they deviate, as their documentation says. Data, not code. */
import type { Dialect } from "../wire/ChatCompletions.js"
import { openai as embeddings } from "../wire/embeddings/openai.js"
import type { Preset } from "./preset.js"

export const presets = {
  /** https://platform.openai.com/docs/api-reference/chat */
  openai: {
    provider: "openai",
    baseUrl: "https://api.openai.com/v1",
    dialect: { maxTokensField: "max_completion_tokens", developerRole: "developer", embeddings }
  },
  /**
   * https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle: the v1 API. Give the `baseUrl` of your
   * resource, `https://<resource>.openai.azure.com/openai/v1`.
   */
  azure: {
    provider: "azure",
    baseUrl: "",
    auth: { header: "api-key" },
    dialect: { maxTokensField: "max_completion_tokens", developerRole: "developer", embeddings }
  },
  /**
   * https://learn.microsoft.com/azure/ai-foundry/openai/reference: the older API, one path a deployment, which is what
   * `model` then names. Give the `baseUrl` `https://<resource>.openai.azure.com/openai`. This version has no developer
   * messages; its system messages mean the same.
   */
  azureDeployments: {
    provider: "azure",
    baseUrl: "",
    auth: { header: "api-key" },
    query: { "api-version": "2024-10-21" },
    dialect: {
      path: "/deployments/{model}/chat/completions",
      maxTokensField: "max_completion_tokens",
      embeddings: { ...embeddings, path: "/deployments/{model}/embeddings" }
    }
  },
  /** https://api-docs.deepseek.com/api/create-chat-completion, and "Thinking Mode" and "JSON Output" there: no embeddings. */
  deepseek: {
    provider: "deepseek",
    baseUrl: "https://api.deepseek.com",
    dialect: { reasoning: "thinking", history: "reasoning_content", jsonSchema: false, embeddings: false }
  },
  /** https://openrouter.ai/docs/api-reference/chat-completion, and "Reasoning Tokens" there. */
  openrouter: {
    provider: "openrouter",
    baseUrl: "https://openrouter.ai/api/v1",
    dialect: { reasoning: "object", history: "reasoning_details" }
  },
  /** https://docs.x.ai/docs/api-reference#chat-completions */
  xai: { provider: "xai", baseUrl: "https://api.x.ai/v1", dialect: { maxTokensField: "max_completion_tokens" } },
  /** https://console.groq.com/docs/api-reference#chat-create: no embeddings. */
  groq: {
    provider: "groq",
    baseUrl: "https://api.groq.com/openai/v1",
    dialect: { maxTokensField: "max_completion_tokens", embeddings: false }
  },
  /** https://docs.mistral.ai/api/#tag/chat, and "Reasoning" there: usage comes with the last chunk unasked. */
  mistral: {
    provider: "mistral",
    baseUrl: "https://api.mistral.ai/v1",
    dialect: {
      streamUsage: false,
      history: "thinking-parts",
      toolChoiceRequired: "any",
      seedField: "random_seed"
    }
  },
  /** https://docs.together.ai/docs/inference/openai-compatibility */
  together: { provider: "together", baseUrl: "https://api.together.ai/v1" },
  /** https://platform.kimi.ai/docs/api/chat, and "Using Thinking Models" there. */
  moonshot: {
    provider: "moonshot",
    baseUrl: "https://api.moonshot.ai/v1",
    dialect: { maxTokensField: "max_completion_tokens", reasoning: "thinking", history: "reasoning_content" }
  },
  /** https://help.aliyun.com/zh/model-studio/qwen-api-via-openai-chat-completions, mainland China. */
  dashscope: {
    provider: "dashscope",
    baseUrl: "https://dashscope.aliyuncs.com/compatible-mode/v1",
    dialect: { reasoning: "enable_thinking", history: "reasoning_content" }
  },
  /** https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-openai-chat-completions: everywhere else. */
  dashscopeIntl: {
    provider: "dashscope-intl",
    baseUrl: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    dialect: { reasoning: "enable_thinking", history: "reasoning_content" }
  },
  /** https://docs.ollama.com/api/openai-compatibility, where `ollama serve` listens by default. */
  ollama: { provider: "ollama", baseUrl: "http://localhost:11434/v1" },
  /** https://docs.ollama.com/cloud */
  ollamaCloud: { provider: "ollama-cloud", baseUrl: "https://ollama.com/v1" },
  /** https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html, where `vllm serve` listens by default. */
  vllm: { provider: "vllm", baseUrl: "http://localhost:8000/v1" },
  /** https://lmstudio.ai/docs/developer/openai-compat/chat-completions, where it listens by default. */
  lmStudio: { provider: "lmstudio", baseUrl: "http://localhost:1234/v1" }
} as const satisfies Record<string, Preset<Dialect>>

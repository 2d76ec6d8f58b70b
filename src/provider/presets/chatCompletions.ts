/** Endpoints of Chat Completions and their deviations from OpenAI, with the documentation as the source. */
import type { Dialect } from "../../wire/chatCompletions/dialect.js"
import { gptOss, openModels, strictHistory } from "../../wire/chatCompletions/models.js"
import { openai as embeddings } from "../../wire/embeddings/dialect.js"
import { samplingFields } from "../../wire/sampling.js"
import type { Preset } from "../client.js"

/**
 * https://docs.bigmodel.cn/api-reference/模型-api/对话补全 and https://docs.z.ai/api-reference/llm/chat-completion, "Thinking Mode"
 * there; embeddings: at most 64 texts. A temperature of at most 1, and no other setting of the choice of tokens but `top_p`. At most
 * one stop sequence; `extra: { do_sample: false }` disables sampling,
 * `extra: { tool_stream: true }` streams the arguments of tools in deltas.
 */
const glm = {
  streamUsage: false,
  reasoning: "thinking",
  efforts: { minimal: "low", medium: "high", xhigh: "max" },
  history: "reasoning_content",
  toolChoices: "auto",
  userField: "user_id",
  jsonSchema: false,
  sampling: [],
  maxTemperature: 1,
  embeddings: { maxBatch: 64 }
} as const satisfies Partial<Dialect>

/**
 * https://help.aliyun.com/zh/model-studio/text-embedding-synchronous-api: at most 10 texts; "Context Cache" for `cacheControl`;
 * "OpenAI Chat" for `sampling`: `repetition_penalty` in place of `frequency_penalty`, and at most five alternatives of a token.
 */
const modelStudio = {
  reasoning: "enable_thinking",
  history: "reasoning_content",
  cacheControl: "plain",
  sampling: ["topK", "presencePenalty", "logprobs"],
  maxLogprobs: 5,
  embeddings: { maxBatch: 10 }
} as const satisfies Partial<Dialect>

/** The fields of assistant messages that OpenAI documents, and OpenRouter ("Chat": schema `ChatAssistantMessage`). */
const assistantFields = ["refusal", "audio"] as const

/** OpenAI's own servers, and those of Azure. */
const openai = {
  maxTokensField: "max_completion_tokens",
  faithful: true,
  affinity: { field: "prompt_cache_key" }
} as const satisfies Partial<Dialect>

/** Hosts of open models whose chat templates read the reasoning of a tool loop. */
const openHost = { history: "reasoning", historyModels: openModels } as const satisfies Partial<Dialect>

/** https://docs.ollama.com/api/openai-compatibility: no `logit_bias`, and no limit of the temperature. */
const ollama = {
  ...openHost,
  sampling: ["frequencyPenalty", "presencePenalty", "logprobs"],
  maxTemperature: Infinity
} as const satisfies Partial<Dialect>

export const presets = {
  /** https://platform.openai.com/docs/api-reference/chat */
  openai: {
    provider: "openai",
    baseUrl: "https://api.openai.com/v1",
    dialect: { ...openai, developerRole: "developer", assistantFields, embeddings }
  },
  /**
   * https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle: the v1 API. Set the `baseUrl` of your
   * resource, `https://<resource>.openai.azure.com/openai/v1`.
   */
  azure: {
    provider: "azure",
    baseUrl: "",
    auth: { header: "api-key" },
    dialect: { ...openai, developerRole: "developer", assistantFields, embeddings }
  },
  /**
   * https://learn.microsoft.com/azure/ai-foundry/openai/reference: the older API with a path for each deployment, whose name
   * is the `model`. Set the `baseUrl` `https://<resource>.openai.azure.com/openai`. This version has no developer messages;
   * system messages replace them.
   */
  azureDeployments: {
    provider: "azure",
    baseUrl: "",
    auth: { header: "api-key" },
    query: { "api-version": "2024-10-21" },
    dialect: {
      ...openai,
      path: "/deployments/{model}/chat/completions",
      assistantFields: ["refusal"],
      embeddings: { ...embeddings, path: "/deployments/{model}/embeddings" }
    }
  },
  /** https://api-docs.deepseek.com/api/create-chat-completion, and "Thinking Mode" and "JSON Output" there. */
  deepseek: {
    provider: "deepseek",
    baseUrl: "https://api.deepseek.com",
    dialect: {
      reasoning: "thinking",
      history: "reasoning_content",
      historyModels: strictHistory,
      toolChoices: "unthinking",
      jsonSchema: false,
      sampling: ["frequencyPenalty", "presencePenalty", "logprobs"],
      embeddings: false
    }
  },
  /** https://openrouter.ai/docs/api-reference/chat-completion, and "Reasoning Tokens" and "Prompt Caching" there. */
  openrouter: {
    provider: "openrouter",
    baseUrl: "https://openrouter.ai/api/v1",
    dialect: {
      reasoning: "object",
      efforts: { max: "xhigh" },
      history: "reasoning_details",
      assistantFields,
      cacheControl: "ttl",
      toolImages: true,
      sampling: samplingFields
    }
  },
  /**
   * https://docs.x.ai/docs/api-reference#chat-completions, and "Reasoning" there. Reasoning models reject stop sequences.
   * Assistant messages have `reasoning_content` (schema `Message`); encrypted reasoning only fits the Responses protocol ("Best
   * Practices Guide"). No document says which turns Grok reads, so it gets what gpt-oss gets. `logit_bias` is
   * "unsupported".
   */
  xai: {
    provider: "xai",
    baseUrl: "https://api.x.ai/v1",
    dialect: {
      maxTokensField: "max_completion_tokens",
      efforts: { minimal: "low", xhigh: "high" },
      history: "reasoning_content",
      historyModels: [{ name: /grok/i, turns: "tool-loop" }],
      sampling: ["frequencyPenalty", "presencePenalty", "logprobs"],
      maxLogprobs: 8,
      affinity: { header: "x-grok-conv-id" }
    }
  },
  /**
   * https://console.groq.com/docs/api-reference#chat-create, and "Reasoning" there. Assistant messages have `reasoning`, which
   * models without reasoning reject ("reasoning is not supported with this model"; vercel/ai, pull request 8057). "OpenAI
   * Compatibility": `logprobs` and `logit_bias` are rejected.
   */
  groq: {
    provider: "groq",
    baseUrl: "https://api.groq.com/openai/v1",
    dialect: {
      maxTokensField: "max_completion_tokens",
      reasoning: "groq",
      efforts: { minimal: "low", xhigh: "high" },
      history: "reasoning",
      historyModels: [gptOss],
      names: false,
      sampling: ["frequencyPenalty", "presencePenalty"],
      embeddings: false
    }
  },
  /**
   * https://docs.mistral.ai/api/#tag/chat, and "Reasoning" there: the last chunk always has the usage, and reasoning is on
   * (`high`) or off (`none`). A temperature of at most 1.5, and unknown fields are rejected. Embeddings: at most 16,000 tokens in
   * 256 texts.
   */
  mistral: {
    provider: "mistral",
    baseUrl: "https://api.mistral.ai/v1",
    dialect: {
      streamUsage: false,
      efforts: { minimal: "high", low: "high", medium: "high", xhigh: "high" },
      history: "thinking-parts",
      callIds: "nine-characters",
      toolImages: true,
      toolChoiceRequired: "any",
      seedField: "random_seed",
      names: false,
      userField: "none",
      sampling: ["frequencyPenalty", "presencePenalty"],
      maxTemperature: 1.5,
      embeddings: { maxBatch: 256, maxBatchTokens: 16_000, dimensionsField: "output_dimension", user: false }
    }
  },
  /**
   * https://docs.together.ai/docs/inference/openai-compatibility, and "Reasoning" there. Assistant messages have `reasoning`
   * (`ChatCompletionAssistantMessageParam` of its SDK). `logprobs` is a number there (API reference,
   * chat-completions): set `extra: { logprobs: 1 }`.
   */
  together: {
    provider: "together",
    baseUrl: "https://api.together.ai/v1",
    dialect: {
      ...openHost,
      reasoning: "enabled",
      efforts: { minimal: "low", xhigh: "high" },
      sampling: ["topK", "frequencyPenalty", "presencePenalty", "logitBias"]
    }
  },
  /**
   * https://docs.perplexity.ai/api-reference/chat-completions-post. Answers have `citations` and `search_results` in
   * `providerMetadata`. There are no tools and no list of models.
   */
  perplexity: {
    provider: "perplexity",
    baseUrl: "https://api.perplexity.ai",
    dialect: {
      streamUsage: false,
      efforts: { xhigh: "high" },
      alternate: true,
      tools: false,
      userField: "none",
      jsonObject: false,
      sampling: ["topK", "frequencyPenalty", "presencePenalty", "logprobs"],
      embeddings: false,
      models: false
    }
  },
  /** Zhipu, mainland China. Keys are sent unchanged; `ZhipuClient` of `effect-llm/zhipu` signs tokens with them. */
  zhipu: { provider: "zhipu", baseUrl: "https://open.bigmodel.cn/api/paas/v4", dialect: glm },
  /** Zhipu's coding plan, which has separate quotas. */
  zhipuCoding: { provider: "zhipu-coding", baseUrl: "https://open.bigmodel.cn/api/coding/paas/v4", dialect: glm },
  /** Z.ai: Zhipu outside of mainland China. */
  zai: { provider: "zai", baseUrl: "https://api.z.ai/api/paas/v4", dialect: glm },
  /** Z.ai's coding plan, which has separate quotas. */
  zaiCoding: { provider: "zai-coding", baseUrl: "https://api.z.ai/api/coding/paas/v4", dialect: glm },
  /** https://platform.kimi.ai/docs/api/chat, and "Using Thinking Models" there. */
  moonshot: {
    provider: "moonshot",
    baseUrl: "https://api.moonshot.ai/v1",
    dialect: {
      maxTokensField: "max_completion_tokens",
      reasoning: "thinking",
      efforts: { minimal: "low", medium: "high", xhigh: "max" },
      history: "reasoning_content",
      toolChoices: "unthinking",
      sampling: ["frequencyPenalty", "presencePenalty"],
      maxTemperature: 1,
      embeddings: false
    }
  },
  /**
   * https://platform.minimax.io/docs/api-reference/text-openai-api and https://platform.minimax.io/docs/guides/text-m2-function-call:
   * the whole answer goes back, with its `reasoning_details`. `tool_choice` is `auto` or `none`
   * (https://platform.minimax.io/docs/api-reference/text-post), and `response_format` is ignored (MiniMax-AI/MiniMax-M2.5,
   * issue 4). In mainland China, spread this preset and set the `baseUrl` `https://api.minimaxi.com/v1`.
   */
  minimax: {
    provider: "minimax",
    baseUrl: "https://api.minimax.io/v1",
    dialect: {
      maxTokensField: "max_completion_tokens",
      reasoning: "reasoning_split",
      history: "reasoning_details",
      toolChoices: "auto",
      jsonObject: false,
      jsonSchema: false,
      embeddings: false
    }
  },
  /** https://help.aliyun.com/zh/model-studio/qwen-api-via-openai-chat-completions, mainland China. */
  dashscope: {
    provider: "dashscope",
    baseUrl: "https://dashscope.aliyuncs.com/compatible-mode/v1",
    dialect: modelStudio
  },
  /** https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-openai-chat-completions, outside of mainland China. */
  dashscopeIntl: {
    provider: "dashscope-intl",
    baseUrl: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    dialect: modelStudio
  },
  /**
   * https://docs.ollama.com/api/openai-compatibility; the default address of `ollama serve`. It reads `reasoning` of assistant
   * messages (`FromChatRequest` in openai/openai.go of ollama/ollama).
   */
  ollama: { provider: "ollama", baseUrl: "http://localhost:11434/v1", dialect: ollama },
  /** https://docs.ollama.com/cloud */
  ollamaCloud: { provider: "ollama-cloud", baseUrl: "https://ollama.com/v1", dialect: ollama },
  /**
   * https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html; the default address of `vllm serve`. "Interleaved
   * Thinking" there sends `reasoning` back, the name since 0.11 ("Reasoning Outputs").
   */
  vllm: {
    provider: "vllm",
    baseUrl: "http://localhost:8000/v1",
    dialect: { ...openHost, sampling: samplingFields, maxTemperature: Infinity }
  },
  /**
   * https://lmstudio.ai/docs/developer/openai-compat/chat-completions; the default address. Answers have `reasoning` ("API
   * Changelog", 0.3.23). Its documents do not describe the way back, so it gets what the other hosts of these models get.
   */
  lmStudio: {
    provider: "lmstudio",
    baseUrl: "http://localhost:1234/v1",
    dialect: {
      ...openHost,
      sampling: ["topK", "frequencyPenalty", "presencePenalty", "logitBias"],
      maxTemperature: Infinity
    }
  }
} as const satisfies Record<string, Preset<Dialect>>

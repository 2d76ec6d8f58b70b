/**
 * What an error of a provider means, as an ordered list: the first rule that fits decides. Exceptions of single providers
 * come first, then codes that mean one thing everywhere, then words, then what is left of codes, then the status alone.
 */
import type { Tag } from "../LLMError.js"
import type { ErrorReport } from "./ErrorAnswer.js"
import { canonical } from "./ErrorAnswer.js"

/** The classes that a provider can cause. */
export type Verdict = Extract<
  Tag,
  | "RateLimitError"
  | "QuotaExceededError"
  | "AuthenticationError"
  | "PermissionError"
  | "ModelNotFoundError"
  | "ContextLengthError"
  | "ContentFilterError"
  | "InvalidRequestError"
  | "ProviderUnavailableError"
>

/** `none`: an error in band that names no status. */
type Status = number | "none" | "3xx" | "4xx" | "5xx"

/** All that is given must hold. */
export interface Condition {
  /** The name that the user gave the provider. */
  readonly provider?: RegExp
  readonly status?: ReadonlyArray<Status>
  /** One of these, whatever the case and punctuation; a `*` stands for anything. */
  readonly code?: ReadonlyArray<string>
  /** In the provider's words, in lower case. */
  readonly text?: RegExp
  /** Not in the provider's words. */
  readonly unless?: RegExp
}

export interface Rule {
  readonly when: Condition
  readonly then: Verdict
}

const zhipu = /(?:^|[^a-z])z[.-]?ai(?:[^a-z]|$)|zhipu|bigmodel|glm/
const dashScope = /dashscope|aliyun|alibaba|bailian|qwen|model-?studio/

/** The same words mean different things with these. */
const exceptions: ReadonlyArray<Rule> = [
  // DashScope, 429 "Free allocated quota exceeded": alibabacloud.com/help/en/model-studio/error-code
  { when: { text: /free (?:allocated |tier )quota (?:has been )?(?:exceeded|exhausted)/ }, then: "QuotaExceededError" },
  // DashScope words its limit of tokens a minute as OpenAI words an empty account, and links to #token-limit (same page)
  {
    when: {
      status: [429, "none"],
      code: ["insufficient_quota", "Throttling.AllocationQuota"],
      text: /error-code#(?:token|rate|request)-limit/
    },
    then: "RateLimitError"
  },
  { when: { provider: dashScope, status: [429, "none"], code: ["insufficient_quota"] }, then: "RateLimitError" },

  // Gemini Code Assist, 429 and 503 (google-gemini/gemini-cli, googleQuotaErrors.ts)
  { when: { code: ["MODEL_CAPACITY_EXHAUSTED"] }, then: "ProviderUnavailableError" },
  // Gemini: a day's quota, no free quota at all, or no money (ai.google.dev/gemini-api/docs/rate-limits, same file)
  { when: { code: ["QUOTA_EXHAUSTED", "*PerDay*"] }, then: "QuotaExceededError" },
  {
    when: {
      status: [429, "none"],
      code: ["RESOURCE_EXHAUSTED"],
      text: /limit: 0\b|credits are depleted|spending cap|daily quota|per day/
    },
    then: "QuotaExceededError"
  },
  // Gemini: "You exceeded your current quota" is also what it says of a minute's limit
  { when: { status: [429, "none"], code: ["RESOURCE_EXHAUSTED"] }, then: "RateLimitError" },
  {
    when: { status: [429, "none"], text: /ai\.google\.dev\/gemini-api/, unless: /limit: 0\b/ },
    then: "RateLimitError"
  },

  // Zhipu and Z.ai: docs.bigmodel.cn/cn/api/api-code, docs.z.ai/api-reference/api-code
  { when: { provider: zhipu, code: ["1000", "1001", "1002", "1003", "1004", "1111"] }, then: "AuthenticationError" },
  { when: { provider: zhipu, code: ["1110", "1112", "1121", "1220", "1311"] }, then: "PermissionError" },
  { when: { provider: zhipu, code: ["1113", "1304", "1308", "1309", "1310"] }, then: "QuotaExceededError" },
  { when: { provider: zhipu, code: ["1211"] }, then: "ModelNotFoundError" },
  { when: { provider: zhipu, code: ["1210", "1212", "1213", "1214", "1215"] }, then: "InvalidRequestError" },
  { when: { provider: zhipu, code: ["1261"] }, then: "ContextLengthError" },
  { when: { provider: zhipu, code: ["1301"] }, then: "ContentFilterError" },
  { when: { provider: zhipu, code: ["1302", "1303", "1305", "1313"] }, then: "RateLimitError" },
  { when: { provider: zhipu, code: ["1120", "1230", "1231", "1234", "1312"] }, then: "ProviderUnavailableError" },
  { when: { provider: zhipu, status: [434] }, then: "PermissionError" },

  // OpenRouter: a 402 that passes as soon as calls in flight are settled (openrouter.ai/docs/api/reference/errors-and-debugging)
  { when: { status: [402, "none"], code: ["openrouter_in_flight_budget"] }, then: "RateLimitError" },
  // Cohere: 498 is a blocked word (docs.cohere.com/reference/errors); with Groq it is a lack of capacity, see below
  { when: { provider: /cohere/, status: [498] }, then: "ContentFilterError" },
  // Cohere: trial keys have a limit a minute and one a month, and tell both alike (docs.cohere.com/docs/rate-limits)
  { when: { status: [429], text: /limited to [\d,]+ api calls ?\/ ?month/ }, then: "QuotaExceededError" }
]

/** These mean one thing, whichever status they come with. */
const codes: ReadonlyArray<Rule> = [
  {
    when: {
      code: [
        // platform.openai.com/docs/guides/error-codes, learn.microsoft.com (Dev Proxy, "openai-insufficient-quota")
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "credit_balance_exhausted",
        "*_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        // ChatGPT's plans
        "usage_limit_reached",
        // docs.claude.com/en/api/errors
        "billing_error",
        "enforced_spend_limit_reached",
        "credit_balance_too_low",
        // platform.kimi.ai/docs/api/errors
        "exceeded_current_quota_error",
        // alibabacloud.com/help/en/model-studio/error-code
        "Arrearage",
        "PrepaidBillOverdue",
        "PostpaidBillOverdue",
        "CommodityNotPurchased",
        "AllocationQuota.FreeTierOnly",
        // Google: a project without billing, and ai.google.dev/gemini-api/docs/api-errors
        "BILLING_DISABLED",
        "quota_exceeded",
        // xAI, Groq, Volcengine, watsonx, Vercel's gateway
        "personal-team-blocked:spending-limit",
        "blocked_api_access",
        "AccountOverdueError",
        "token_quota_reached",
        "insufficient_funds",
        // routers and gateways (OpenRouter, new-api)
        "insufficient_credits",
        "insufficient_balance",
        "credit_limit_reached",
        "insufficient_user_quota",
        "pre_consume_token_quota_failed",
        "payment_required"
      ]
    },
    then: "QuotaExceededError"
  },
  {
    when: {
      code: [
        // OpenAI, at 429 and in streams; Groq also at 413 for tokens a minute (console.groq.com/docs/errors)
        "rate_limit_exceeded",
        // Moonshot, Azure, Mistral, OpenAI-like gateways
        "rate_limit_reached_error",
        "RateLimitReached",
        "rate_limited",
        "too_many_requests*",
        // DashScope: Throttling.RateQuota, Throttling.BurstRate, Throttling.AllocationQuota, limit_requests …
        "Throttling*",
        "LimitRequests",
        "limit_burst_rate",
        // Cerebras calls its limits a minute quotas
        "token_quota_exceeded",
        "request_quota_exceeded",
        // Volcengine: RateLimitExceeded.EndpointTPMExceeded …
        "RateLimitExceeded*",
        "consumption_limit_reached"
      ],
      // Together and others use a code of this group for overload too, and then say so
      unless: /service tier capacity|currently overloaded|high demand right now/
    },
    then: "RateLimitError"
  },
  {
    when: {
      code: [
        // docs.claude.com/en/api/errors, Responses in streams, Moonshot, Volcengine, Groq (498), Mistral, Cerebras, Azure
        "overloaded_error",
        "overloaded",
        "server_is_overloaded",
        "slow_down",
        "engine_overloaded_error",
        "ServerOverloaded",
        "capacity_exceeded",
        "over_capacity",
        "service_tier_capacity_exceeded",
        "queue_exceeded",
        "NoCapacity",
        "service_unavailable*",
        // DashScope, Google, Amazon
        "ModelServingError",
        "ModelUnavailable",
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "ModelNotReadyException"
      ]
    },
    then: "ProviderUnavailableError"
  },
  {
    when: {
      code: [
        // OpenAI: a prompt that was flagged (platform.openai.com/docs/guides/reasoning), images, moderation
        "invalid_prompt",
        "content_policy_violation",
        "image_content_policy_violation",
        "moderation_blocked",
        // Azure OpenAI (learn.microsoft.com, "content filtering"), Moonshot
        "content_filter",
        "ResponsibleAIPolicyViolation",
        // DashScope, also data_inspection_failed; Volcengine: InputTextSensitiveContentDetected …
        "DataInspectionFailed",
        "*SensitiveContentDetected*",
        // Gemini (ai.google.dev/api/generate-content, BlockReason), gateways
        "PROHIBITED_CONTENT",
        "SAFETY",
        "prompt_blocked",
        "sensitive_words_detected"
      ]
    },
    then: "ContentFilterError"
  },
  // OpenAI uses the code for any field; only that of a text is the context's length
  {
    when: {
      code: ["string_above_max_length"],
      unless: /'(?:tools|functions|metadata|user|stop|name|safety_identifier|prompt_cache_key)\b/
    },
    then: "ContextLengthError"
  },
  {
    when: {
      code: [
        "context_length_exceeded", // OpenAI, Groq, Cerebras
        "exceed_context_size_error", // llama.cpp (tools/server/README.md)
        "too_many_prompt_tokens", // Perplexity
        "tokens_limit_reached", // GitHub Models
        "model_max_prompt_tokens_exceeded" // GitHub Copilot
      ]
    },
    then: "ContextLengthError"
  },
  {
    when: {
      code: [
        "model_not_found", // OpenAI, Groq, vLLM, DashScope; with 403 the project may not use it
        "ModelNotFound", // DashScope
        "DeploymentNotFound", // Azure OpenAI
        "unknown_model", // GitHub Models
        "invalid_model", // Mistral, Perplexity
        "model_not_available", // Together
        "model_not_supported", // GitHub Copilot, Hugging Face, watsonx
        "model_decommissioned", // Groq
        "InvalidEndpointOrModel*", // Volcengine
        "ModelNotOpen"
      ]
    },
    then: "ModelNotFoundError"
  },
  {
    when: {
      code: [
        "invalid_api_key",
        "InvalidApiKey", // DashScope
        "API_KEY_INVALID", // Google, at 400
        "CREDENTIALS_MISSING",
        "incorrect_api_key_error", // Moonshot
        "invalid_authentication_error",
        "missing_api_key",
        "account_deactivated"
      ]
    },
    then: "AuthenticationError"
  },
  {
    when: {
      code: [
        "unsupported_country_region_territory", // OpenAI
        "ip_not_authorized",
        "access_terminated",
        "organization_restricted", // Groq
        "model_terms_required",
        "permission_denied_error" // Moonshot
      ]
    },
    then: "PermissionError"
  },
  {
    when: {
      code: [
        "tool_use_failed", // Groq, in streams: the model called a tool wrongly (console.groq.com/docs/errors)
        "json_validate_failed",
        "not_supported_error", // llama.cpp, at 501: it is not started for that
        "model_no_support_for_function", // watsonx
        "OperationNotSupported" // Azure OpenAI
      ]
    },
    then: "InvalidRequestError"
  }
]

/** What providers write where no code says it. */
const words: ReadonlyArray<Rule> = [
  // Mistral, Azure, xAI, OpenAI, Moonshot, Cloudflare answer a lack of capacity with 429 or in band; OpenRouter tells of demand
  // to explain a limit
  {
    when: {
      status: [429, "none"],
      text: /capacity (?:temporarily )?exceeded|overloaded|at capacity|no capacity|experiencing high (?:demand|traffic)|访问量过大|系统繁忙/,
      unless: /rate.?limit/
    },
    then: "ProviderUnavailableError"
  },
  {
    when: {
      status: [400, 401, 402, 403, 429, "none"],
      text: new RegExp(
        [
          /exceeded your current quota/, // OpenAI and those who copied it
          /credit balance is too low/, // Anthropic, 400
          /(?:reached|hit|exceeded) your (?:[\w-]+ ){0,3}(?:usage|spend|spending) limits?/, // Anthropic 400, Ollama, Kimi
          /usage limit (?:has been )?(?:reached|exceeded)/,
          /insufficient (?:account )?(?:balance|credits?|funds|quota)/, // DeepSeek, Z.ai
          /balance is insufficient/, // SiliconFlow
          /(?:more|doesn't have any|run out of|used all available|out of) credits/, // OpenRouter, xAI
          /(?:monthly|daily) (?:spending|spend|request|usage|included) (?:limit|quota|credits)/, // xAI, Hugging Face
          /spend(?:ing)? limit/, // Groq
          /account is not active.{0,40}billing/, // OpenAI
          /key limit exceeded/, // OpenRouter, 403
          /daily free allocation/, // Cloudflare
          /out of call volume quota/, // Azure API Management, 403
          /余额不足|欠费|额度不足|额度已(?:用尽|用完)|配额已(?:用尽|用完)|使用上限|调用次数限额/
        ]
          .map((part) => part.source)
          .join("|")
      ),
      unless: /tokens per min|requests per min/
    },
    then: "QuotaExceededError"
  },
  {
    when: {
      status: [400, 401, 403, 451, "none"],
      text: new RegExp(
        [
          /user location is not supported/, // Gemini, 400
          /not available in your (?:country|region)/,
          /country, region, or territory not supported/, // OpenAI
          /(?:organization|account|project) (?:has been|is|was) (?:disabled|suspended|deactivated|restricted|locked)/,
          /access (?:has been |was )?terminated/,
          /organization must be verified/,
          /requires terms acceptance/
        ]
          .map((part) => part.source)
          .join("|")
      )
    },
    then: "PermissionError"
  },
  {
    when: {
      status: [400, 403, 404, "none"],
      text: new RegExp(
        [
          /(?:invalid|incorrect|missing|expired|unknown|no) (?:x-)?api[- ]?key/, // xAI answers 400
          /api[- ]?key (?:is |was |has )?(?:not valid|invalid|incorrect|missing|expired|not found|revoked|reported as leaked)/, // Gemini
          /unregistered callers/, // Gemini, 403: no key at all
          /invalid (?:authentication|access token|api token|bearer token)/,
          /身份验证失败|鉴权失败|无效的(?:令牌|密钥|api ?key)|(?:令牌|密钥|api ?key)(?:无效|错误|不正确|已过期)/
        ]
          .map((part) => part.source)
          .join("|")
      )
    },
    then: "AuthenticationError"
  },
  {
    when: {
      status: [400, 403, 413, 422, 500, "none"],
      text: new RegExp(
        [
          /(?:maximum|max) (?:context|prompt|model|input) (?:length|window)/, // OpenAI, DeepSeek, vLLM, xAI, Mistral
          /exceeds? (?:the |this |your |model'?s? |its )*(?:maximum |available |configured )*context/, // llama.cpp, Ollama, Anthropic
          /context[- ]?(?:length|window|size|limit)s? (?:is |was |has been )?(?:exceeded|too)/,
          /longer than the (?:model's |maximum )*(?:model |context )?length/, // Together, vLLM
          /less than the context length/, // Together, 403
          /prompt (?:is|was) too long|input is too long|prompt exceeds max/, // Anthropic, Bedrock, Z.ai
          /(?:input )?token count .{0,30}exceeds/, // Gemini, Copilot
          /input tokens exceed the configured limit/, // OpenAI
          /exceeded model token limit|input token length too long/, // Moonshot
          /too many tokens: /, // Cohere
          /length of all messages is too long/, // Perplexity
          /reduce the length of the (?:messages|prompt|input)/, // OpenAI and those who copied it
          /range of input length should be|message token length exceed/, // DashScope
          /too large for model with|context the overflows|loaded with context length|must be less than max_seq_len/, // Mistral, LM Studio
          /input is too large to process/, // llama.cpp, 500
          /`?inputs`? (?:tokens \+|must have less than)/, // text-generation-inference
          /上下文(?:长度|窗口)?(?:超|过)|(?:输入|提示词?|prompt) ?(?:长度)?(?:过长|超长|超限)|超过.{0,12}(?:上下文|最大)(?:长度|token)/
        ]
          .map((part) => part.source)
          .join("|")
      ),
      unless: /tokens per min|supports at most .{0,20}completion tokens/
    },
    then: "ContextLengthError"
  },
  {
    when: {
      status: [400, 403, 422, 451, 500, "none"],
      text: new RegExp(
        [
          /content exists risk/, // DeepSeek
          /considered high risk/, // Moonshot
          /content management policy|content filter/, // Azure OpenAI, Anthropic
          /flagged/, // OpenAI, OpenRouter's moderation (403)
          /(?:inappropriate|sensitive|unsafe|prohibited) content/, // DashScope, Z.ai
          /violat\w+ (?:\w+ ){0,3}(?:usage |content |safety )?(?:polic|guidelines)/, // xAI (403), OpenAI
          /blocked by .{0,40}(?:safety|moderation|guardrail|content)/,
          /敏感|不安全|违规(?:内容)?|内容安全|绿网/
        ]
          .map((part) => part.source)
          .join("|")
      )
    },
    then: "ContentFilterError"
  },
  // Anthropic says no more than "model: name"
  { when: { status: [404], text: /^model: \S+$/m }, then: "ModelNotFoundError" },
  {
    when: {
      status: [400, 404, 410, 422, "none"],
      text: new RegExp(
        [
          /\bmodels?[ :/](?:id |name |named )?(?:[^\s,]{1,120} )?(?:is |was |does |could )?(?:not |n't )(?:be )?(?:exist|found)/,
          /\bmodels?[ :](?:[^\s,]{1,120} )?doesn't exist/,
          /\b(?:the|specified|requested|selected) (?:[^\s]{1,120} )?model (?:[^\s,]{1,120} )?is not (?:supported|available)/, // Copilot
          /\bmodel [^\s,]{1,120} is not (?:supported|available)/, // Voyage
          /\bmodel .{0,120}(?:has been|is) (?:deprecated|decommissioned|retired|no longer (?:available|supported))/, // Groq
          /\b(?:unknown|invalid|no such|unrecognized|unsupported) model\b(?! (?:output|response|parameter))/, // Mistral, Snowflake, Cloudflare
          /not a valid model|model identifier is invalid/, // OpenRouter, Bedrock
          /no endpoints found for/, // OpenRouter
          /supported api model names are/, // DeepSeek
          /not found the model/, // Moonshot
          /unable to access (?:non-serverless )?model/, // Together
          /deployment .{0,60}does not exist/, // Azure OpenAI
          /模型.{0,60}(?:不存在|未找到)|(?:不支持|无效|找不到)的?模型/
        ]
          .map((part) => part.source)
          .join("|")
      )
    },
    then: "ModelNotFoundError"
  },
  {
    when: {
      status: [400, 403, 413, 500, "none"],
      text: /rate.?limit|too many requests|请求过于频繁|频率过高|并发(?:数)?过高|限流|流量限制/
    },
    then: "RateLimitError"
  },
  // llama.cpp, 500: the model was started without the part that sees or hears
  { when: { status: [500], text: /(?:image|audio|video) input is not supported/ }, then: "InvalidRequestError" }
]

/** Codes that mostly repeat the status, for when there is none or it is not to be trusted. */
const vague: ReadonlyArray<Rule> = [
  {
    when: {
      status: [400, 500, "none"],
      code: ["authentication_error", "UNAUTHENTICATED", "unauthorized", "AuthenticationError"]
    },
    then: "AuthenticationError"
  },
  {
    when: {
      status: [400, 500, "none"],
      code: ["permission_error", "PERMISSION_DENIED", "forbidden", "AccessDenied*", "*.AccessDenied"]
    },
    then: "PermissionError"
  },
  {
    when: { status: [400, 403, 500, "none"], code: ["rate_limit_error", "RateLimitError", "ThrottlingException"] },
    then: "RateLimitError"
  },
  { when: { status: [400, 429], code: ["timeout_error", "RequestTimeOut"] }, then: "ProviderUnavailableError" },
  {
    when: {
      status: ["none"],
      code: [
        "invalid_request_error",
        "invalid_request",
        "invalid_argument",
        "FAILED_PRECONDITION",
        "OUT_OF_RANGE",
        "InvalidParameter*",
        "invalid_parameter_error",
        "BadRequest*",
        "not_found_error",
        "NOT_FOUND",
        "request_too_large",
        // Responses, in a stream (platform.openai.com/docs/api-reference/responses/object, error.code)
        "invalid_image*",
        "image_*",
        "unsupported_image_media_type",
        "empty_image_file"
      ]
    },
    then: "InvalidRequestError"
  }
]

const statuses: ReadonlyArray<Rule> = [
  { when: { status: [401] }, then: "AuthenticationError" },
  { when: { status: [402] }, then: "QuotaExceededError" },
  { when: { status: [403, 451] }, then: "PermissionError" },
  { when: { status: [429] }, then: "RateLimitError" },
  // 498: Groq's flex tier is full (console.groq.com/docs/errors); 499: the request was cancelled on the way
  { when: { status: [408, 409, 424, 425, 498, 499, "5xx"] }, then: "ProviderUnavailableError" },
  { when: { status: ["3xx", "4xx"] }, then: "InvalidRequestError" }
]

export const rules: ReadonlyArray<Rule> = [...exceptions, ...codes, ...words, ...vague, ...statuses]

const statusFits = (wanted: Status, status: number): boolean =>
  wanted === "none"
    ? status === 0
    : typeof wanted === "number"
      ? status === wanted
      : Math.floor(status / 100) === Number(wanted[0])

/** The tests of codes are compiled once. */
const codeTests = new Map<Condition, RegExp>(
  rules.flatMap(({ when }): ReadonlyArray<readonly [Condition, RegExp]> => {
    if (when.code === undefined) return []
    const names = when.code.map((name) => name.split("*").map(canonical).join(".*"))
    return [[when, new RegExp(`^(?:${names.join("|")})$`)]]
  })
)

const fits = (when: Condition, report: ErrorReport, provider: string): boolean => {
  const code = codeTests.get(when)
  return (
    (when.status === undefined || when.status.some((wanted) => statusFits(wanted, report.status))) &&
    (code === undefined || [...report.codes].some((name) => code.test(name))) &&
    (when.provider === undefined || when.provider.test(provider)) &&
    (when.text === undefined || when.text.test(report.text)) &&
    (when.unless === undefined || !when.unless.test(report.text))
  )
}

/**
 * The class of an error. What no rule knows came in band without a status: a request that was at fault would have been
 * refused before, so the provider is.
 */
export const decide = (report: ErrorReport, provider: string): Verdict =>
  rules.find(({ when }) => fits(when, report, provider.toLowerCase()))?.then ?? "ProviderUnavailableError"

import type { Rule } from "./rule.js"

/** Codes that have one meaning with every status. */
export const codeRules: ReadonlyArray<Rule> = [
  {
    when: {
      code: [
        // platform.openai.com/docs/guides/error-codes, learn.microsoft.com (Dev Proxy, "openai-insufficient-quota")
        "insufficient_quota",
        "local:insufficient_quota", // new-api
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
        // Google: a project without billing, and ai.google.dev/gemini-api/docs/api-errors
        "BILLING_DISABLED",
        "quota_exceeded",
        // xAI, Groq, Volcengine, Amazon, Tencent, watsonx, Vercel's gateway
        "personal-team-blocked:spending-limit",
        "blocked_api_access",
        "AccountOverdueError",
        "*.ServiceOverdue",
        "AccountQuotaExceeded",
        "SetLimitExceeded",
        "ServiceQuotaExceededException",
        "*.ResourcePackExhausted",
        "*.InArrears",
        "token_quota_reached",
        "insufficient_funds",
        // routers and gateways (OpenRouter, new-api)
        "*insufficient*credits*",
        "*insufficient*balance*",
        "not_enough_balance",
        "credit_limit",
        "credit_limit_reached",
        "budget_exceeded",
        "usage_limit_exceeded",
        "CreditsError",
        "insufficient_user_quota",
        "pre_consume_token_quota_failed",
        "payment_required"
      ]
    },
    means: "QuotaExceededError"
  },
  {
    when: {
      // Before the rate limits: Cerebras sends too_many_requests_error beside queue_exceeded
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
        "resource_unavailable",
        "InvalidEndpoint.ClosedEndpoint",
        // DashScope, Google, Amazon
        "ModelServingError",
        "ModelUnavailable",
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "ModelNotReadyException"
      ]
    },
    means: "ProviderUnavailableError"
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
        // Cerebras: limits a minute that it calls quotas
        "token_quota_exceeded",
        "request_quota_exceeded",
        // Volcengine: RateLimitExceeded.EndpointTPMExceeded, ModelAccountTpmRateLimitExceeded; Tencent: RequestLimitExceeded
        "*RateLimitExceeded*",
        "RequestLimitExceeded*",
        // GitHub Copilot: user_global_rate_limited:pro
        "*_rate_limited*",
        "consumption_limit_reached"
      ]
    },
    means: "RateLimitError"
  },
  {
    when: {
      code: [
        // OpenAI: a flagged prompt (platform.openai.com/docs/guides/reasoning), images, moderation
        "invalid_prompt",
        "content_policy_violation",
        "image_content_policy_violation",
        "moderation_blocked",
        // OpenAI, Responses (ResponseErrorCode of its specification), in answers and at 400 and 403
        "bio_policy",
        "cyber_policy",
        "misalignment_policy_violation",
        // Azure OpenAI (learn.microsoft.com, "content filtering"), Moonshot
        "content_filter",
        "ResponsibleAIPolicyViolation",
        // DashScope, also data_inspection_failed; Volcengine: InputTextSensitiveContentDetected …
        "DataInspectionFailed",
        "*SensitiveContentDetected*",
        // Gemini (ai.google.dev/api/generate-content, BlockReason), gateways
        "PROHIBITED_CONTENT",
        "SAFETY",
        "IMAGE_SAFETY",
        "BLOCKLIST",
        "SPII",
        "prompt_blocked",
        "sensitive_words_detected",
        // Qianfan, StepFun
        "unsafe_request",
        "censorship_blocked"
      ]
    },
    means: "ContentFilterError"
  },
  // OpenAI uses the code for any field; only for a text does it mean the context length
  {
    when: {
      code: ["string_above_max_length"],
      text: [
        /'(?:(?:messages|input)[\w.[\]]{0,60}\.(?:content|text|output|arguments)|input|prompt|instructions)(?:\[\d+\])?'/
      ]
    },
    means: "ContextLengthError"
  },
  {
    when: {
      code: [
        "context_length_exceeded", // OpenAI, Groq, Cerebras
        "*context_window_exceeded*",
        "OutofContextError", // Volcengine
        "exceed_context_size_error", // llama.cpp (tools/server/README.md)
        "too_many_prompt_tokens", // Perplexity
        "tokens_limit_reached", // GitHub Models
        "tokens_too_long", // Qianfan
        "characters_too_long",
        "model_max_prompt_tokens_exceeded" // GitHub Copilot
      ]
    },
    means: "ContextLengthError"
  },
  {
    when: {
      code: [
        "model_not_found", // OpenAI, Groq, vLLM, DashScope; with 403 the project has no access to it
        "ModelNotFound", // DashScope
        "DeploymentNotFound", // Azure OpenAI
        "unknown_model", // GitHub Models
        "invalid_model", // Mistral, Perplexity
        "unavailable_model", // GitHub Models
        "model_not_available", // Together
        "model_not_supported", // GitHub Copilot, Hugging Face, watsonx
        "model_decommissioned", // Groq
        "InvalidEndpointOrModel*", // Volcengine
        "InvalidEndpoint.NotFound",
        "ModelNotOpen",
        "UnsupportedModel",
        "RESOURCE_DOES_NOT_EXIST", // Databricks, whose models are endpoints
        "ENDPOINT_NOT_FOUND"
      ]
    },
    means: "ModelNotFoundError"
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
        "account_deactivated",
        // Amazon, at 403; Tencent, in band
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "AuthFailure*"
      ]
    },
    means: "AuthenticationError"
  },
  {
    when: {
      code: [
        "unsupported_country_region_territory", // OpenAI
        "ip_not_authorized",
        "access_terminated",
        "organization_restricted", // Groq
        "model_terms_required",
        "permission_denied_error", // Moonshot
        "usage_not_included", // ChatGPT's plans
        "key_model_access_denied" // LiteLLM, at 401
      ]
    },
    means: "PermissionError"
  },
  {
    when: {
      code: [
        "tool_use_failed", // Groq, in streams: the model called a tool wrongly (console.groq.com/docs/errors)
        "json_validate_failed",
        "not_supported_error", // llama.cpp, at 501: the server was started without the feature
        "model_no_support_for_function", // watsonx
        // OpenAI: the message quotes a name from the request, which `wordingRules` could match
        "unknown_parameter",
        "unsupported_parameter",
        "invalid_function_parameters",
        "MISSING_THOUGHT_SIGNATURE", // Gemini, as a finish reason
        "data_residency_mismatch", // Responses: the request refers to an object that is stored in another region
        "OperationNotSupported" // Azure OpenAI
      ]
    },
    means: "InvalidRequestError"
  }
]

/** Codes that mostly repeat the status, used when there is none or when it is unreliable. */
export const vagueCodeRules: ReadonlyArray<Rule> = [
  {
    when: {
      status: [400, 500, "none"],
      code: ["authentication_error", "UNAUTHENTICATED", "unauthorized", "AuthenticationError", "authentication"]
    },
    means: "AuthenticationError"
  },
  {
    when: {
      status: [400, 500, "none"],
      code: ["permission_error", "PERMISSION_DENIED", "forbidden", "AccessDenied*", "*.AccessDenied"]
    },
    means: "PermissionError"
  },
  {
    when: {
      status: [400, 403, 500, "none"],
      code: ["rate_limit_error", "RateLimitError", "ThrottlingException", "RESOURCE_EXHAUSTED"]
    },
    means: "RateLimitError"
  },
  { when: { status: [400, 429], code: ["timeout_error", "RequestTimeOut"] }, means: "ProviderUnavailableError" },
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
        "invalid_base64_image",
        "failed_to_download_image",
        "image_*",
        "unsupported_image_media_type",
        "empty_image_file"
      ]
    },
    means: "InvalidRequestError"
  }
]

/**
 * Which kind of error it is, as an ordered list of rules: the first that fits decides. Codes and types are told from words
 * because they are stable; words only decide where a provider has no codes.
 *
 * Sources: OpenAI "Error codes"; Azure OpenAI "Error codes"; Anthropic "Errors"; Google "Troubleshooting" and google.rpc.Code;
 * DeepSeek "Error codes"; OpenRouter "Errors"; xAI "Debugging"; Groq "Error codes"; Mistral "Errors"; Moonshot "Errors";
 * Z.ai "Error codes"; DashScope "Error codes"; Ollama "Errors"; llama.cpp and vLLM sources.
 */

export type Kind =
  | "rate-limit"
  | "quota"
  | "authentication"
  | "permission"
  | "model-not-found"
  | "context-length"
  | "content-filter"
  | "unavailable"
  | "invalid"

export interface Symptoms {
  readonly provider: string
  readonly status: number
  readonly code: string
  readonly type: string
  readonly message: string
}

interface Rule {
  readonly then: Kind
  readonly provider?: RegExp
  readonly status?: ReadonlyArray<number>
  /** Of the code or the type. */
  readonly code?: RegExp
  readonly message?: RegExp
}

const rules: ReadonlyArray<Rule> = [
  // DashScope: insufficient_quota that points at "token-limit" is a limit per minute, and so are its Throttling codes.
  { then: "rate-limit", code: /^insufficient_quota$/, message: /token-limit|rate limit|per minute/i },
  { then: "rate-limit", code: /^Throttling(\.|$)/i },
  { then: "quota", code: /^(Arrearage|AllocationQuota\.FreeTierOnly|BillingNotActive)/i },

  // Z.ai and Zhipu: 10xx is the key, 111x the account, 12xx the request, 13xx limits and content.
  { then: "authentication", code: /^(1000|1001|1002|1003|1004)$/ },
  { then: "quota", code: /^(1110|1111|1112|1113|1308|1309|1310|1316|1317|1318|1319)$/ },
  { then: "model-not-found", code: /^(1211|1221|1222)$/ },
  { then: "context-length", code: /^1261$/ },
  { then: "permission", code: /^(1220|1311)$/ },
  { then: "content-filter", code: /^1301$/ },
  { then: "rate-limit", code: /^(1302|1303|1304|1305|1313|1314|1315)$/ },
  { then: "unavailable", code: /^(1120|1230|1234|1312)$/ },

  // Google: the same code for a limit a minute and for one a day, with the wait beside it.
  { then: "rate-limit", code: /^RESOURCE_EXHAUSTED$/ },

  // Codes that say it all.
  {
    then: "context-length",
    code: /context_length_exceeded|exceed_context_size|too_many_prompt_tokens|string_above_max_length|context_window/i
  },
  {
    then: "quota",
    code: /insufficient_quota|exceeded_current_quota|billing_(hard|not)|usage_limit|insufficient_(balance|credits|funds)|credit|payment_required|balance/i
  },
  {
    then: "authentication",
    code: /^(invalid_api_key|InvalidApiKey|authentication_error|invalid_authentication(_error)?|incorrect_api_key(_error)?|UNAUTHENTICATED|unauthorized|account_deactivated)$/i
  },
  {
    then: "content-filter",
    code: /content_filter|content_policy|DataInspectionFailed|data_inspection_failed|ResponsibleAIPolicyViolation|moderation|safety|sensitive/i
  },
  { then: "content-filter", code: /^invalid_prompt$/, message: /flagged|policy|violat/i },
  {
    then: "model-not-found",
    code: /model_not_found|DeploymentNotFound|ModelNotFound|invalid_model|model_not_available|unknown_model|model_decommissioned|model_not_supported/i
  },
  {
    then: "permission",
    code: /unsupported_country|permission_denied|PERMISSION_DENIED|permission_error|access_denied|AccessDenied|model_permission/i
  },
  {
    then: "unavailable",
    code: /overloaded|engine_overloaded|server_(error|overloaded|is_busy)|internal_(server_)?error|service_unavailable|UNAVAILABLE|INTERNAL|timeout|not_supported_error|api_connection/i,
    status: [200, 500, 501, 502, 503, 504, 529]
  },
  { then: "invalid", code: /^tool_use_failed$/ },

  // Words of providers without codes.
  {
    then: "content-filter",
    status: [200, 400, 403, 422],
    message:
      /content exists risk|content (management )?policy|content filter|flagged (as|for)|prohibited content|敏感内容|内容安全|不安全/i
  },
  {
    then: "context-length",
    status: [200, 400, 413, 422, 500],
    message:
      /maximum context length|context (length|window|size)|prompt is too long|input (is )?too long|too many (input )?tokens|input token count|range of input length|exceeds? the (maximum|limit).{0,40}tokens|total length of all messages|上下文长度/i
  },
  {
    then: "authentication",
    status: [200, 400, 403],
    message:
      /(api[- ]?key|credentials?).{0,40}(not valid|invalid|incorrect|expired|missing|not found)|(invalid|incorrect|missing).{0,20}(api[- ]?key|credentials)|API_KEY_INVALID/i
  },
  { then: "permission", status: [400], message: /user location|country|region.{0,30}not supported/i },
  {
    then: "quota",
    status: [200, 400, 402, 403, 429],
    message:
      /insufficient (balance|credits?|funds|quota)|exceeded (your )?current quota|(more|out of|no|not enough|run out of) credits|credit balance|billing (hard )?limit|account.{0,30}(not active|suspended|arrears)|余额不足|欠费|使用上限/i
  },
  {
    then: "model-not-found",
    status: [400, 404, 422],
    message:
      /model[^.]{0,120}(not found|does not exist|not exist|unknown|not a valid|is not supported\.|deprecated|decommissioned|not available)|(unknown|invalid|no such|not a valid) model|^model:|模型不存在/i
  },

  // The status alone.
  {
    then: "unavailable",
    status: [429],
    message: /capacity exceeded|overloaded|no capacity|at capacity|server is busy/i
  },
  { then: "authentication", status: [401] },
  { then: "quota", status: [402] },
  { then: "permission", status: [403] },
  { then: "rate-limit", status: [429] },
  { then: "rate-limit", status: [200, 413, 400], code: /rate_?limit|tokens_per|requests_per/i },
  { then: "rate-limit", status: [200], message: /rate limit|too many requests|请求过于频繁/i },
  { then: "context-length", status: [413] },
  { then: "unavailable", status: [408, 409, 425, 498, 499, 500, 501, 502, 503, 504, 520, 521, 522, 523, 524, 529] },
  { then: "invalid", status: [400, 404, 405, 406, 410, 411, 415, 422] },
  {
    then: "unavailable",
    status: [200],
    code: /error|exception|fail/i,
    message: /overload|unavailable|try again|internal|server error|timed? ?out|busy|capacity/i
  },
  { then: "invalid", status: [200], code: /invalid|bad_request|not_supported|unsupported/i },
  { then: "unavailable", status: [200] }
]

const fits = (rule: Rule, symptoms: Symptoms): boolean =>
  (rule.provider === undefined || rule.provider.test(symptoms.provider)) &&
  (rule.status === undefined || rule.status.includes(symptoms.status)) &&
  (rule.code === undefined || rule.code.test(symptoms.code) || rule.code.test(symptoms.type)) &&
  (rule.message === undefined || rule.message.test(symptoms.message))

export const kindOf = (symptoms: Symptoms): Kind =>
  rules.find((rule) => fits(rule, symptoms))?.then ?? (symptoms.status >= 500 ? "unavailable" : "invalid")

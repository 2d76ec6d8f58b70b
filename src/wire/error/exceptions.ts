import type { Rule } from "./rule.js"

const zhipu = /(?:^|[^a-z])z[.-]?ai(?:[^a-z]|$)|zhipu|bigmodel|glm/
const minimax = /minimax/
const dashScope = /dashscope|aliyun|alibaba|bailian|qwen|model-?studio/

/** Codes and wordings that mean something else with single providers. */
export const exceptionRules: ReadonlyArray<Rule> = [
  // DashScope, the free quota of a model, 403 and 429: alibabacloud.com/help/en/model-studio/error-code
  { when: { code: ["AllocationQuota.FreeTierOnly"] }, means: "QuotaExceededError", modelOnly: true },
  {
    when: { text: [/free (?:allocated |tier )quota (?:has been )?(?:exceeded|exhausted)/] },
    means: "QuotaExceededError",
    modelOnly: true
  },
  // DashScope reports its limit of tokens a minute like OpenAI an empty account, and links to #token-limit (same page)
  {
    when: {
      status: [429, "none"],
      code: ["insufficient_quota", "Throttling.AllocationQuota"],
      text: [/error-code#(?:token|rate|request)-limit/]
    },
    means: "RateLimitError"
  },
  { when: { provider: dashScope, status: [429, "none"], code: ["insufficient_quota"] }, means: "RateLimitError" },

  // Gemini Code Assist, 429 and 503 (google-gemini/gemini-cli, googleQuotaErrors.ts)
  { when: { code: ["MODEL_CAPACITY_EXHAUSTED"] }, means: "ProviderUnavailableError" },
  // Gemini: no money (ai.google.dev/gemini-api/docs/rate-limits, same file)
  {
    when: { status: [429, "none"], code: ["RESOURCE_EXHAUSTED"], text: [/credits are depleted|spending cap/] },
    means: "QuotaExceededError"
  },
  // Gemini: a day's quota of a model, or no free quota at all (ai.google.dev/gemini-api/docs/rate-limits, same file)
  { when: { code: ["QUOTA_EXHAUSTED", "*PerDay*"] }, means: "QuotaExceededError", modelOnly: true },
  {
    when: {
      status: [429, "none"],
      code: ["RESOURCE_EXHAUSTED"],
      text: [/limit: 0\b|daily quota|per[ _]day/]
    },
    means: "QuotaExceededError",
    modelOnly: true
  },
  // Gemini: "You exceeded your current quota" is also the message of a minute's limit
  {
    when: { status: [429, "none"], code: ["RESOURCE_EXHAUSTED"], text: [/exceeded your current quota/] },
    means: "RateLimitError"
  },
  {
    when: { status: [429, "none"], text: [/ai\.google\.dev\/gemini-api/], unless: /limit: 0\b/ },
    means: "RateLimitError"
  },

  // Zhipu and Z.ai: docs.bigmodel.cn/cn/api/api-code, docs.z.ai/api-reference/api-code
  { when: { provider: zhipu, code: ["1000", "1001", "1002", "1003", "1004", "1111"] }, means: "AuthenticationError" },
  { when: { provider: zhipu, code: ["1110", "1112", "1121", "1220", "1311"] }, means: "PermissionError" },
  {
    when: { provider: zhipu, code: ["1113", "1304", "1308", "1309", "1310", "1316", "1317", "1318", "1319"] },
    means: "QuotaExceededError"
  },
  { when: { provider: zhipu, code: ["1211"] }, means: "ModelNotFoundError" },
  {
    when: { provider: zhipu, code: ["1210", "1212", "1213", "1214", "1215", "1221", "1222"] },
    means: "InvalidRequestError"
  },
  { when: { provider: zhipu, code: ["1261"] }, means: "ContextLengthError" },
  { when: { provider: zhipu, code: ["1301"] }, means: "ContentFilterError" },
  // 1305 was a limit of the account in the past and is a lack of capacity today
  {
    when: { provider: zhipu, code: ["1305"], text: [/访问量过大|overloaded|high (?:traffic|demand)/] },
    means: "ProviderUnavailableError"
  },
  { when: { provider: zhipu, code: ["1302", "1303", "1305", "1313", "1314", "1315"] }, means: "RateLimitError" },
  { when: { provider: zhipu, code: ["1120", "1230", "1231", "1234", "1312"] }, means: "ProviderUnavailableError" },
  { when: { provider: zhipu, status: [434] }, means: "PermissionError" },

  // MiniMax: platform.minimax.io/docs/api-reference/errorcode; in band, without a status
  { when: { provider: minimax, code: ["1004", "2049"] }, means: "AuthenticationError" },
  { when: { provider: minimax, code: ["1008", "1028", "1030", "2056"] }, means: "QuotaExceededError" },
  { when: { provider: minimax, code: ["1002", "1039", "1041", "2045"] }, means: "RateLimitError" },
  { when: { provider: minimax, code: ["1026", "1027"] }, means: "ContentFilterError" },
  { when: { provider: minimax, code: ["2061"] }, means: "PermissionError" },
  {
    when: { provider: minimax, code: ["1042", "2013"], unless: /context|unknown model|model .{0,60}not/ },
    means: "InvalidRequestError"
  },
  {
    when: { provider: minimax, text: [/not authorized|token not match group|login fail/] },
    means: "AuthenticationError"
  },
  { when: { provider: minimax, text: [/new_sensitive/] }, means: "ContentFilterError" },
  // NVIDIA, 400: a model that is hosted as a function in the state DEGRADED (docs.nvidia.com/cloud-functions, function states)
  { when: { status: [400], text: [/degraded function cannot be invoked/] }, means: "ProviderUnavailableError" },

  // OpenRouter: a 402 until calls in flight are settled (openrouter.ai/docs/api/reference/errors-and-debugging)
  { when: { status: [402, "none"], code: ["openrouter_in_flight_budget"] }, means: "RateLimitError" },
  // Cohere: 498 is a blocked word (docs.cohere.com/reference/errors); with Groq it is a lack of capacity (`statusRules`)
  { when: { provider: /cohere/, status: [498] }, means: "ContentFilterError" },
  // Cohere: trial keys have a limit a minute and one a month, with the same status (docs.cohere.com/docs/rate-limits)
  { when: { status: [429], text: [/limited to [\d,]+ api calls ?\/ ?month/] }, means: "QuotaExceededError" }
]

import type { Rule } from "./rule.js"

/** Messages of errors without a clear code. */
export const wordingRules: ReadonlyArray<Rule> = [
  // Mistral, Azure, xAI, OpenAI, Moonshot, Cloudflare report a lack of capacity with 429 or in band; OpenRouter explains a rate
  // limit by high demand
  {
    when: {
      status: [429, "none"],
      text: [
        /capacity (?:temporarily )?exceeded|overloaded|at (?:maximum |full )?capacity|no capacity|experiencing high (?:demand|traffic)/,
        /\b(?:model|server|service|system|engine) (?:is )?(?:too |currently )*busy\b/, // DeepInfra, SiliconFlow, DeepSeek
        /访问量过大|系统繁忙|负载.{0,4}饱和/
      ],
      unless: /rate[ -]?limit/
    },
    means: "ProviderUnavailableError"
  },
  // OpenCode and Vertex report it with 400
  {
    when: {
      status: [400, 403, 404],
      text: [
        /\b(?:model|service|engine|server) (?:is )?(?:currently |temporarily )*overloaded|temporarily (?:overloaded|unavailable)/
      ]
    },
    means: "ProviderUnavailableError"
  },
  {
    when: {
      status: [400, 401, 402, 403, 412, 422, 429, 500, "none"],
      text: [
        /exceeded your current quota/, // OpenAI and compatible servers
        /credit balance is too low/, // Anthropic, 400
        /(?:reached|hit|exceeded) your (?:[\w-]+ ){0,3}(?:usage|spend|spending) limits?/, // Anthropic 400, Ollama, Kimi
        /(?:usage|subscription) (?:quota|limit|cap) (?:has been )?(?:reached|exceeded|exhausted)/, // Codex, Chutes
        /exceeded the [\w-]+ usage quota/, // Volcengine
        /insufficient (?:account )?(?:balance|credits?|funds|quota)/, // DeepSeek, Z.ai
        /balance is insufficient|not have sufficient (?:balance|credits?|funds|quota)/, // SiliconFlow, Lambda
        /not enough (?:balance|credits?|funds|quota)|(?:balance|credits?|funds|quota) (?:is|are) not enough/, // Novita, one-api
        /credit limit (?:has been )?(?:reached|exceeded)/, // Together
        /budget (?:limit )?(?:has been |is |was )?exceeded|over budget|(?:crossed|exceeded) budget/, // LiteLLM, Portkey
        /\bno payment method\b|valid (?:payment method|credit card)/, // OpenCode, Vercel's gateway
        /(?:more|doesn't have any|run out of|used all available|out of) credits/, // OpenRouter, xAI
        /out of (?:extra )?usage/, // Anthropic's plans, 400
        /(?:monthly|daily) (?:spending|spend|request|usage|included) (?:limit|quota|credits)/, // xAI, Hugging Face
        /(?:weekly|monthly) limit (?:reached|exceeded|exhausted)/, // Z.ai
        /exceeded (?:your |the )?(?:daily|weekly|monthly|yearly) quota/, // Mistral
        /spend(?:ing)? limit/, // Groq
        /account is not active.{0,40}billing/, // OpenAI
        /make sure your account is in good standing/, // DashScope, for overdue bills
        /key limit exceeded/, // OpenRouter, 403
        /(?:free|monthly|weekly|total) quota (?:has been |is )?(?:used up|exhausted|exceeded)/,
        /daily free allocation/, // Cloudflare
        /out of call volume quota/, // Azure API Management, 403
        /余额不足|欠费|额度不足|(?:额度|配额|余量)已(?:用尽|用完)|使用上限|调用次数限额/
      ],
      unless: /tokens per min|requests per min/
    },
    means: "QuotaExceededError"
  },
  {
    when: {
      status: [400, 401, 403, 429, 451, 500, "none"],
      text: [
        /user location is not supported/, // Gemini, 400
        /not available in your (?:country|region)|from (?:an )?unsupported (?:country|countries|region)/, // Gemini, Bedrock
        /is not allowed to use (?:publisher )?model/, // Vertex, 400
        /\bplan (?:does |do )?not (?:yet )?(?:include|support)/, // Z.ai, 429; MiniMax, 500
        /country, region, or territory not supported/, // OpenAI
        /(?:organization|account|project|team) (?:has been|is|was) (?:disabled|suspended|deactivated|restricted|locked|blocked|flagged)/,
        /access (?:has been |was )?terminated/,
        /organization must be verified/,
        /requires terms acceptance/
      ]
    },
    means: "PermissionError"
  },
  {
    when: {
      status: [400, 403, 404, "none"],
      text: [
        /(?:invalid|incorrect|missing|expired|unknown|no) (?:x-)?api[- ]?key/, // xAI, 400
        /api[- ]?key (?:is |was |has )?(?:not valid|invalid|incorrect|missing|expired|not found|revoked|reported as leaked)/, // Gemini
        /unregistered callers/, // Gemini, 403: without a key
        /invalid (?:authentication|access token|api token|bearer token)/,
        /\btoken (?:has |is )?(?:expired|invalid)\b|security token .{0,40}is (?:expired|invalid)/, // Bedrock, 403
        /request signature .{0,40}does not match/, // Amazon
        /^(?:authentication fail|login fail)/m, // Bedrock's keys, 403; MiniMax
        /身份验证失败|鉴权失败|无效的(?:令牌|密钥|api ?key)|(?:令牌|密钥|api ?key)(?:无效|错误|不正确|已过期)/
      ]
    },
    means: "AuthenticationError"
  },
  {
    when: {
      status: [400, 403, 413, 422, 500, "none"],
      text: [
        /(?:maximum|max) (?:supported )?(?:context|prompt|model|input|sequence) (?:length|window)/, // OpenAI, DeepSeek, vLLM, xAI
        /exceed(?:s|ed)? (?:the |this |your |model'?s? |its )*(?:maximum |max |available |configured )*context/, // llama.cpp, Ollama, Anthropic
        /context[- ]?(?:length|window|size|limit)s? (?:is |was |has been )?(?:exceeds|exceeded|too)/, // MiniMax
        /(?:longer|greater) than the (?:model's |maximum )*(?:model |context )?length/, // Together, vLLM, LM Studio
        /\bn_keep\b.{0,30}\bn_ctx\b/, // LM Studio
        /less than the context length/, // Together, 403
        /prompt (?:is |was )?too long|input (?:context )?is too long|prompt exceeds max/, // Anthropic, Bedrock, Z.ai, Gemini
        /(?:input )?token count .{0,30}(?:exceeds|only supports)/, // Gemini, Copilot, Vertex
        /number of (?:input |prompt )?tokens .{0,30}(?:exceeds|cannot exceed)/, // watsonx
        /tokens .{0,30}exceed max/, // Volcengine
        /input tokens exceed the configured limit/, // OpenAI
        /exceeded model token limit|input token length too long/, // Moonshot
        /too many tokens: /, // Cohere
        /length of all messages is too long/, // Perplexity
        /reduce the length of the (?:messages|prompt|input)/, // OpenAI and compatible servers
        /range of input length should be|message token length exceed/, // DashScope
        /too large for model with|context the overflows|loaded with context length|must be less than max_seq_len/, // Mistral, LM Studio
        /input (?:\(\d{1,9} tokens\) )?is too large to process/, // llama.cpp, 500
        /`?inputs?`? (?:tokens \+|must have less than)/, // text-generation-inference, SiliconFlow
        /max input characters/, // Qianfan
        /上下文(?:长度|窗口)?(?:超|过)|(?:输入|提示词?|prompt) ?(?:长度)?(?:过长|超长|超限)|超[过出].{0,12}(?:上下文|最大)(?:长度|token)/
      ],
      unless: /tokens per min|supports at most .{0,20}completion tokens/
    },
    means: "ContextLengthError"
  },
  {
    when: {
      status: [400, 403, 422, 451, 500, "none"],
      text: [
        /content exists risk/, // DeepSeek
        /considered high risk/, // Moonshot
        /content management policy|content filter(?:ing)? polic|content filter .{0,20}(?:trigger|block|reject|flag)/, // Azure OpenAI, Anthropic
        /(?:block|filter|flag|reject|trigger|refus)\w* .{0,40}content filter/,
        /contentpolicyviolation/, // LiteLLM
        /\bflagged\b/, // OpenAI, OpenRouter's moderation (403)
        /(?:reject|prohibit|block|refus)\w* .{0,40}safety (?:system|filter)|safety (?:system|filter)s? .{0,30}(?:reject|prohibit|block|refus)/, // OpenAI, Vertex
        /(?:inappropriate|sensitive|unsafe|prohibited) content/, // DashScope, Z.ai
        /violat\w+ (?:\w+ ){0,3}(?:usage |content |safety )?(?:polic|guidelines)/, // xAI (403), OpenAI
        /blocked by .{0,40}(?:safety|moderation|guardrail|content)/,
        /敏感|不安全|违规(?:内容)?|内容安全|绿网/
      ]
    },
    means: "ContentFilterError"
  },
  // Anthropic: the message is only "model: name"
  { when: { status: [404], text: [/^model: \S+$/m] }, means: "ModelNotFoundError" },
  {
    when: {
      status: [400, 401, 404, 410, 422, "none"],
      text: [
        /\bmodels?[ :/]{1,2}(?:with )?(?:the )?(?:id |name |named )?(?:[^\s,]{1,120} )?(?:is |was |does |could )?(?:not |n't )(?:be )?(?:exist|found)\b/,
        /\bmodels?[ :]{1,2}(?:[^\s,]{1,120} )?doesn't exist/,
        /\b(?:the|specified|requested|selected) (?:[^\s]{1,120} )?model (?:[^\s,]{1,120} )?is not (?:supported|available)/, // Copilot
        /\bmodel [^\s,]{1,120} is not (?:supported|available)/, // Voyage
        /\bmodel .{0,120}(?:has been|is|was) (?:deprecated|decommissioned|removed|retired|no longer (?:available|supported))/, // Groq, Cohere
        /\bmodel .{0,120}(?:reached (?:its|the) end of (?:its )?life|marked .{0,20}as legacy)/, // NVIDIA, Bedrock
        /model use case details have not been submitted/, // Bedrock, for Anthropic's models
        /\b(?:unknown|invalid|no such|unrecognized|unsupported|unavailable) model\b(?! (?:output|response|parameter))/, // Mistral, Snowflake, Cloudflare
        /\b(?:no|unknown) (?:allowed )?(?:provider|channel)s? .{0,20}for (?:the )?(?:selected )?model/, // OpenRouter, one-api
        /\bno models loaded|failed to load model\b/, // LM Studio
        /no 'model_name' with this string/, // LiteLLM
        /\bfunction .{0,60}not found for account/, // NVIDIA, whose models are functions
        /not a valid model|model identifier is invalid/, // OpenRouter, Bedrock
        /no endpoints found for/, // OpenRouter
        /supported api model names are/, // DeepSeek
        /not found the model/, // Moonshot
        /unable to access (?:non-serverless )?model/, // Together
        /deployment .{0,60}does not exist/, // Azure OpenAI
        /模型.{0,60}(?:不存在|未找到)|(?:不支持|无效|找不到)的?模型/
      ]
    },
    means: "ModelNotFoundError"
  },
  {
    when: {
      status: [400, 403, 413, 500, "none"],
      text: [
        // Not before a closing quote: there it is a name or a text quoted from the request
        /rate[ -]limit(?:ed|ing|s)?\b(?!['"`])|ratelimiterror|too many requests(?!['"`])/,
        /\b(?:[rt]pm|qps)\b.{0,20}\blimit|\brequest limit reached/, // MiniMax, Qianfan
        /请求过于频繁|频率(?:过高|上限)|并发(?:数)?过高|限流|流量限制/
      ]
    },
    means: "RateLimitError"
  },
  // llama.cpp, 500: the server was started without support for the media type
  { when: { status: [500], text: [/(?:image|audio|video) input is not supported/] }, means: "InvalidRequestError" }
]

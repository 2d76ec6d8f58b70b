import type { Rule } from "./rule.js"

/** What providers write where no code says it. */
export const words: ReadonlyArray<Rule> = [
  // Mistral, Azure, xAI, OpenAI, Moonshot, Cloudflare answer a lack of capacity with 429 or in band; OpenRouter tells of demand
  // to explain a limit
  {
    when: {
      status: [429, "none"],
      text: [
        /capacity (?:temporarily )?exceeded|overloaded|at capacity|no capacity|experiencing high (?:demand|traffic)|访问量过大|系统繁忙/
      ],
      unless: /rate.?limit/
    },
    means: "ProviderUnavailableError"
  },
  {
    when: {
      status: [400, 401, 402, 403, 429, "none"],
      text: [
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
        /(?:free|monthly|weekly|total) quota (?:has been |is )?(?:used up|exhausted|exceeded)/,
        /daily free allocation/, // Cloudflare
        /out of call volume quota/, // Azure API Management, 403
        /余额不足|欠费|额度不足|额度已(?:用尽|用完)|配额已(?:用尽|用完)|使用上限|调用次数限额/
      ],
      unless: /tokens per min|requests per min/
    },
    means: "QuotaExceededError"
  },
  {
    when: {
      status: [400, 401, 403, 451, "none"],
      text: [
        /user location is not supported/, // Gemini, 400
        /not available in your (?:country|region)/,
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
        /(?:invalid|incorrect|missing|expired|unknown|no) (?:x-)?api[- ]?key/, // xAI answers 400
        /api[- ]?key (?:is |was |has )?(?:not valid|invalid|incorrect|missing|expired|not found|revoked|reported as leaked)/, // Gemini
        /unregistered callers/, // Gemini, 403: no key at all
        /invalid (?:authentication|access token|api token|bearer token)/,
        /身份验证失败|鉴权失败|无效的(?:令牌|密钥|api ?key)|(?:令牌|密钥|api ?key)(?:无效|错误|不正确|已过期)/
      ]
    },
    means: "AuthenticationError"
  },
  {
    when: {
      status: [400, 403, 413, 422, 500, "none"],
      text: [
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
        /content management policy|content filter/, // Azure OpenAI, Anthropic
        /flagged/, // OpenAI, OpenRouter's moderation (403)
        /(?:inappropriate|sensitive|unsafe|prohibited) content/, // DashScope, Z.ai
        /violat\w+ (?:\w+ ){0,3}(?:usage |content |safety )?(?:polic|guidelines)/, // xAI (403), OpenAI
        /blocked by .{0,40}(?:safety|moderation|guardrail|content)/,
        /敏感|不安全|违规(?:内容)?|内容安全|绿网/
      ]
    },
    means: "ContentFilterError"
  },
  // Anthropic says no more than "model: name"
  { when: { status: [404], text: [/^model: \S+$/m] }, means: "ModelNotFoundError" },
  {
    when: {
      status: [400, 404, 410, 422, "none"],
      text: [
        /\bmodels?[ :/]{1,2}(?:with )?(?:the )?(?:id |name |named )?(?:[^\s,]{1,120} )?(?:is |was |does |could )?(?:not |n't )(?:be )?(?:exist|found)/,
        /\bmodels?[ :]{1,2}(?:[^\s,]{1,120} )?doesn't exist/,
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
    },
    means: "ModelNotFoundError"
  },
  {
    when: {
      status: [400, 403, 413, 500, "none"],
      text: [/rate.?limit|too many requests|请求过于频繁|频率过高|并发(?:数)?过高|限流|流量限制/]
    },
    means: "RateLimitError"
  },
  // llama.cpp, 500: the model was started without the part that sees or hears
  { when: { status: [500], text: [/(?:image|audio|video) input is not supported/] }, means: "InvalidRequestError" }
]

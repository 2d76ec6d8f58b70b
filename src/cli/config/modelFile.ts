/** The text of a model file with comments, for the providers whose keys are in the environment. */

/** A provider of the environment. */
export interface Provider {
  readonly name: string
  readonly model: string
  /** The variables with its keys. */
  readonly variables: ReadonlyArray<string>
  /** The variable with its base URL. */
  readonly baseUrl: string | undefined
}

/** A model of each provider to begin with; any other name works as well. */
const models: Readonly<Record<string, string>> = {
  anthropic: "claude-sonnet-4-5",
  azure: "gpt-4o-mini",
  dashscope: "qwen-plus",
  "dashscope-intl": "qwen-plus",
  "dashscope-us": "qwen-plus",
  deepseek: "deepseek-chat",
  gemini: "gemini-2.5-flash",
  groq: "openai/gpt-oss-120b",
  minimax: "MiniMax-M3",
  mistral: "mistral-small-latest",
  moonshot: "kimi-k2.5",
  "ollama-cloud": "gpt-oss:120b",
  openai: "gpt-4o-mini",
  openrouter: "openai/gpt-4o-mini",
  perplexity: "sonar",
  together: "openai/gpt-oss-120b",
  vertex: "gemini-2.5-flash",
  "vertex-express": "gemini-2.5-flash",
  xai: "grok-4",
  zai: "glm-4.6",
  "zai-coding": "glm-4.6",
  zhipu: "glm-4.6",
  "zhipu-coding": "glm-4.6"
}

export const modelOf = (provider: string): string => models[provider] ?? "model"

const sectionOf = ({ baseUrl, model, name, variables }: Provider, isFirst: boolean): string =>
  [
    `${name}:`,
    `  - model_name: ${JSON.stringify(model)}${isFirst ? ' # or another: "effect-llm models --remote" lists them' : ""}`,
    "    api_keys:",
    ...variables.map((variable) => `      - "\${${variable}}"`),
    ...(baseUrl === undefined ? [] : [`    base_url: "\${${baseUrl}}"`]),
    ...(isFirst
      ? ["    # No limit but the provider's. Without this line: 10 calls at once, and then one a second."]
      : []),
    "    rate_limit_capacity: null",
    ...(isFirst
      ? [
          "    # The limits of your account, so that calls wait instead of being rejected:",
          "    # requests_per_minute: 500",
          "    # tokens_per_minute: 200000",
          "    # max_concurrency: 8",
          "    # Dollars per million tokens, for models whose price is not known:",
          "    # price: { input: 2.5, output: 10 }"
        ]
      : [])
  ].join("\n")

/** A group, in which the second model takes the calls that the first one cannot. */
const groupOf = ([
  first = "openai/gpt-4o-mini",
  second = "anthropic/claude-sonnet-4-5"
]: ReadonlyArray<string>): string =>
  [
    "# A group of models: the second one takes the calls that the first one cannot.",
    "# $groups:",
    "#   any:",
    "#     strategy: failover",
    `#     members: [${JSON.stringify(first)}, ${JSON.stringify(second)}]`
  ].join("\n")

/** `defaultModel` is one of the models of the providers. */
export const render = (providers: ReadonlyArray<Provider>, defaultModel: string): string =>
  `${[
    "# Models of effect-llm. The page docs/configuration.md describes every field.\n" +
      "# ${NAME} is read from the environment, so that this file contains no key.",
    ...providers.map((provider, index) => sectionOf(provider, index === 0)),
    `$default: ${JSON.stringify(defaultModel)}`,
    `# Other names of models.\n# $aliases: { fast: ${JSON.stringify(defaultModel)} }`,
    groupOf(providers.map(({ model, name }) => `${name}/${model}`))
  ].join("\n\n")}\n`

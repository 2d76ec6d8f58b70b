import type { ModelRule, Traits } from "./models.js"
import { models, otherModels } from "./models.js"

/**
 * How a server deviates from Anthropic, and the capabilities of its models.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /**
   * Appended to the base URL. `{model}` is replaced by the model's name, which is then not in the body.
   *
   * @default "/messages"
   */
  readonly path: string
  /**
   * The path of streaming requests.
   *
   * @default `path`
   */
  readonly streamPath: string | undefined
  /**
   * The version of the protocol, in the header `anthropic-version` or in the field `anthropic_version` of the body.
   *
   * @default the header, "2023-06-01"
   */
  readonly version: { readonly in: "header" | "body"; readonly value: string }
  /**
   * The capabilities of models by name. The first matching rule counts.
   *
   * @default Anthropic's models
   */
  readonly models: ReadonlyArray<ModelRule>
  /**
   * The capabilities of all other models.
   *
   * @default `max_tokens` 8192, thinking with a budget, sampling and required tools
   */
  readonly otherModels: Traits
  /**
   * Whether the server supports answers by JSON Schema (`output_config.format`).
   *
   * @default true
   */
  readonly jsonSchema: boolean
  /**
   * Whether a request that the model is known to reject fails with `Unsupported` instead of being sent. Such a request has a required tool
   * that the model does not support, or a `temperature`, `top_p` or `top_k` that it does not support, at all or with thinking.
   * Thinking itself is dropped where it excludes a required tool. A temperature above 1 is an invalid request. When false, the
   * server decides.
   *
   * @default true
   */
  readonly modelLimits: boolean
  /**
   * Whether reasoning without a signature is sent back in later turns. Anthropic rejects it.
   *
   * @default false
   */
  readonly unsignedReasoning: boolean
  /**
   * Whether the server takes requests as Anthropic's clients write them, so that a gateway passes bodies of its own clients unchanged.
   *
   * @default true
   * @since 0.2.0
   */
  readonly faithful: boolean
}

/**
 * Anthropic itself.
 *
 * @since 0.1.0
 * @category model
 */
export const anthropic: Dialect = {
  path: "/messages",
  streamPath: undefined,
  version: { in: "header", value: "2023-06-01" },
  models,
  otherModels,
  jsonSchema: true,
  modelLimits: true,
  unsignedReasoning: false,
  faithful: true
}

export const traitsOf = (dialect: Dialect, model: string): Traits =>
  dialect.models.find(({ name }) => name.test(model)) ?? dialect.otherModels

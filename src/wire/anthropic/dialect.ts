import type { ModelRule, Traits } from "./models.js"
import { models, unknown } from "./models.js"

/**
 * How a server deviates from Anthropic, and what its models can do.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /**
   * Appended to the base URL. `{model}` stands for the model's name, which then is not in the body.
   *
   * @default "/messages"
   */
  readonly path: string
  /**
   * The same for streams, where they have a path of their own.
   *
   * @default the same path
   */
  readonly streamPath: string | undefined
  /**
   * Where the version of the protocol is said: the header `anthropic-version`, or `anthropic_version` in the body.
   *
   * @default the header, "2023-06-01"
   */
  readonly version: { readonly in: "header" | "body"; readonly value: string }
  /**
   * What is known of models, by their names: the first rule that fits counts.
   *
   * @default Anthropic's models
   */
  readonly models: ReadonlyArray<ModelRule>
  /**
   * What is assumed of all other models.
   *
   * @default 8192 tokens, thinking by a budget, and nothing that it does not take
   */
  readonly otherModels: Traits
  /**
   * Whether an answer can be held to a JSON Schema (`output_config.format`).
   *
   * @default true
   */
  readonly jsonSchema: boolean
  /**
   * Whether a request that the model is known to refuse is `Unsupported` rather than sent: with a `temperature`, a `top_p` or
   * a tool that must be called where the model takes none, or takes none while it thinks. Without this the server decides.
   *
   * @default true
   */
  readonly modelLimits: boolean
  /**
   * Whether thoughts without a signature go back in the next turn. Anthropic refuses them.
   *
   * @default false
   */
  readonly unsignedThoughts: boolean
}

/**
 * The protocol as Anthropic speaks it.
 *
 * @since 0.1.0
 * @category model
 */
export const anthropic: Dialect = {
  path: "/messages",
  streamPath: undefined,
  version: { in: "header", value: "2023-06-01" },
  models,
  otherModels: unknown,
  jsonSchema: true,
  modelLimits: true,
  unsignedThoughts: false
}

/** What a model can do. */
export const traitsOf = (dialect: Dialect, model: string): Traits =>
  dialect.models.find(({ name }) => name.test(model)) ?? dialect.otherModels

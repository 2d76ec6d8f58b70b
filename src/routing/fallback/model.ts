/** The options of a fallback and of its members. */
import type { Duration } from "effect"
import type { Layer } from "effect"
import type * as ContextWindow from "../../call/contextFit.js"
import type { ModelInfo, Service } from "../../call/model.js"
import type { LLM } from "../../call/model.js"
import type { ErrorTag, LLMError } from "../../vocabulary/LLMError.js"

/**
 * The three kinds of failure that another model can often answer, as in LiteLLM:
 *
 * - `general`: `defaultClasses` except the next two: the provider is rate limited, down, unreachable, or lacks a feature;
 * - `context-window`: the request is too long (`ContextLengthError`);
 * - `content-filter`: the provider's safety system refused it (`ContentFilterError`).
 *
 * @since 0.1.0
 * @category model
 */
export type Kind = "general" | "context-window" | "content-filter"

/**
 * The errors that hand a call on: their classes and kinds, or a predicate.
 *
 * @since 0.1.0
 * @category model
 */
export type Condition = ReadonlyArray<ErrorTag | Kind> | ((error: LLMError) => boolean)

/**
 * A feature that a request can need. `json-schema` is a response format with a schema, `json` one without.
 *
 * @since 0.1.0
 * @category model
 */
export type Feature = "tools" | "images" | "audio" | "files" | "json" | "json-schema" | "embeddings"

/**
 * The options of one member.
 *
 * @since 0.1.0
 * @category model
 */
export interface MemberOptions {
  /** The errors of earlier members that hand a call on to this member. @default the `on` of the fallback */
  readonly on?: Condition
  /** Features that this model lacks: requests that need them are not sent to it. @default none */
  readonly without?: ReadonlyArray<Feature>
  /**
   * The models that this member replaces, by the name in the request, or else that of the first member's model. Other requests
   * skip it. Has no effect on the first member. @default all
   */
  readonly replaces?: ReadonlyArray<string>
  /**
   * This member's names for models, by the name in the request, or else that of the first member's model:
   * `{ "gpt-4o": "openai/gpt-4o" }`. A model without a name is replaced by the member's own. Has no effect on the first member,
   * which gets the name in the request. @default {}
   */
  readonly models?: Readonly<Record<string, string>>
}

/**
 * An `LLM` to hand calls to, with its options.
 *
 * @since 0.1.0
 * @category model
 */
export interface Member extends MemberOptions {
  readonly llm: Service
}

/**
 * Options for the continuation of a broken stream.
 *
 * @since 0.1.0
 * @category model
 */
export interface Continuing {
  /**
   * The user message after the partial answer, for all members or by the `info` of one. `false`, or a function that returns
   * `undefined`: none, and the partial answer is the last message (a prefill, which many models do not continue and some refuse).
   * @default `continuePrompt`
   */
  readonly prompt?: string | false | ((member: ModelInfo) => string | undefined)
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The errors that hand the call on: their classes and kinds, or a predicate. @default `defaultClasses` */
  readonly on?: Condition
  /**
   * The longest that a member can wait (retry, key, limiter) while another can take the call. @default "1 second"; a retry without a
   * Retry-After does not wait: the other member takes the call at once
   */
  readonly failoverAfter?: Duration.DurationInput
  /** Options of the first member, to which `on`, `models` and `replaces` do not apply. @default {} */
  readonly first?: Pick<MemberOptions, "without">
  /**
   * Counts each request with the `TokenCounter` in context and skips the members whose `contextWindow` it certainly exceeds, so
   * that a long request goes to a larger model at once. Set the `contextWindow` of every member before you turn it on. A request
   * that exceeds all windows goes to the largest. @default false: the provider's `ContextLengthError` decides
   */
  readonly fit?: boolean | Pick<ContextWindow.Options, "reserve" | "tolerance">
  /**
   * Hands on an answer that the content filter stopped (`finishReason` "content-filter") to members that take a
   * `ContentFilterError`; a stream only if it was stopped before any output. If none of them answers, the stopped answer is
   * returned. @default false
   */
  readonly filteredAnswers?: boolean
  /**
   * Continues a broken stream on the next member that takes the error, from the partial answer. A `Continued` event marks the
   * place. Text that the next member repeats is removed, and a member that restarts the answer counts as failed. A continuation
   * that begins with text continues the last text part; its other parts are new parts. Answers with tool calls, provider parts or
   * refusals and structured answers are not continued. @default false
   */
  readonly continueStreams?: boolean | Continuing
}

/**
 * A layer of an `LLM` to hand calls to, with its options.
 *
 * @since 0.1.0
 * @category model
 */
export interface LayerMember<E, R> extends MemberOptions {
  readonly llm: Layer.Layer<LLM, E, R>
}

/** The options of a fallback and of its members. */
import type { Duration } from "effect"
import type { Layer } from "effect"
import type * as ContextWindow from "../../call/contextFit.js"
import type { ModelInfo, Service } from "../../call/model.js"
import type { LLM } from "../../call/model.js"
import type { LLMError, Tag } from "../../vocabulary/LLMError.js"

/**
 * The three kinds of failure that another model may mend, after LiteLLM:
 *
 * - `general`: `defaultClasses` but for the next two: the provider is at its limits, down or out of reach, or cannot do it;
 * - `context-window`: the request is too long (`ContextLengthError`);
 * - `content-filter`: the provider's safety system refused it (`ContentFilterError`).
 *
 * @since 0.1.0
 * @category model
 */
export type Kind = "general" | "context-window" | "content-filter"

/**
 * Which errors hand a call on: their classes and kinds, or a predicate.
 *
 * @since 0.1.0
 * @category model
 */
export type Condition = ReadonlyArray<Tag | Kind> | ((error: LLMError) => boolean)

/**
 * What a request may need of a model. `json-schema` is a response format with a schema, `json` one without.
 *
 * @since 0.1.0
 * @category model
 */
export type Feature = "tools" | "images" | "audio" | "files" | "json" | "json-schema" | "embeddings"

/**
 * What is said of one member.
 *
 * @since 0.1.0
 * @category model
 */
export interface MemberOptions {
  /** Which errors of those before hand a call over to this member. @default the `on` of the fallback */
  readonly on?: Condition
  /** What this model cannot do: it is not asked for what needs it. @default nothing */
  readonly lacks?: ReadonlyArray<Feature>
  /**
   * The models that this member stands in for, by the name that a request asks for or the first member has. The first
   * member is asked whatever the name. @default any
   */
  readonly standsInFor?: ReadonlyArray<string>
  /**
   * What this member calls the models of the others: `{ "gpt-4o": "openai/gpt-4o" }`. Where it has no name for the model,
   * it answers with its own. The first member is asked by the name that the request has. @default its own
   */
  readonly models?: Readonly<Record<string, string>>
}

/**
 * An `LLM` to hand calls to, with what is said of it.
 *
 * @since 0.1.0
 * @category model
 */
export interface Member extends MemberOptions {
  readonly llm: Service
}

/**
 * How a broken stream is continued.
 *
 * @since 0.1.0
 * @category model
 */
export interface Continuing {
  /**
   * What is asked behind the partial answer, of each member or of the one with this `info`. `false` or `undefined`: nothing,
   * the partial answer is the last message, for models that take up there (a prefill: many do not, and some refuse it).
   * @default `continuePrompt`
   */
  readonly prompt?: string | false | ((member: ModelInfo) => string | undefined)
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** Which errors hand the call on: their classes and kinds, or a predicate. @default `defaultClasses` */
  readonly on?: Condition
  /** The longest that a member may sleep while another stands behind it. @default "1 second" */
  readonly patience?: Duration.DurationInput
  /** What is said of the first member. Its `on`, `models` and `standsInFor` have no meaning. @default nothing */
  readonly first?: Pick<MemberOptions, "lacks">
  /**
   * Counts each request by the `TokenCounter` in context, and leaves out the members whose `contextWindow` it surely exceeds,
   * so that a longer one goes to the larger model at once. Set the `contextWindow` of every member before you turn it on.
   * Where it exceeds them all, the one with the largest is asked. @default false: the provider's `ContextLengthError` decides
   */
  readonly fit?: boolean | Pick<ContextWindow.Options, "reserve" | "tolerance">
  /**
   * Hands on an answer that the content filter stopped (`finishReason` "content-filter") to members that take a
   * `ContentFilterError`; of streams, one that was stopped before it said anything. Where none of them has a better one, it
   * is the answer. @default false
   */
  readonly filteredAnswers?: boolean
  /**
   * Continues a stream that breaks on the next member that takes the error, from what had been said. The stream goes on
   * behind a `Continued` event, and nothing is said twice: what the next one repeats is taken off, and one that begins anew
   * is not let through. Not continued are answers with tool calls, refusals and structured answers. @default false
   */
  readonly continueStreams?: boolean | Continuing
}

/**
 * A layer to hand calls to, with what is said of its `LLM`.
 *
 * @since 0.1.0
 * @category model
 */
export interface LayerMember<E, R> extends MemberOptions {
  readonly llm: Layer.Layer<LLM, E, R>
}

/**
 * Hands a call that one model cannot answer to the next: other models, other providers, other regions.
 *
 * Members are tried in order. While another one stands behind it, a member does not sleep long for a Retry-After, a
 * cooling key or a limiter: it hands the call on. A stream is handed on only before its first event.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Fallback, LLM } from "effect-llm"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 * declare const DeepSeek: Layer.Layer<LLM.LLM>
 *
 * const Either = Fallback.layer([OpenAI, DeepSeek])
 * ```
 *
 * @since 0.1.0
 */
import type { Array as Arr } from "effect"
import { Context, Duration, Effect, Layer } from "effect"
import * as Attempt from "./Attempt.js"
import type { EmbeddingRequest } from "./Embedding.js"
import type { ChatRequest } from "./Chat.js"
import { narrow } from "./internal/CallLimits.js"
import { fromStream, isolated, toStream, withEarlierAttempts } from "./internal/openStream.js"
import type { Middleware, Service } from "./LLM.js"
import { LLM } from "./LLM.js"
import type { LLMError, Tag } from "./LLMError.js"
import * as Errors from "./LLMError.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** Which errors hand the call on: their classes, or a predicate. @default `defaultClasses` */
  readonly on?: ReadonlyArray<Tag> | ((error: LLMError) => boolean)
  /** The longest that a member may sleep while another stands behind it. @default "1 second" */
  readonly patience?: Duration.DurationInput
}

/**
 * What another model may well answer: every class but those that speak of the request itself (`InvalidRequestError`), of
 * its content (`ContentFilterError`), of the money, of the call's own deadline, and of streams that had begun.
 *
 * @since 0.1.0
 * @category decisions
 */
export const defaultClasses: ReadonlyArray<Tag> = [
  "RateLimitError",
  "QuotaExceededError",
  "AuthenticationError",
  "PermissionError",
  "ModelNotFoundError",
  "ContextLengthError",
  "ProviderUnavailableError",
  "NetworkError",
  "TimeoutError",
  "MalformedResponseError",
  "StreamInterruptedError",
  "UnsupportedError",
  "KeyPoolExhaustedError",
  "BalanceExhaustedError"
]

const handsOn = (on: Options["on"]): ((error: LLMError) => boolean) => {
  if (typeof on === "function") return on
  const classes = new Set<Tag>(on ?? defaultClasses)
  return (error) => classes.has(error._tag) && !(error._tag === "TimeoutError" && error.phase === "total")
}

const withoutModel = <A extends { readonly model?: string }>({ model: _, ...rest }: A): Omit<A, "model"> => rest

/** A model that a request names is the first member's: the others have never heard of it. */
const requestFor = (index: number, request: ChatRequest.Input): ChatRequest.Input =>
  index === 0 || typeof request === "string" ? request : withoutModel(request)

const embeddingFor = (index: number, request: EmbeddingRequest.Input): EmbeddingRequest.Input =>
  index === 0 || typeof request === "string" || !("input" in request) ? request : withoutModel(request)

/** Asks one member after the other; the last one's error is the call's, with the receipt of them all. */
const inTurn = <A, R>(
  members: Arr.NonEmptyReadonlyArray<Service>,
  ask: (member: Service, index: number) => Effect.Effect<A, LLMError, R>,
  withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A,
  when: (error: LLMError) => boolean,
  patience: number
): Effect.Effect<A, LLMError, R> => {
  const from = (
    index: number,
    member: Service,
    earlier: ReadonlyArray<Attempt.Attempt>
  ): Effect.Effect<A, LLMError, R> => {
    const behind = members[index + 1]
    return Effect.matchEffect(behind === undefined ? ask(member, index) : narrow(ask(member, index), { patience }), {
      onSuccess: (result) => Effect.succeed(earlier.length === 0 ? result : withEarlier(result, earlier)),
      onFailure: (error) => {
        const attempts = Attempt.concat(earlier, error.attempts)
        return behind === undefined || !when(error)
          ? Effect.fail(earlier.length === 0 ? error : Errors.amend(error, { attempts }))
          : from(index + 1, behind, attempts)
      }
    })
  }
  return Effect.suspend(() => from(0, members[0], []))
}

/**
 * The middleware: the `LLM` it is applied to, then the given ones.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make =
  (fallbacks: ReadonlyArray<Service>, options: Options = {}): Middleware =>
  (next) => {
    const members: Arr.NonEmptyReadonlyArray<Service> = [next, ...fallbacks]
    const when = handsOn(options.on)
    const patience = Duration.toMillis(options.patience ?? "1 second")
    return Effect.succeed({
      ...next,
      chat: (request) =>
        inTurn(
          members,
          (member, index) => member.chat(requestFor(index, request)),
          Attempt.withEarlier,
          when,
          patience
        ),
      embed: (request) =>
        inTurn(
          members,
          (member, index) => member.embed(embeddingFor(index, request)),
          Attempt.withEarlier,
          when,
          patience
        ),
      chatStream: (request) =>
        toStream(
          inTurn(
            members,
            (member, index) => isolated(fromStream(member.chatStream(requestFor(index, request)))),
            withEarlierAttempts,
            when,
            patience
          )
        )
    })
  }

/**
 * One `LLM` from several, each built once with keys, limits and retries of its own.
 *
 * A `model` named in a request goes to the first member only: the others answer with their own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(
  members: Arr.NonEmptyReadonlyArray<Layer.Layer<LLM, E, R>>,
  options: Options = {}
): Layer.Layer<LLM, E, R> =>
  Layer.scoped(
    LLM,
    Effect.flatMap(
      Effect.forEach(members, (member) => Effect.map(Layer.build(member), Context.get(LLM))),
      ([first, ...rest]) => make(rest, options)(first)
    )
  )

/**
 * Hands a call that one model cannot answer to the next: other models, other providers, other regions.
 *
 * Members are tried in order; each may say which errors hand a call over to it, which models it stands in for, and what it
 * cannot do. While another one stands behind it, a member does not sleep long for a Retry-After, a cooling key or a limiter:
 * it hands the call on. A stream is handed on only before its first event, unless `continueStreams` says otherwise.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Fallback, LLM } from "effect-llm"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 * declare const DeepSeek: Layer.Layer<LLM.LLM>
 *
 * declare const Large: Layer.Layer<LLM.LLM>
 *
 * const Either = Fallback.layer([OpenAI, DeepSeek, { llm: Large, on: ["context-window"] }])
 * ```
 *
 * @since 0.1.0
 */
import type { Array as Arr } from "effect"
import { Context, Effect, Layer } from "effect"
import * as ContextFit from "../call/contextFit.js"
import type { Middleware, Service } from "../call/model.js"
import { LLM } from "../call/model.js"
import { toStream } from "../call/openStream.js"
import * as Checks from "../internal/optionChecks.js"
import { TokenCounter } from "../tokens/counter.js"
import * as Attempt from "../vocabulary/Attempt.js"
import type { ChatResponse } from "../vocabulary/Chat.js"
import type { EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { Tag } from "../vocabulary/LLMError.js"
import type { Member as Prepared } from "./fallback/members.js"
import * as Members from "./fallback/members.js"
import type { Kind, LayerMember, Member, Options } from "./fallback/model.js"
import * as Turns from "./fallback/sequence.js"
import * as Streams from "./fallback/stream.js"

export * from "./fallback/model.js"

/**
 * What another model may well answer: every class but those that speak of the request itself (`InvalidRequestError`), of
 * its content (`ContentFilterError`), of the money, of the call's own deadline, and of streams that had begun. A condition with
 * `RateLimitError` also takes the `InvalidRequestError` of a limiter that is too small for the request (`limit_too_small`).
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
  "BalanceExhaustedError",
  "SharedStateError"
]

/**
 * What is asked behind a partial answer unless you say otherwise.
 *
 * @since 0.1.0
 * @category decisions
 */
export const continuePrompt =
  "Your last answer was cut off. Continue it exactly where it ends, with the very next character. Do not repeat or rephrase" +
  " anything of it, and say nothing about this."

const kinds: Readonly<Record<Kind, ReadonlyArray<Tag>>> = {
  general: defaultClasses.filter((tag) => tag !== "ContextLengthError"),
  "context-window": ["ContextLengthError"],
  "content-filter": ["ContentFilterError"]
}

const isMember = (fallback: Service | Member): fallback is Member => "llm" in fallback

const prepared = (
  next: Service,
  fallbacks: ReadonlyArray<Service | Member>,
  options: Options
): Arr.NonEmptyReadonlyArray<Prepared> => {
  const on = options.on ?? defaultClasses
  const nothing = { takes: () => false, sparesWaiting: false }
  return [
    Members.memberOf(next, options.first ?? {}, true, nothing),
    ...fallbacks.map((fallback) => {
      const member = isMember(fallback) ? fallback : { llm: fallback }
      return Members.memberOf(member.llm, member, false, Members.accepting(member.on ?? on, kinds))
    })
  ]
}

const promptOf = (continuing: Options["continueStreams"]): Streams.Options["promptFor"] => {
  if (continuing === undefined || continuing === false) return undefined
  const prompt = continuing === true ? continuePrompt : (continuing.prompt ?? continuePrompt)
  return typeof prompt === "function" ? prompt : () => (prompt === false ? undefined : prompt)
}

/**
 * The middleware: the `LLM` it is applied to, then the given ones.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (fallbacks: ReadonlyArray<Service | Member>, options: Options = {}): Middleware => {
  const patience = Checks.valid("Fallback", (checks) => {
    if (typeof options.fit === "object") ContextFit.check(checks, options.fit, "fit.")
    return checks.millis("patience", options.patience ?? "1 second", Checks.anyLength)
  })
  return (next) =>
    Effect.map(TokenCounter, (counter): Service => {
      const { info } = next
      const filteredAnswers = options.filteredAnswers ?? false
      const fit = options.fit === true ? {} : options.fit === false ? undefined : options.fit
      const line = Members.selection(prepared(next, fallbacks, options), info, counter, fit)
      const chats: Turns.Asking<ChatResponse> = {
        patience,
        withEarlier: Attempt.withEarlier,
        filtered: (answer) => (filteredAnswers ? Turns.stopped(answer) : undefined)
      }
      const embeddings: Turns.Asking<EmbeddingResponse> = {
        patience,
        withEarlier: Attempt.withEarlier,
        filtered: () => undefined
      }
      const openStream = Streams.open({ info, patience, filteredAnswers, promptFor: promptOf(options.continueStreams) })
      return {
        ...next,
        chat: (request) =>
          Effect.flatMap(line.chat(request), (members) =>
            Turns.answer(chats, members, (member) => member.llm.chat(Members.chatFor(member, request, info)))
          ),
        embed: (request) =>
          Effect.flatMap(line.embed(request), (members) =>
            Turns.answer(embeddings, members, (member) => member.llm.embed(Members.embeddingFor(member, request, info)))
          ),
        chatStream: (request) => toStream(Effect.flatMap(line.chat(request), (members) => openStream(members, request)))
      }
    })
}

/**
 * One `LLM` from several, each built once with keys, limits and retries of its own.
 *
 * A `model` named in a request goes to the first member only: the others answer with their own, unless their `models` say
 * what they call it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(
  members: Arr.NonEmptyReadonlyArray<Layer.Layer<LLM, E, R> | LayerMember<E, R>>,
  options: Options = {}
): Layer.Layer<LLM, E, R> =>
  Layer.scoped(
    LLM,
    Effect.flatMap(
      Effect.forEach(members, (member) => {
        const { llm, ...said }: LayerMember<E, R> = "llm" in member ? member : { llm: member }
        return Effect.map(Layer.build(llm), (context): Member => ({ ...said, llm: Context.get(context, LLM) }))
      }),
      ([first, ...rest]) =>
        make(rest, first.lacks === undefined ? options : { ...options, first: { lacks: first.lacks } })(first.llm)
    )
  )

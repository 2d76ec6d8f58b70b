/**
 * Hands a call that one model cannot answer on to the next: other models, other providers, other regions.
 *
 * Members are tried in order; options of each set the errors that it takes, the models that it replaces and the features that it
 * lacks. While another member can take the call, a member waits only briefly (`failoverAfter`) for a Retry-After, a key or a limiter, and
 * does not retry after a backoff.
 * A stream is handed on only before its first event, unless `continueStreams` is set.
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
import { Context, Effect, Either, Layer } from "effect"
import * as ContextFit from "../call/contextFit.js"
import { failoverLimits } from "../call/limits.js"
import type { Middleware, Service } from "../call/model.js"
import { LLM } from "../call/model.js"
import { toStream } from "../call/openStream.js"
import type { Send } from "../call/sending.js"
import { forRequest } from "../call/added.js"
import { fromEffect, mapAnswer, run, sendChat, toChat, unsent } from "../call/sending.js"
import { sharedInfo, wrap } from "../call/wrap.js"
import * as Checks from "../internal/optionChecks.js"
import { TokenCounter } from "../tokens/counter.js"
import * as Attempt from "../vocabulary/attempt.js"
import type { ChatResponse } from "../vocabulary/Chat.js"
import type { EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { ErrorTag } from "../vocabulary/LLMError.js"
import type { Member as Prepared } from "./fallback/members.js"
import * as Members from "./fallback/members.js"
import type { Kind, LayerMember, Member, Options } from "./fallback/model.js"
import * as Sequence from "./fallback/sequence.js"
import * as Streams from "./fallback/stream.js"

export * from "./fallback/model.js"

/**
 * The errors that another model can often answer: all classes but those of the request itself (`InvalidRequestError`), of its
 * content (`ContentFilterError`) and of the budget (`BudgetExceededError`). The `TimeoutError` of the call's own deadline (phase
 * `total`) is never handed on by a list of classes. A condition with `RateLimitError` also takes the `InvalidRequestError` of a
 * limiter that is too small for the request (`limit_too_small`).
 *
 * @since 0.1.0
 * @category decisions
 */
export const defaultClasses: ReadonlyArray<ErrorTag> = [
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
 * The default user message after a partial answer that is continued.
 *
 * @since 0.1.0
 * @category decisions
 */
export const continuePrompt =
  "Your last answer was cut off. Continue it exactly where it ends, with the very next character. Do not repeat or rephrase" +
  " anything of it, and say nothing about this."

const kinds: Readonly<Record<Kind, ReadonlyArray<ErrorTag>>> = {
  general: defaultClasses.filter((tag) => tag !== "ContextLengthError"),
  "context-window": ["ContextLengthError"],
  "content-filter": ["ContentFilterError"]
}

const isMember = (fallback: Service | Member): fallback is Member => "llm" in fallback

const prepare = (
  next: Service,
  fallbacks: ReadonlyArray<Service | Member>,
  options: Options
): Arr.NonEmptyReadonlyArray<Prepared> => {
  const on = options.on ?? defaultClasses
  const nothing = { takes: () => false, takesTransientErrors: false }
  return [
    Members.memberOf(next, options.first ?? {}, true, nothing),
    ...fallbacks.map((fallback) => {
      const member = isMember(fallback) ? fallback : { llm: fallback }
      return Members.memberOf(member.llm, member, false, Members.takesOf(member.on ?? on, kinds))
    })
  ]
}

type Selected = Arr.NonEmptyReadonlyArray<Prepared>

const firstAnswer = <A>(
  kind: Sequence.CallKind<A>,
  selection: Members.Selected,
  call: (member: Prepared) => Send<A>
): Send<A> => {
  const callIn = (members: Selected): Send<A> =>
    mapAnswer(Sequence.callInOrder(kind, members, call), ({ result }) => result)
  if (Either.isEither(selection)) {
    return Either.isRight(selection) ? callIn(selection.right) : fromEffect(Effect.fail(selection.left))
  }
  return (_, limits) =>
    unsent((restore) => Effect.flatMap(restore(selection), (members) => restore(run(callIn(members), limits))))
}

const promptOf = (continuing: Options["continueStreams"]): Streams.Options["promptFor"] => {
  if (continuing === undefined || continuing === false) return undefined
  const prompt = continuing === true ? continuePrompt : (continuing.prompt ?? continuePrompt)
  return typeof prompt === "function" ? prompt : () => (prompt === false ? undefined : prompt)
}

/**
 * Makes a middleware: calls go to the `LLM` that it is applied to first, then to the given ones.
 *
 * @example
 * ```ts
 * import { Fallback, LLM } from "effect-llm"
 *
 * declare const second: LLM.Service
 *
 * const WithFallback = LLM.layerConfig().pipe(LLM.withMiddleware(Fallback.make([second])))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (fallbacks: ReadonlyArray<Service | Member>, options: Options = {}): Middleware => {
  const failover = Checks.valid("Fallback", (checks) => {
    if (typeof options.fit === "object") ContextFit.check(checks, options.fit, "fit.")
    return failoverLimits(checks, options.failoverAfter)
  })
  return (next) =>
    Effect.map(TokenCounter, (counter): Service => {
      const { info } = next
      const currentInfo = sharedInfo(
        next,
        fallbacks.map((fallback) => (isMember(fallback) ? fallback.llm : fallback))
      )
      const filteredAnswers = options.filteredAnswers ?? false
      const fit = options.fit === true ? {} : options.fit === false ? undefined : options.fit
      const select = Members.selection(prepare(next, fallbacks, options), info, counter, fit)
      const chat: Sequence.CallKind<ChatResponse> = {
        failover,
        info: currentInfo,
        withEarlier: Attempt.withEarlier,
        filtered: (answer) => (filteredAnswers ? Sequence.filteredAnswer(answer) : undefined)
      }
      const embedding: Sequence.CallKind<EmbeddingResponse> = {
        failover,
        info: currentInfo,
        withEarlier: Attempt.withEarlier,
        filtered: () => undefined
      }
      const openStream = Streams.open({
        info,
        currentInfo,
        failover,
        filteredAnswers,
        promptFor: promptOf(options.continueStreams)
      })
      return wrap(next, {
        get info() {
          return currentInfo()
        },
        chat: toChat(
          (input, added) => (fiber, limits) =>
            firstAnswer(chat, select.chat(input), (member) =>
              member.isFirst
                ? sendChat(member.llm, input, added)
                : sendChat(member.llm, Members.chatFor(member, input, info), forRequest(added, undefined))
            )(fiber, limits)
        ),
        embed: (request) =>
          run((fiber, limits) =>
            firstAnswer(embedding, select.embed(request), (member) =>
              fromEffect(Effect.suspend(() => member.llm.embed(Members.embeddingFor(member, request, info))))
            )(fiber, limits)
          ),
        chatStream: (request) =>
          toStream((finalizers) =>
            Effect.flatMap(
              Effect.suspend(() => Members.selected(select.chat(request))),
              (members) => openStream(members, request)(finalizers)
            )
          )
      })
    })
}

/**
 * Provides one `LLM` over several, each built once with its own keys, limits and retries.
 *
 * A `model` named in a request goes to the first member only: the others use their own model, or their name for it in `models`.
 *
 * When no member answers, the call fails with the error of a member, with the `attempts` of all.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Fallback, LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const OpenAI = LLM.layerKeys({ provider: "openai", model: "gpt-4o", keys: ["sk-one"] })
 * const Anthropic = LLM.layerKeys({ provider: "anthropic", model: "claude-sonnet-4-5", keys: ["sk-ant-one"] })
 *
 * const Answers = Fallback.layer([OpenAI, Anthropic]).pipe(Layer.provide(NodeTransport.layerUndici))
 * ```
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
        const { llm, ...memberOptions }: LayerMember<E, R> = "llm" in member ? member : { llm: member }
        return Effect.map(Layer.build(llm), (context): Member => ({ ...memberOptions, llm: Context.get(context, LLM) }))
      }),
      ([first, ...rest]) =>
        make(rest, first.without === undefined ? options : { ...options, first: { without: first.without } })(first.llm)
    )
  )

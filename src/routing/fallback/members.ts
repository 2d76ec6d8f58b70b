/** Selects the members of a `Fallback` for a request, by its features and its length, and for an error that hands it on. */
import type { Array as Arr } from "effect"
import { Effect, Either, Option } from "effect"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import type { Condition, Feature, Kind, MemberOptions } from "./model.js"
import { embeddingFamily, embeddingModelOf } from "../../call/embeddingFamily.js"
import type { ModelInfo, Service } from "../../call/model.js"
import type { ErrorTag, LLMError } from "../../vocabulary/LLMError.js"
import { ContextLengthError, UnsupportedError } from "../../vocabulary/LLMError.js"
import type * as TokenCounter from "../../tokens/counter.js"
import * as ContextFit from "../../call/contextFit.js"
import { isBeyondLimit } from "../../rateLimiter/errors.js"
import { asObject, normalize } from "../../call/request.js"
import { fromEither } from "../../internal/asEffect.js"

export interface Member {
  readonly llm: Service
  readonly takes: (error: LLMError) => boolean
  /** Whether it takes errors that a wait could resolve, so that earlier members need not wait. */
  readonly takesTransientErrors: boolean
  readonly without: ReadonlySet<Feature>
  /** The models that it replaces; undefined: all. */
  readonly replaces: ReadonlySet<string> | undefined
  /** Its names for models. */
  readonly models: Readonly<Record<string, string>>
  readonly isFirst: boolean
}

// -------------------------------------------------------------------------------------
// errors
// -------------------------------------------------------------------------------------

/** Errors that depend on the request alone, also when a provider reports them in the middle of a stream. */
const requestErrors: ReadonlySet<string> = new Set<ErrorTag>([
  "InvalidRequestError",
  "ContextLengthError",
  "ContentFilterError"
])

/** The class that conditions compare: the error that a broken stream reported if it depends on the request, else its own. */
const tagOf = (error: LLMError): string =>
  error._tag === "StreamInterruptedError" && error.reported !== undefined && requestErrors.has(error.reported)
    ? error.reported
    : error._tag

const transientErrors: ReadonlyArray<ErrorTag> = ["RateLimitError", "ProviderUnavailableError", "KeyPoolExhaustedError"]

const tagsOf = (
  condition: ReadonlyArray<ErrorTag | Kind>,
  kinds: Readonly<Record<Kind, ReadonlyArray<ErrorTag>>>
): ReadonlySet<string> =>
  new Set(
    condition.flatMap((entry): ReadonlyArray<ErrorTag> => {
      switch (entry) {
        case "general":
        case "context-window":
        case "content-filter":
          return kinds[entry]
        default:
          return [entry]
      }
    })
  )

/** The errors that a condition takes. */
export const takesOf = (
  condition: Condition,
  kinds: Readonly<Record<Kind, ReadonlyArray<ErrorTag>>>
): Pick<Member, "takes" | "takesTransientErrors"> => {
  if (typeof condition === "function") return { takes: condition, takesTransientErrors: true }
  const tags = tagsOf(condition, kinds)
  return {
    takes: (error) =>
      (tags.has(tagOf(error)) || (isBeyondLimit(error) && tags.has("RateLimitError"))) &&
      !(error._tag === "TimeoutError" && error.phase === "total"),
    takesTransientErrors: transientErrors.some((tag) => tags.has(tag))
  }
}

export const memberOf = (
  llm: Service,
  options: MemberOptions,
  isFirst: boolean,
  takes: Pick<Member, "takes" | "takesTransientErrors">
): Member => ({
  llm,
  ...takes,
  without: new Set(options.without ?? []),
  replaces: options.replaces === undefined ? undefined : new Set(options.replaces),
  models: options.models ?? {},
  isFirst
})

/** The window that was too small by this error, in tokens; -1 for another error. */
export const tooSmallWindow = (error: LLMError, member: Member): number =>
  tagOf(error) === "ContextLengthError" ? member.llm.info.contextWindow : -1

/**
 * The members that take the error, in order. A request that was too long for a window goes to members with a larger one. If there
 * are none, it goes to those with the same size, since a window that was not configured is a default; never to a smaller one.
 */
export const membersTaking = (
  members: ReadonlyArray<Member>,
  error: LLMError,
  tooSmall: number
): ReadonlyArray<Member> => {
  const taking = members.filter((member) => member.takes(error))
  if (tooSmall < 0) return taking
  const larger = taking.filter(({ llm }) => llm.info.contextWindow > tooSmall)
  return larger.length > 0 ? larger : taking.filter(({ llm }) => llm.info.contextWindow === tooSmall)
}

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

const partFeatures: Readonly<Record<string, Feature>> = { image: "images", audio: "audio", file: "files" }

/** What a model must be able to do for a request. */
const neededFeatures = (request: ChatRequest.Input): ReadonlySet<Feature> => {
  const needed = new Set<Feature>()
  if (typeof request === "string") return needed
  if (request.tools !== undefined && request.tools.length > 0) needed.add("tools")
  if (request.responseFormat !== undefined && request.responseFormat !== "text") {
    needed.add(request.responseFormat === "json" ? "json" : "json-schema")
  }
  for (const { content } of asObject(request).messages) {
    if (typeof content === "string") continue
    for (const { type } of content) {
      const feature = partFeatures[type]
      if (feature !== undefined) needed.add(feature)
    }
  }
  return needed
}

/**
 * The selected members, starting with the first member of all; or if that is skipped, with the first that takes the error which
 * it would have returned.
 */
const startingAt = (
  members: Arr.NonEmptyReadonlyArray<Member>,
  selected: ReadonlyArray<Member>,
  error: LLMError
): Arr.NonEmptyReadonlyArray<Member> | undefined => {
  const head = selected.find((member) => member === members[0] || member.takes(error))
  return head === undefined ? undefined : [head, ...selected.filter((member) => member !== head)]
}

/** The members that have the needed features and can replace the requested model. */
const capableMembers = (
  members: Arr.NonEmptyReadonlyArray<Member>,
  needed: Iterable<Feature>,
  requested: string
): Either.Either<Arr.NonEmptyReadonlyArray<Member>, LLMError> => {
  const features = [...needed]
  const selected = members.filter(
    ({ isFirst, without, replaces }) =>
      (isFirst || replaces === undefined || replaces.has(requested)) &&
      !features.some((feature) => without.has(feature))
  )
  if (selected[0] === members[0]) return Either.right([members[0], ...selected.slice(1)])
  const { model, provider } = members[0].llm.info
  const missing = features.filter((feature) => members[0].without.has(feature)).join(", ")
  const error = new UnsupportedError({
    provider,
    model,
    attempts: [],
    feature: missing,
    message: `${model} lacks what the request needs (${missing}), and no other member of the fallback can take it.`
  })
  return Either.fromNullable(startingAt(members, selected, error), () => error)
}

const largestOf = (members: Arr.NonEmptyReadonlyArray<Member>): Arr.NonEmptyReadonlyArray<Member> => {
  const [first, ...rest] = members
  const largest = rest.reduce(
    (before, member) => (member.llm.info.contextWindow > before.llm.info.contextWindow ? member : before),
    first
  )
  return [largest]
}

/** The members whose windows the request may fit; if it fits none, the one with the largest, whose error the call returns. */
const fitting = (
  members: Arr.NonEmptyReadonlyArray<Member>,
  input: ChatRequest.Input,
  counter: TokenCounter.Service,
  options: ContextFit.FitOptions
): Effect.Effect<Arr.NonEmptyReadonlyArray<Member>> =>
  Either.match(normalize(input), {
    // The member that is called rejects an invalid request.
    onLeft: () => Effect.succeed(members),
    onRight: (request) =>
      Effect.map(
        Effect.filter(members, ({ isFirst, llm: { info } }) =>
          // The window of another model that the request names is unknown.
          isFirst && request.model !== undefined && request.model !== info.model
            ? Effect.succeed(true)
            : Effect.map(ContextFit.excess(counter, request, info.model, info.contextWindow, options), Option.isNone)
        ),
        (selected) => {
          if (selected.length === 0) return largestOf(members)
          if (selected.length === members.length) return members
          const { model, provider } = members[0].llm.info
          return (
            startingAt(
              members,
              selected,
              new ContextLengthError({ provider, model, attempts: [], message: "The request is too long." })
            ) ?? members
          )
        }
      )
  })

type Members = Arr.NonEmptyReadonlyArray<Member>

/** A selection that counts no tokens is there at once. */
export type Selected = Either.Either<Members, LLMError> | Effect.Effect<Members, LLMError>

export const selected = (selection: Selected): Effect.Effect<Members, LLMError> =>
  Either.isEither(selection) ? Either.match(selection, { onLeft: Effect.fail, onRight: Effect.succeed }) : selection

/** Selects when it is called. */
export interface Selection {
  readonly chat: (request: ChatRequest.Input) => Selected
  readonly embed: (request: EmbeddingRequest.Input) => Either.Either<Members, LLMError>
}

/** Selects the members for a request, in order. Costs nothing if no option can skip a member. */
export const selection = (
  members: Arr.NonEmptyReadonlyArray<Member>,
  info: ModelInfo,
  counter: TokenCounter.Service,
  fit: ContextFit.FitOptions | undefined
): Selection => {
  const hasRestrictions = members.some(({ without, replaces }) => without.size > 0 || replaces !== undefined)
  const all = Either.right(members)
  const capable = (request: ChatRequest.Input) =>
    hasRestrictions ? capableMembers(members, neededFeatures(request), modelOf(request) ?? info.model) : all
  return {
    chat: (request) =>
      fit === undefined
        ? capable(request)
        : Effect.flatMap(fromEither(capable(request)), (selected) => fitting(selected, request, counter, fit)),
    embed: (request) =>
      Either.map(
        hasRestrictions ? capableMembers(members, ["embeddings"], requestedEmbedding(request, info)) : all,
        ([first, ...others]) => {
          const family = familyOf(first, request, info)
          return [first, ...others.filter((member) => familyOf(member, request, info) === family)]
        }
      )
  }
}

/** The model of embeddings that a request is for. */
const requestedEmbedding = (request: EmbeddingRequest.Input, info: ModelInfo): string =>
  embeddingModelOf(request) ?? info.embeddingModel ?? info.model

/** The family of a member's vectors for a request. The name that a member has for a model in `models` is the same model. */
const familyOf = (member: Member, request: EmbeddingRequest.Input, info: ModelInfo): string => {
  const requested = embeddingModelOf(request)
  if (member.isFirst) return embeddingFamily(member.llm.info, requested)
  return nameFor(member, requestedEmbedding(request, info)) === undefined
    ? embeddingFamily(member.llm.info)
    : embeddingFamily(info, requested)
}

const modelOf = (request: ChatRequest.Input): string | undefined =>
  typeof request === "string" ? undefined : request.model

/** A member's name for a model. `hasOwn`, because a model can have the name of an inherited property, such as `constructor`. */
const nameFor = ({ models }: Member, model: string): string | undefined =>
  Object.hasOwn(models, model) ? models[model] : undefined

const withModelOf = <A extends { readonly model?: string }>(
  request: A,
  member: Member,
  info: ModelInfo
): Omit<A, "model"> & { readonly model?: string } => {
  const { model: _, ...rest } = request
  const model = nameFor(member, request.model ?? info.model)
  return model === undefined ? rest : { ...rest, model }
}

/** The request for a member: only the first member gets the named model, the others their own name for it, or none. */
export const chatFor = (member: Member, request: ChatRequest.Input, info: ModelInfo): ChatRequest.Input => {
  if (member.isFirst) return request
  if (typeof request !== "string") return withModelOf(asObject(request), member, info)
  const model = nameFor(member, info.model)
  return model === undefined ? request : { messages: [{ role: "user", content: request }], model }
}

export const embeddingFor = (
  member: Member,
  request: EmbeddingRequest.Input,
  info: ModelInfo
): EmbeddingRequest.Input => {
  if (member.isFirst) return request
  const model = nameFor(member, requestedEmbedding(request, info))
  if (typeof request !== "object" || request === null || !("input" in request)) {
    return model === undefined ? request : { input: typeof request === "string" ? [request] : request, model }
  }
  const { model: _, ...rest } = request
  return model === undefined ? rest : { ...rest, model }
}

/** Who of a `Fallback` may be asked: by what a request needs, by how long it is, and by the error that hands it on. */
import type { Array as Arr } from "effect"
import { Effect, Either, Option } from "effect"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import type { Condition, Feature, Kind, MemberOptions } from "./model.js"
import type { ModelInfo, Service } from "../../call/model.js"
import type { LLMError, Tag } from "../../vocabulary/LLMError.js"
import { ContextLengthError, UnsupportedError } from "../../vocabulary/LLMError.js"
import type * as TokenCounter from "../../tokens/counter.js"
import * as ContextFit from "../../call/contextFit.js"
import { isBeyondLimit } from "../../rateLimiter/errors.js"
import { normalize } from "../../call/request.js"

export interface Member {
  readonly llm: Service
  readonly takes: (error: LLMError) => boolean
  /** Whether it takes what waiting would mend, so that those before it need not wait. */
  readonly sparesWaiting: boolean
  readonly lacks: ReadonlySet<Feature>
  /** The models that it stands in for; undefined where it does for every one. */
  readonly standsInFor: ReadonlySet<string> | undefined
  /** What it calls the models of the others. */
  readonly models: Readonly<Record<string, string>>
  readonly isFirst: boolean
}

// -------------------------------------------------------------------------------------
// errors
// -------------------------------------------------------------------------------------

/** Classes that speak of the request and not of the moment, also where a provider reports them in the middle of a stream. */
const ofTheRequest: ReadonlySet<string> = new Set<Tag>([
  "InvalidRequestError",
  "ContextLengthError",
  "ContentFilterError"
])

/** The class that decides: what a stream was broken off for, where it is of the request. */
const decisive = (error: LLMError): string =>
  error._tag === "StreamInterruptedError" && error.reported !== undefined && ofTheRequest.has(error.reported)
    ? error.reported
    : error._tag

const waitingClasses: ReadonlyArray<Tag> = ["RateLimitError", "ProviderUnavailableError", "KeyPoolExhaustedError"]

const classesOf = (
  condition: ReadonlyArray<Tag | Kind>,
  kinds: Readonly<Record<Kind, ReadonlyArray<Tag>>>
): ReadonlySet<string> =>
  new Set(
    condition.flatMap((word): ReadonlyArray<Tag> => {
      switch (word) {
        case "general":
        case "context-window":
        case "content-filter":
          return kinds[word]
        default:
          return [word]
      }
    })
  )

/** What a condition says of errors, and whether it spares those before it the waiting. */
export const accepting = (
  condition: Condition,
  kinds: Readonly<Record<Kind, ReadonlyArray<Tag>>>
): Pick<Member, "takes" | "sparesWaiting"> => {
  if (typeof condition === "function") return { takes: condition, sparesWaiting: true }
  const classes = classesOf(condition, kinds)
  return {
    takes: (error) =>
      (classes.has(decisive(error)) || (isBeyondLimit(error) && classes.has("RateLimitError"))) &&
      !(error._tag === "TimeoutError" && error.phase === "total"),
    sparesWaiting: waitingClasses.some((tag) => classes.has(tag))
  }
}

export const memberOf = (
  llm: Service,
  options: MemberOptions,
  isFirst: boolean,
  accepts: Pick<Member, "takes" | "sparesWaiting">
): Member => ({
  llm,
  ...accepts,
  lacks: new Set(options.lacks ?? []),
  standsInFor: options.standsInFor === undefined ? undefined : new Set(options.standsInFor),
  models: options.models ?? {},
  isFirst
})

/** The window that an error says was too small, in tokens; -1 where it speaks of something else. */
export const tooLongFor = (error: LLMError, member: Member): number =>
  decisive(error) === "ContextLengthError" ? member.llm.info.contextWindow : -1

/**
 * Those who may take the call over, in their order. What was too long for a window goes to a larger one; to one of the same
 * size only where there is no larger one, for a window that nobody set is only supposed; never to a smaller one.
 */
export const takers = (members: ReadonlyArray<Member>, error: LLMError, tooSmall: number): ReadonlyArray<Member> => {
  const willing = members.filter((member) => member.takes(error))
  if (tooSmall < 0) return willing
  const larger = willing.filter(({ llm }) => llm.info.contextWindow > tooSmall)
  return larger.length > 0 ? larger : willing.filter(({ llm }) => llm.info.contextWindow === tooSmall)
}

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

const partFeatures: Readonly<Record<string, Feature>> = { image: "images", audio: "audio", file: "files" }

/** What a model must be able to do for a request. */
export const needs = (request: ChatRequest.Input): ReadonlySet<Feature> => {
  const needed = new Set<Feature>()
  if (typeof request === "string") return needed
  if (request.tools !== undefined && request.tools.length > 0) needed.add("tools")
  if (request.responseFormat !== undefined && request.responseFormat !== "text") {
    needed.add(request.responseFormat === "json" ? "json" : "json-schema")
  }
  for (const { content } of request.messages) {
    if (typeof content === "string") continue
    for (const { type } of content) {
      const feature = partFeatures[type]
      if (feature !== undefined) needed.add(feature)
    }
  }
  return needed
}

/**
 * Those who are chosen, beginning with the first member, or in its place with the first of them that takes the error for
 * which it was left out: to leave it out is to hand on what it would have said.
 */
const headed = (
  members: Arr.NonEmptyReadonlyArray<Member>,
  chosen: ReadonlyArray<Member>,
  error: LLMError
): Arr.NonEmptyReadonlyArray<Member> | undefined => {
  const head = chosen.find((member) => member === members[0] || member.takes(error))
  return head === undefined ? undefined : [head, ...chosen.filter((member) => member !== head)]
}

const able = (
  members: Arr.NonEmptyReadonlyArray<Member>,
  needed: Iterable<Feature>,
  asked: string
): Either.Either<Arr.NonEmptyReadonlyArray<Member>, LLMError> => {
  const features = [...needed]
  const chosen = members.filter(
    ({ isFirst, lacks, standsInFor }) =>
      (isFirst || standsInFor === undefined || standsInFor.has(asked)) &&
      !features.some((feature) => lacks.has(feature))
  )
  if (chosen[0] === members[0]) return Either.right([members[0], ...chosen.slice(1)])
  const { model, provider } = members[0].llm.info
  const missing = features.filter((feature) => members[0].lacks.has(feature)).join(", ")
  const error = new UnsupportedError({
    provider,
    model,
    attempts: [],
    feature: missing,
    message: `${model} cannot do what the request needs (${missing}), and no other member of the fallback may be asked.`
  })
  return Either.fromNullable(headed(members, chosen, error), () => error)
}

const largestOf = (members: Arr.NonEmptyReadonlyArray<Member>): Arr.NonEmptyReadonlyArray<Member> => {
  const [first, ...rest] = members
  const largest = rest.reduce(
    (before, member) => (member.llm.info.contextWindow > before.llm.info.contextWindow ? member : before),
    first
  )
  return [largest]
}

/** Those into whose windows the request may fit; the largest one where it fits into none, which will say so itself. */
const fitting = (
  members: Arr.NonEmptyReadonlyArray<Member>,
  input: ChatRequest.Input,
  counter: TokenCounter.Service,
  options: ContextFit.FitOptions
): Effect.Effect<Arr.NonEmptyReadonlyArray<Member>> =>
  Either.match(normalize(input), {
    // Whoever sends it will say what is wrong with it.
    onLeft: () => Effect.succeed(members),
    onRight: (request) =>
      Effect.map(
        Effect.filter(members, ({ isFirst, llm: { info } }) =>
          // Of another model that the request names nothing is known.
          isFirst && request.model !== undefined && request.model !== info.model
            ? Effect.succeed(true)
            : Effect.map(ContextFit.excess(counter, request, info.model, info.contextWindow, options), Option.isNone)
        ),
        (chosen) => {
          if (chosen.length === 0) return largestOf(members)
          if (chosen.length === members.length) return members
          const { model, provider } = members[0].llm.info
          return (
            headed(
              members,
              chosen,
              new ContextLengthError({ provider, model, attempts: [], message: "The request is too long." })
            ) ?? members
          )
        }
      )
  })

export interface Selection {
  readonly chat: (request: ChatRequest.Input) => Effect.Effect<Arr.NonEmptyReadonlyArray<Member>, LLMError>
  readonly embed: (request: EmbeddingRequest.Input) => Effect.Effect<Arr.NonEmptyReadonlyArray<Member>, LLMError>
}

/** Who is asked for a request, in order. Costs nothing where nothing is known that could leave anybody out. */
export const selection = (
  members: Arr.NonEmptyReadonlyArray<Member>,
  info: ModelInfo,
  counter: TokenCounter.Service,
  fit: ContextFit.FitOptions | undefined
): Selection => {
  const isParticular = members.some(({ lacks, standsInFor }) => lacks.size > 0 || standsInFor !== undefined)
  const all = Either.right(members)
  const chatting = (request: ChatRequest.Input) =>
    isParticular ? able(members, needs(request), modelOf(request) ?? info.model) : all
  return {
    chat: (request) =>
      fit === undefined
        ? Effect.suspend(() => chatting(request))
        : Effect.flatMap(
            Effect.suspend(() => chatting(request)),
            (chosen) => fitting(chosen, request, counter, fit)
          ),
    embed: (request) =>
      Effect.suspend(() =>
        isParticular ? able(members, ["embeddings"], embeddingModelOf(request) ?? info.model) : all
      )
  }
}

const modelOf = (request: ChatRequest.Input): string | undefined =>
  typeof request === "string" ? undefined : request.model

const embeddingModelOf = (request: EmbeddingRequest.Input): string | undefined =>
  typeof request === "string" || !("input" in request) ? undefined : request.model

/** What a member calls a model. A model may have the name of a field that every object inherits, such as `constructor`. */
const nameAt = ({ models }: Member, model: string): string | undefined =>
  Object.hasOwn(models, model) ? models[model] : undefined

const renamed = <A extends { readonly model?: string }>(
  request: A,
  member: Member,
  info: ModelInfo
): Omit<A, "model"> & { readonly model?: string } => {
  const { model: _, ...rest } = request
  const model = nameAt(member, request.model ?? info.model)
  return model === undefined ? rest : { ...rest, model }
}

/** A model that a request names is the first member's: the others have never heard of it, unless they say so. */
export const chatFor = (member: Member, request: ChatRequest.Input, info: ModelInfo): ChatRequest.Input => {
  if (member.isFirst) return request
  if (typeof request !== "string") return renamed(request, member, info)
  const model = nameAt(member, info.model)
  return model === undefined ? request : { messages: [{ role: "user", content: request }], model }
}

export const embeddingFor = (
  member: Member,
  request: EmbeddingRequest.Input,
  info: ModelInfo
): EmbeddingRequest.Input => {
  if (member.isFirst) return request
  if (typeof request !== "string" && "input" in request) return renamed(request, member, info)
  const model = nameAt(member, info.model)
  return model === undefined ? request : { input: typeof request === "string" ? [request] : request, model }
}

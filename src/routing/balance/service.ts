/**
 * Routes each call to a deployment that can serve it, and to the next one when that fails. Each lease is released exactly once,
 * whatever happens.
 */
import { Cause, Chunk, Clock, Context, Effect, Either, Option, Random, Scope } from "effect"
import * as Attempt from "../../vocabulary/attempt.js"
import type { Deployment, Options, Service, Verdict } from "./model.js"
import { InvalidBalanceError } from "./model.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import type { ModelInfo, Service as LLMService } from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import * as Usage from "../../vocabulary/Usage.js"
import { cost } from "../../accounting/pricing/cost.js"
import type { Service as PricingService } from "../../accounting/pricing/model.js"
import { Pricing } from "../../accounting/pricing/model.js"
import { TokenCounter } from "../../tokens/counter.js"
import { isWeight, wrongWeight } from "../../keyPool/options.js"
import type { MissingCapabilities } from "./capabilities.js"
import * as Capabilities from "./capabilities.js"
import type { CheckedOptions } from "./options.js"
import { checkOptions } from "./options.js"
import type { Lease, DeploymentLeases } from "./leases.js"
import * as Leases from "./leases.js"
import * as State from "./state.js"
import * as Report from "./report.js"
import { handsOn, verdictOf } from "./verdict.js"
import { CallLimits, longestSleepOf, narrowed } from "../../call/limits.js"
import { after } from "../../call/plan.js"
import { limitFor, requestsLeft, requestsOf } from "../../call/requestLimit.js"
import { clockOf } from "../../internal/clock.js"
import { whileChanged } from "../../internal/context.js"
import type { DeploymentSet } from "./deploymentSet.js"
import * as DeploymentSets from "./deploymentSet.js"
import type { Open, OpenStream, Pull } from "../../call/openStream.js"
import { fromStream, isolated, toStream, withEarlierAttempts } from "../../call/openStream.js"
import { normalize, normalizeEmbedding, passedOn } from "../../call/request.js"

export const make = (
  deployments: ReadonlyArray<Deployment>,
  options: Options
): Effect.Effect<Service, InvalidBalanceError> =>
  Effect.gen(function* () {
    const [checked, faults] = checkOptions(yield* withPrices(deployments), options)
    const [first] = deployments
    if (faults.length > 0 || first === undefined) return yield* Effect.fail(new InvalidBalanceError({ faults }))
    const declared = deployments.map(({ capabilities = {}, llm, order = 0 }) => ({
      model: llm.info.model,
      contextWindow: capabilities.contextWindow ?? llm.info.contextWindow,
      order,
      capabilities
    }))
    const { cooldown, policy, window } = checked
    const seed = yield* Random.nextInt
    const leases = yield* Leases.make(DeploymentSets.make(checked.deployments, policy, cooldown, window, seed))
    return makeService({
      deployments: deployments.map(({ llm }) => llm),
      info: { ...first.llm.info, contextWindow: Math.max(...declared.map((one) => one.contextWindow)) },
      checked,
      leases,
      capabilities: Capabilities.make(declared, yield* TokenCounter),
      handsOn: options.on ?? handsOn,
      verdictOf: options.verdict ?? verdictOf
    })
  })

/** Gives each deployment without a `cost` the blended price of its model, if that is known. */
const withPrices = (deployments: ReadonlyArray<Deployment>): Effect.Effect<ReadonlyArray<Deployment>> =>
  Effect.zipWith(Pricing, Clock.currentTimeMillis, (pricing, at) =>
    deployments.map((deployment) => {
      return deployment.cost === undefined
        ? Option.match(blendedPrice(pricing, deployment.llm.info, at), {
            onNone: () => deployment,
            onSome: (cost) => ({ ...deployment, cost })
          })
        : deployment
    })
  )

/** Three of input to one of output, and short enough that no rate for long requests applies. */
const blended = Usage.make({ inputTokens: 750, outputTokens: 250 })

/** For models whose output has no price, such as those of embeddings. */
const inputOnly = Usage.make({ inputTokens: 1000, outputTokens: 0 })

/** Dollars a million tokens. */
const blendedPrice = (
  pricing: PricingService,
  { model, price, provider }: ModelInfo,
  at: number
): Option.Option<number> =>
  Option.fromNullable(price).pipe(
    Option.orElse(() => pricing.priceOf({ provider, model, at })),
    Option.flatMap((price) => cost(price, price.output === undefined ? inputOnly : blended)),
    Option.map(({ total }) => total * 1000)
  )

interface Dependencies {
  readonly deployments: ReadonlyArray<LLMService>
  readonly info: ModelInfo
  readonly checked: CheckedOptions
  readonly leases: DeploymentLeases
  readonly capabilities: ReturnType<typeof Capabilities.make>
  readonly handsOn: (error: LLMError) => boolean
  readonly verdictOf: (error: LLMError) => Verdict
}

/** What the choice of a deployment for a request depends on. */
interface Requirements {
  readonly missing: MissingCapabilities
  /** The hash of the key of a sticky strategy. */
  readonly affinity: number | undefined
  /** Whether the request names a model. */
  readonly namesModel: boolean
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** The failed attempts of a call so far. */
interface Progress {
  readonly attempts: ReadonlyArray<Attempt.Attempt>
  /** By position. */
  readonly errors: ReadonlyMap<number, LLMError>
  /** The number of requests. */
  readonly requests: number
}

/** The requests that a call may send from now on. */
interface Requests {
  readonly left: number
  /** Whether a policy around the balance limits them. */
  readonly isLimited: boolean
  /** Those of earlier rounds of the call. */
  readonly earlier: ReadonlyArray<Attempt.Attempt>
  /** The number of deployments that have not been tried, without the one that is called. */
  readonly untried: number
}

const neutral: Verdict = { _tag: "Neutral" }

const none: ReadonlySet<number> = new Set()

const noRequirements: Requirements = { missing: new Map(), affinity: undefined, namesModel: false }

const noProgress: Progress = { attempts: [], errors: new Map(), requests: 0 }

const makeService = (dependencies: Dependencies): Service => {
  const { capabilities, checked, deployments, info, leases } = dependencies

  /** Calls one deployment after the other, each once at most. */
  const withFailover = <A, R>(
    { affinity, missing }: Requirements,
    use: (llm: LLMService, lease: Lease, restore: Restore) => Effect.Effect<A, LLMError, R>,
    withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
  ): Effect.Effect<A, LLMError, R> => {
    const giveUp = ({ attempts, errors }: Progress): Effect.Effect<never, LLMError> =>
      Effect.flatMap(leases.snapshot, ({ state: { deploymentSet } }) =>
        Effect.fail(
          missing.size === deployments.length
            ? Report.unsupported(deploymentSet, info, missing)
            : Report.exhausted({ deploymentSet, info, missing, errors, attempts })
        )
      )

    const from = (progress: Progress): Effect.Effect<A, LLMError, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.withFiberRuntime<A, LLMError, R>((fiber) => {
          const clock = clockOf(fiber)
          const exclude =
            missing.size + progress.errors.size === 0 ? none : new Set([...missing.keys(), ...progress.errors.keys()])
          const own = limitFor(Context.get(fiber.currentContext, CallLimits).requests, info)
          const requests: Requests = {
            left: requestsLeft(fiber.currentContext, own) - progress.requests,
            isLimited: own !== undefined,
            earlier: own?.earlier ?? [],
            untried: deployments.length - exclude.size - 1
          }
          const criteria = { exclude, affinity }
          const callOn = (lease: Lease): Effect.Effect<A, LLMError, R> =>
            Effect.matchEffect(call(progress, requests, lease, restore), {
              onSuccess: (answer) =>
                Effect.succeed(progress.errors.size === 0 ? answer : withEarlier(answer, progress.attempts)),
              onFailure: (error) => restore(handOn(progress, requests, lease, error))
            })
          const ready = leases.unsafeTryAcquire?.(criteria, clock)
          if (ready !== undefined) return callOn(ready)
          const maxWait = Math.min(longestSleepOf(fiber.currentContext, clock), checked.maxWait)
          return Effect.matchEffect(leases.acquire(criteria, clock, maxWait), {
            onFailure: () => restore(giveUp(progress)),
            onSuccess: callOn
          })
        })
      )

    const call = (
      { errors }: Progress,
      { earlier, isLimited, left, untried }: Requests,
      lease: Lease,
      restore: Restore
    ): Effect.Effect<A, LLMError, R> => {
      const llm = deployments[lease.position]
      if (llm === undefined) return Effect.dieMessage(`The balance has no deployment at ${lease.position}.`)
      return use(llm, lease, (effect) =>
        lease.hasAlternative || isLimited || errors.size > 0
          ? whileChanged(
              restore(effect),
              narrowed({
                ...(lease.hasAlternative ? { maxWait: checked.failoverAfter } : {}),
                requests: { info: llm.info, left: Math.max(1, left - untried), earlier }
              })
            )
          : restore(effect)
      )
    }

    const handOn = (
      { attempts: earlier, errors, requests }: Progress,
      { left }: Requests,
      { position }: Lease,
      error: LLMError
    ): Effect.Effect<A, LLMError, R> => {
      const attempts = Attempt.concat(earlier, error.attempts)
      const made = requestsOf(error.attempts)
      return dependencies.handsOn(error) && left > made
        ? from({ attempts, errors: new Map(errors).set(position, error), requests: requests + made })
        : Effect.fail(errors.size === 0 ? error : Errors.update(error, { attempts }))
    }

    return from(noProgress)
  }

  /** A missing model that the request itself names is no fault of the deployment. */
  const verdictFor = ({ namesModel }: Requirements, error: LLMError): Verdict =>
    namesModel && error._tag === "ModelNotFoundError" ? neutral : dependencies.verdictOf(error)

  const settleCause = (requirements: Requirements, lease: Lease, cause: Cause.Cause<LLMError>): Effect.Effect<void> =>
    lease.settle(
      Option.match(Cause.failureOption(cause), {
        onNone: () => neutral,
        onSome: (error) => verdictFor(requirements, error)
      })
    )

  /** A call with a whole answer. */
  const unary = <A>(
    requirements: Requirements,
    call: (llm: LLMService) => Effect.Effect<A, LLMError>,
    withEarlier: (answer: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
  ): Effect.Effect<A, LLMError> =>
    withFailover(
      requirements,
      (llm, lease, restore) =>
        Effect.matchCauseEffect(restore(Effect.suspend(() => call(llm))), {
          onSuccess: (answer) => after(lease.settleServed(), Effect.succeed(answer)),
          onFailure: (cause) => after(settleCause(requirements, lease, cause), Effect.failCause(cause))
        }),
      withEarlier
    )

  /** Settles the lease when the stream ends, with its last event or an error. */
  const settlingAtEnd = (requirements: Requirements, lease: Lease, opened: OpenStream): Effect.Effect<OpenStream> => {
    const pass = (events: OpenStream["first"]): Effect.Effect<OpenStream["first"]> =>
      Option.exists(Chunk.last(events), (event) => event._tag === "Finish")
        ? Effect.as(Effect.uninterruptible(Effect.suspend(() => lease.settle(neutral))), events)
        : Effect.succeed(events)
    const pull: Pull = Effect.matchEffect(opened.pull, {
      onSuccess: pass,
      onFailure: (end) =>
        Effect.zipRight(
          Effect.uninterruptible(
            Effect.suspend(() =>
              lease.settle(
                Option.match(end, { onNone: () => neutral, onSome: (error) => verdictFor(requirements, error) })
              )
            )
          ),
          Effect.fail(end)
        )
    })
    return after(
      lease.markAnswered(),
      Effect.map(pass(opened.first), (first): OpenStream => ({ first, pull }))
    )
  }

  const openStream = (requirements: Requirements, request: ChatRequest.Input): Open =>
    withFailover(
      requirements,
      (llm, lease, restore) =>
        Effect.flatMap(Effect.scope, (scope) =>
          // Added before the stream's own finalizers, so that it runs after them: the lease ends when the stream is closed.
          Effect.zipRight(
            Scope.addFinalizer(
              scope,
              Effect.suspend(() => lease.settle(neutral))
            ),
            Effect.matchCauseEffect(restore(isolated(Effect.suspend(() => fromStream(llm.chatStream(request))))), {
              onSuccess: (opened) => settlingAtEnd(requirements, lease, opened),
              onFailure: (cause) => after(settleCause(requirements, lease, cause), Effect.failCause(cause))
            })
          )
        ),
      withEarlierAttempts
    )

  /** Makes a call with the requirements of its request. The deployment that is called rejects an invalid request. */
  const withRequirements = <A, R>(
    input: ChatRequest.Input,
    call: (requirements: Requirements, request: ChatRequest.Input) => Effect.Effect<A, LLMError, R>
  ): Effect.Effect<A, LLMError, R> =>
    Effect.suspend(() => {
      const normalized = normalize(input)
      if (Either.isLeft(normalized)) return call(noRequirements, input)
      const request = normalized.right
      const { counting, missing } = capabilities.missingForChat(request)
      const requirements = {
        missing,
        affinity: checked.affinityOf?.(request),
        namesModel: request.model !== undefined
      }
      return after(counting, call(requirements, passedOn(input, request)))
    })

  const embeddingRequirements = (input: EmbeddingRequest.Input): Requirements => {
    const model = Option.getOrUndefined(Either.getRight(normalizeEmbedding(input)))?.model
    return { missing: capabilities.missingForEmbedding(model), affinity: undefined, namesModel: model !== undefined }
  }

  /** Changes a deployment, and returns whether the id exists. */
  const change = (
    id: string,
    f: (deploymentSet: DeploymentSet, position: number) => DeploymentSet
  ): Effect.Effect<boolean> => {
    const position = checked.deployments.findIndex((one) => one.id === id)
    return position < 0
      ? Effect.succeed(false)
      : Effect.as(
          leases.change(position, (deploymentSet) => f(deploymentSet, position)),
          true
        )
  }

  const invalid = (fault: string): InvalidBalanceError => new InvalidBalanceError({ faults: [fault] })

  return {
    chat: (input) =>
      withRequirements(input, (requirements, request) =>
        unary(requirements, (llm) => llm.chat(request), Attempt.withEarlier)
      ),
    chatStream: (input) => toStream(withRequirements(input, openStream)),
    embed: (request) =>
      Effect.suspend(() => unary(embeddingRequirements(request), (llm) => llm.embed(request), Attempt.withEarlier)),
    listModels: unary(
      noRequirements,
      (llm) => llm.listModels,
      (models) => models
    ),
    info,
    status: Effect.zipWith(
      Effect.forEach(deployments, ({ status }) => status),
      leases.snapshot,
      (statuses, { state }) => Report.sumOf(statuses, State.waiting(state))
    ),
    resetRateLimit: Effect.forEach(deployments, ({ resetRateLimit }) => resetRateLimit, { discard: true }),
    deployments: Effect.map(leases.snapshot, ({ epoch, state: { deploymentSet } }) =>
      deploymentSet.deployments.flatMap((deployment, position) => {
        const llm = deployments[position]
        return llm === undefined ? [] : [Report.statusOf(deployment, llm.info, deploymentSet.now, epoch)]
      })
    ),
    enable: (id) => change(id, DeploymentSets.enable),
    disable: (id) => change(id, DeploymentSets.disable),
    reweight: (id, weight) =>
      isWeight(weight)
        ? Effect.flatMap(
            change(id, (deploymentSet, position) => DeploymentSets.reweight(deploymentSet, position, weight)),
            (exists) => (exists ? Effect.void : Effect.fail(invalid(`id: the balance has no deployment "${id}"`)))
          )
        : Effect.suspend(() => Effect.fail(invalid(wrongWeight)))
  }
}

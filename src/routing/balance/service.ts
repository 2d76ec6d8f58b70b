/**
 * Routes each call to a deployment that can serve it, and to the next one when that fails. Each lease is released exactly once,
 * whatever happens.
 */
import type { Fiber } from "effect"
import { Cause, Chunk, Clock, Context, Effect, Either, Exit, Option, Random } from "effect"
import * as Attempt from "../../vocabulary/attempt.js"
import type { Deployment, Options, Service, Verdict } from "./model.js"
import { InvalidBalanceError } from "./model.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import { embeddingFamily } from "../../call/embeddingFamily.js"
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
import type { Limits } from "../../call/limits.js"
import { longestSleepOf, memberLimits } from "../../call/limits.js"
import type { Restore } from "../../call/plan.js"
import { after, continueAfter } from "../../call/plan.js"
import { forRequest } from "../../call/added.js"
import type { Send, Sending } from "../../call/sending.js"
import {
  attempt,
  awaitAnswer,
  conclude,
  fromEffect,
  isExit,
  mapSent,
  onceSent,
  run,
  sendChat,
  toChat,
  unsent,
  withinLimits
} from "../../call/sending.js"
import { limitFor, requestsLeft, requestsOf } from "../../call/requestLimit.js"
import { CurrentClient } from "../../rateLimiter/model.js"
import { clockOf } from "../../internal/clock.js"
import type { DeploymentSet } from "./deploymentSet.js"
import * as DeploymentSets from "./deploymentSet.js"
import type { Finalizers } from "../../call/finalizers.js"
import type { OpenStream } from "../../call/openStream.js"
import { isolated } from "../../call/ownedStream.js"
import { openChat, toChatStream, watched, withEarlierAttempts } from "../../call/openStream.js"
import { normalize, normalizeEmbedding, passedOn } from "../../call/request.js"
import { sharedInfo } from "../../call/wrap.js"

export const make = (
  deployments: ReadonlyArray<Deployment>,
  options: Options
): Effect.Effect<Service, InvalidBalanceError> =>
  Effect.gen(function* () {
    const [checked, faults] = checkOptions(yield* withPrices(deployments), options)
    const [first, ...others] = deployments
    if (faults.length > 0 || first === undefined) return yield* Effect.fail(new InvalidBalanceError({ faults }))
    const declared = deployments.map(({ capabilities = {}, llm, order = 0 }) => ({
      model: llm.info.model,
      contextWindow: capabilities.contextWindow ?? llm.info.contextWindow,
      order,
      embeddingFamily:
        typeof capabilities.embeddings === "string" ? capabilities.embeddings : embeddingFamily(llm.info),
      capabilities
    }))
    const { cooldown, policy, window } = checked
    const seed = yield* Random.nextInt
    const leases = yield* Leases.make(DeploymentSets.make(checked.deployments, policy, cooldown, window, seed))
    return makeService({
      deployments: deployments.map(({ llm }) => llm),
      info: {
        ...sharedInfo(
          first.llm,
          others.map(({ llm }) => llm)
        )(),
        contextWindow: Math.max(...declared.map((one) => one.contextWindow))
      },
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

/** The failed attempts of a call so far. */
interface Progress {
  readonly attempts: ReadonlyArray<Attempt.Attempt>
  /** By position. */
  readonly errors: ReadonlyMap<number, LLMError>
  /** The number of requests. */
  readonly requests: number
}

const neutral: Verdict = { _tag: "Neutral" }

const none: ReadonlySet<number> = new Set()

const noRequirements: Requirements = { missing: new Map(), affinity: undefined, namesModel: false }

const noProgress: Progress = { attempts: [], errors: new Map(), requests: 0 }

/** How one kind of call uses a deployment. */
interface Use<A, R> {
  readonly send: (llm: LLMService, lease: Lease) => Send<A, R>
  /** Applies an answer to the lease. An `Exit` when no effect has to run. */
  readonly onAnswer: (lease: Lease, answer: A) => Effect.Effect<A>
  readonly withEarlier: (answer: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
}

/** A call on its way to a deployment. */
interface Route<A, R> {
  readonly requirements: Requirements
  readonly use: Use<A, R>
  readonly progress: Progress
  /** The number of deployments that have not been tried, without the one that is called. */
  readonly untried: number
}

const makeService = (dependencies: Dependencies): Service => {
  const { capabilities, checked, deployments, info, leases } = dependencies

  /** A missing model that the request itself names is no fault of the deployment. */
  const verdictFor = ({ namesModel }: Requirements, error: LLMError): Verdict =>
    namesModel && error._tag === "ModelNotFoundError" ? neutral : dependencies.verdictOf(error)

  const settleCause = (requirements: Requirements, lease: Lease, cause: Cause.Cause<LLMError>): Effect.Effect<void> =>
    leases.settle(
      lease,
      Option.match(Cause.failureOption(cause), {
        onNone: () => neutral,
        onSome: (error) => verdictFor(requirements, error)
      })
    )

  const giveUp = ({ missing }: Requirements, { attempts, errors }: Progress): Effect.Effect<never, LLMError> =>
    Effect.flatMap(leases.snapshot, ({ state: { deploymentSet } }) =>
      Effect.fail(
        missing.size === deployments.length
          ? Report.unsupported(deploymentSet, info, missing)
          : Report.exhausted({ deploymentSet, info, missing, errors, attempts })
      )
    )

  /** Calls one deployment after the other, each once at most. */
  const withFailover =
    <A, R>(requirements: Requirements, use: Use<A, R>, progress: Progress = noProgress): Send<A, R> =>
    (fiber, limits) => {
      const { affinity, missing } = requirements
      const clock = clockOf(fiber)
      const exclude =
        missing.size + progress.errors.size === 0 ? none : new Set([...missing.keys(), ...progress.errors.keys()])
      const criteria = { exclude, affinity }
      const route: Route<A, R> = { requirements, use, progress, untried: deployments.length - exclude.size - 1 }
      const ready = leases.unsafeTryAcquire?.(criteria, clock)
      if (ready !== undefined) return sendTo(ready, route, fiber, limits)
      const maxWait = Math.min(longestSleepOf(limits, clock), checked.maxWait)
      return unsent((restore) =>
        Effect.matchEffect(leases.acquire(criteria, clock, maxWait), {
          onFailure: () => restore(giveUp(requirements, progress)),
          onSuccess: (lease) => onceSent(sendTo(lease, route, fiber, limits), (sent) => awaitAnswer(sent, restore))
        })
      )
    }

  const sendTo = <A, R>(
    lease: Lease,
    route: Route<A, R>,
    fiber: Fiber.RuntimeFiber<unknown, unknown>,
    limits: Limits
  ): Sending<A, R> => {
    const llm = deployments[lease.position]
    if (llm === undefined) throw new Error(`The balance has no deployment at ${lease.position}.`)
    const { progress, untried, use } = route
    const own = limitFor(limits.requests, info)
    const left = requestsLeft(fiber.currentContext, own) - progress.requests
    const inner: Limits =
      lease.hasAlternative || own !== undefined || progress.errors.size > 0
        ? {
            deadline: limits.deadline,
            ...memberLimits(limits, lease.hasAlternative ? checked.failover : undefined),
            idle: limits.idle,
            requests: { info: llm.info, left: Math.max(1, left - untried), earlier: own?.earlier ?? [] }
          }
        : limits
    const send: Send<A, R> = (fiber, limits) => use.send(llm, lease)(fiber, limits)
    return mapSent(attempt(send, fiber, inner), (sent) => ({
      isReady: sent.isReady,
      listen: sent.listen,
      cancel: (cause) => continueAfter(sent.cancel(cause), () => leases.settle(lease, neutral)),
      conclude: (restore) => {
        const answer = conclude(sent, restore)
        return isExit(answer) && Exit.isSuccess(answer)
          ? answered(lease, route, answer.value)
          : Effect.matchCauseEffect(answer, {
              onSuccess: (value) => answered(lease, route, value),
              onFailure: (cause) =>
                continueAfter(settleCause(route.requirements, lease, cause), () =>
                  Either.match(Cause.failureOrCause(cause), {
                    onLeft: (error) => handOn(lease, route, limits, left, error, restore),
                    onRight: Exit.failCause
                  })
                )
            })
      }
    }))
  }

  const answered = <A, R>(lease: Lease, { progress, use }: Route<A, R>, answer: A): Effect.Effect<A> =>
    use.onAnswer(lease, progress.errors.size === 0 ? answer : use.withEarlier(answer, progress.attempts))

  /** Calls the next deployment after an error, or fails with it. `left` is the number of requests that the call could send. */
  const handOn = <A, R>(
    { position }: Lease,
    { progress, requirements, use }: Route<A, R>,
    limits: Limits,
    left: number,
    error: LLMError,
    restore: Restore
  ): Effect.Effect<A, LLMError, R> => {
    const { errors, requests } = progress
    const attempts = Attempt.concat(progress.attempts, error.attempts)
    const made = requestsOf(error.attempts)
    if (!dependencies.handsOn(error) || left <= made) {
      return Exit.fail(errors.size === 0 ? error : Errors.update(error, { attempts }))
    }
    const next = { attempts, errors: new Map(errors).set(position, error), requests: requests + made }
    return restore(run(withFailover(requirements, use, next), limits))
  }

  /** A call with a whole answer. */
  const unary = <A>(
    requirements: Requirements,
    send: (llm: LLMService) => Send<A>,
    withEarlier: (answer: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
  ): Send<A> =>
    withFailover(requirements, {
      send,
      onAnswer: (lease, answer) => after(leases.settleServed(lease), Exit.succeed(answer)),
      withEarlier
    })

  /** Settles the lease when the stream ends, with its last event or an error. */
  const settlingAtEnd = (requirements: Requirements, lease: Lease, opened: OpenStream): Effect.Effect<OpenStream> => {
    const settled = (verdict: Verdict): Effect.Effect<void> =>
      Effect.uninterruptible(Effect.suspend(() => leases.settle(lease, verdict)))
    return after(
      leases.markAnswered(lease),
      watched(opened, {
        onEvents: (events) =>
          Option.exists(Chunk.last(events), (event) => event._tag === "Finish") ? settled(neutral) : undefined,
        onEnd: (end) =>
          settled(Option.match(end, { onNone: () => neutral, onSome: (error) => verdictFor(requirements, error) }))
      })
    )
  }

  const openStream = (
    requirements: Requirements,
    request: ChatRequest.Input,
    finalizers: Finalizers
  ): Send<OpenStream> =>
    withFailover(requirements, {
      send: (llm, lease) => (fiber, limits) =>
        unsent((restore) =>
          // Added before the stream's own finalizers, so that it runs after them: the lease ends when the stream is closed.
          finalizers.add(
            () => leases.settle(lease, neutral),
            () => withinLimits(fiber, limits, restore(isolated((inner) => openChat(llm, request)(inner))(finalizers)))
          )
        ),
      onAnswer: (lease, opened) => settlingAtEnd(requirements, lease, opened),
      withEarlier: withEarlierAttempts
    })

  /** Sends a call with the requirements of its request. The deployment that is called rejects an invalid request. */
  const withRequirements =
    <A, R>(
      input: ChatRequest.Input,
      valid: ChatRequest | undefined,
      call: (requirements: Requirements, request: ChatRequest | undefined) => Send<A, R>
    ): Send<A, R> =>
    (fiber, limits) => {
      const normalized = valid === undefined ? normalize(input) : Either.right(valid)
      if (Either.isLeft(normalized)) return call(noRequirements, undefined)(fiber, limits)
      const request = normalized.right
      const { counting, missing } = capabilities.missingForChat(request)
      const affinity = checked.affinityOf?.(request, Context.get(fiber.currentContext, CurrentClient))
      const send = call({ missing, affinity, namesModel: request.model !== undefined }, request)
      return counting === Effect.void
        ? send(fiber, limits)
        : unsent((restore) => Effect.zipRight(restore(counting), restore(run(send, limits))))
    }

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
    chat: toChat((input, added) =>
      withRequirements(input, added.request, (requirements, request) =>
        unary(
          requirements,
          (llm) => sendChat(llm, input, request === added.request ? added : forRequest(added, request)),
          Attempt.withEarlier
        )
      )
    ),
    chatStream: toChatStream(
      (input) => (finalizers) =>
        run(
          withRequirements(input, undefined, (requirements, request) =>
            openStream(requirements, request === undefined ? input : passedOn(input, request), finalizers)
          )
        )
    ),
    embed: (request) =>
      run((fiber, limits) =>
        unary(
          embeddingRequirements(request),
          (llm) => fromEffect(Effect.suspend(() => llm.embed(request))),
          Attempt.withEarlier
        )(fiber, limits)
      ),
    listModels: run(
      unary(
        noRequirements,
        (llm) => fromEffect(llm.listModels),
        (models) => models
      )
    ),
    info,
    status: Effect.zipWith(
      Effect.forEach(deployments, ({ status }) => status),
      leases.snapshot,
      (statuses, { state }) => Report.sumOf(statuses, State.waiting(state))
    ),
    resetRateLimit: Effect.forEach(deployments, ({ resetRateLimit }) => resetRateLimit, { discard: true }),
    deployments: Effect.map(leases.snapshot, ({ epoch, state: { deploymentSet } }) =>
      DeploymentSets.all(deploymentSet).flatMap((deployment, position) => {
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

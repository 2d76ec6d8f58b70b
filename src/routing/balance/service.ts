/**
 * The way of one call through a balance: a deployment that can serve it, and another one where that fails. What was taken is
 * given back exactly once, whatever happens.
 */
import { Cause, Chunk, Clock, Effect, Either, Exit, Option, Random, Scope } from "effect"
import * as Attempt from "../../vocabulary/Attempt.js"
import type { Deployment, InvalidBalanceError, Options, Service } from "./model.js"
import type { Verdict } from "./model.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import type { ModelInfo, Service as LLMService } from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import { Pricing } from "../../accounting/pricing/model.js"
import { TokenCounter } from "../../tokens/counter.js"
import { isWeight, wrongWeight } from "../../keyPool/options.js"
import type { Lacks } from "./capabilities.js"
import * as CapabilityRules from "./capabilities.js"
import type { Admitted, Terms } from "./options.js"
import * as Admission from "./options.js"
import type { Lease, DeploymentLeases } from "./leases.js"
import * as Leases from "./leases.js"
import * as State from "./state.js"
import * as Status from "./report.js"
import { blendedPrice } from "./blendedPrice.js"
import { longestSleep, narrow } from "../../call/limits.js"
import type { DeploymentSet } from "./deploymentSet.js"
import * as DeploymentSets from "./deploymentSet.js"
import type { Open, OpenStream, Pull } from "../../call/openStream.js"
import { fromStream, isolated, toStream, withEarlierAttempts } from "../../call/openStream.js"
import { normalize, normalizeEmbedding } from "../../call/request.js"

export const make = (
  deployments: ReadonlyArray<Deployment>,
  options: Options,
  terms: Terms
): Effect.Effect<Service, InvalidBalanceError> =>
  Effect.gen(function* () {
    const [admitted, faults] = Admission.admit(yield* priced(deployments), options, terms)
    const [first] = deployments
    if (faults.length > 0 || first === undefined) return yield* Effect.fail(terms.invalid(faults))
    const able = deployments.map(({ capabilities = {}, llm, order = 0 }) => ({
      provider: llm.info.provider,
      model: llm.info.model,
      contextWindow: capabilities.contextWindow ?? llm.info.contextWindow,
      order,
      capabilities
    }))
    const { remedies, rules, settings, window } = admitted
    const leases = yield* Leases.make(DeploymentSets.make(settings, rules, remedies, window, yield* Random.nextInt))
    return serve({
      deployments: deployments.map(({ llm }) => llm),
      info: { ...first.llm.info, contextWindow: Math.max(...able.map((one) => one.contextWindow)) },
      admitted,
      leases,
      abilities: CapabilityRules.judge(able, yield* TokenCounter),
      handsOn: options.on ?? terms.handsOn,
      verdictOf: options.verdict ?? terms.verdictOf,
      invalid: terms.invalid
    })
  })

/** A deployment without a cost of its own has that of its model, where the price of that is known. */
const priced = (deployments: ReadonlyArray<Deployment>): Effect.Effect<ReadonlyArray<Deployment>> =>
  Effect.zipWith(Pricing, Clock.currentTimeMillis, (service, at) =>
    deployments.map((deployment) => {
      return deployment.cost === undefined
        ? Option.match(blendedPrice(service, deployment.llm.info, at), {
            onNone: () => deployment,
            onSome: (cost) => ({ ...deployment, cost })
          })
        : deployment
    })
  )

interface Parts extends Pick<Terms, "handsOn" | "verdictOf" | "invalid"> {
  readonly deployments: ReadonlyArray<LLMService>
  readonly info: ModelInfo
  readonly admitted: Admitted
  readonly leases: DeploymentLeases
  readonly abilities: ReturnType<typeof CapabilityRules.judge>
}

/** What is known of a call before a deployment is chosen. */
interface Plan {
  readonly lacks: Lacks
  /** The hash of what the call sticks to. */
  readonly affinity: number | undefined
  /** Whether the request names a model. */
  readonly isNamed: boolean
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** What has happened to a call so far. */
interface Progress {
  readonly attempts: ReadonlyArray<Attempt.Attempt>
  /** By position. */
  readonly answers: ReadonlyMap<number, LLMError>
}

const neutral: Verdict = { _tag: "Neutral" }

const unplanned: Plan = { lacks: new Map(), affinity: undefined, isNamed: false }

const untouched: Progress = { attempts: [], answers: new Map() }

const serve = (parts: Parts): Service => {
  const { abilities, admitted, deployments, info, leases } = parts

  /** One deployment after the other, each once at the most. */
  const inTurn = <A, R>(
    { affinity, lacks }: Plan,
    use: (llm: LLMService, lease: Lease, restore: Restore) => Effect.Effect<A, LLMError, R>,
    withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
  ): Effect.Effect<A, LLMError, R> => {
    const giveUp = ({ answers, attempts }: Progress): Effect.Effect<never, LLMError> =>
      Effect.flatMap(leases.now, ({ state: { deploymentSet } }) =>
        Effect.fail(
          lacks.size === deployments.length
            ? Status.unable(deploymentSet, info, lacks)
            : Status.exhausted({ deploymentSet, info, lacks, answers, attempts })
        )
      )

    const from = (progress: Progress): Effect.Effect<A, LLMError, R> => {
      const exclude = new Set([...lacks.keys(), ...progress.answers.keys()])
      return Effect.flatten(
        Effect.uninterruptibleMask((restore) =>
          longestSleep.pipe(
            Effect.flatMap((longest) => leases.acquire({ exclude, affinity }, Math.min(longest, admitted.maxWait))),
            Effect.matchEffect({
              onFailure: () => Effect.succeed(giveUp(progress)),
              onSuccess: (lease) =>
                Effect.map(Effect.either(ask(lease, restore)), (result) =>
                  Either.match(result, {
                    onRight: (answer) =>
                      Effect.succeed(progress.answers.size === 0 ? answer : withEarlier(answer, progress.attempts)),
                    onLeft: (error) => goOn(progress, lease, error)
                  })
                )
            })
          )
        )
      )
    }

    const ask = (lease: Lease, restore: Restore): Effect.Effect<A, LLMError, R> => {
      const llm = deployments[lease.position]
      if (llm === undefined) return Effect.dieMessage(`The balance has no deployment at ${lease.position}.`)
      const patient = use(llm, lease, restore)
      return lease.behind ? narrow(patient, { patience: admitted.patience }) : patient
    }

    const goOn = (
      { answers, attempts: earlier }: Progress,
      { position }: Lease,
      error: LLMError
    ): Effect.Effect<A, LLMError, R> => {
      const attempts = Attempt.concat(earlier, error.attempts)
      return parts.handsOn(error)
        ? from({ attempts, answers: new Map(answers).set(position, error) })
        : Effect.fail(answers.size === 0 ? error : Errors.amend(error, { attempts }))
    }

    return Effect.suspend(() => from(untouched))
  }

  /** What an error says of a deployment. Nobody promised a model that the request itself names. */
  const verdictOf = ({ isNamed }: Plan, error: LLMError): Verdict =>
    isNamed && error._tag === "ModelNotFoundError" ? neutral : parts.verdictOf(error)

  const blamed = (plan: Plan, lease: Lease, cause: Cause.Cause<LLMError>): Effect.Effect<void> =>
    lease.end(
      Option.match(Cause.failureOption(cause), { onNone: () => neutral, onSome: (error) => verdictOf(plan, error) })
    )

  /** Asks for a whole answer of any kind. */
  const whole = <A>(
    plan: Plan,
    ask: (llm: LLMService) => Effect.Effect<A, LLMError>,
    withEarlier: (answer: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
  ): Effect.Effect<A, LLMError> =>
    inTurn(
      plan,
      (llm, lease, restore) =>
        Effect.onExit(
          restore(ask(llm)),
          Exit.match({ onSuccess: () => lease.served, onFailure: (cause) => blamed(plan, lease, cause) })
        ),
      withEarlier
    )

  /** The deployment is held until the stream has said its last word or is given up. */
  const tracked = (plan: Plan, lease: Lease, opened: OpenStream): Effect.Effect<OpenStream> => {
    const pass = (events: OpenStream["first"]): Effect.Effect<OpenStream["first"]> =>
      Option.exists(Chunk.last(events), (event) => event._tag === "Finish")
        ? Effect.as(lease.end(neutral), events)
        : Effect.succeed(events)
    const pull: Pull = Effect.matchEffect(opened.pull, {
      onSuccess: pass,
      onFailure: (end) =>
        Effect.zipRight(
          lease.end(Option.match(end, { onNone: () => neutral, onSome: (error) => verdictOf(plan, error) })),
          Effect.fail(end)
        )
    })
    return Effect.zipRight(
      lease.answered,
      Effect.map(pass(opened.first), (first): OpenStream => ({ first, pull }))
    )
  }

  const streamed = (plan: Plan, request: ChatRequest.Input): Open =>
    inTurn(
      plan,
      (llm, lease, restore) =>
        Effect.flatMap(Effect.scope, (scope) =>
          // Before the stream's own finalizers, so that it runs after them: a deployment is given back when all of it is over.
          Effect.zipRight(
            Scope.addFinalizer(scope, lease.end(neutral)),
            Effect.flatMap(
              Effect.onError(restore(isolated(fromStream(llm.chatStream(request)))), (cause) =>
                blamed(plan, lease, cause)
              ),
              (opened) => tracked(plan, lease, opened)
            )
          )
        ),
      withEarlierAttempts
    )

  const chatPlan = (input: ChatRequest.Input) =>
    Either.match(normalize(input), {
      // Whoever is asked will say what is wrong with it.
      onLeft: (): Effect.Effect<Plan> => Effect.succeed(unplanned),
      onRight: (request) =>
        Effect.map(abilities.ofChat(request), (lacks) => ({
          lacks,
          affinity: admitted.affinityOf?.(request),
          isNamed: request.model !== undefined
        }))
    })

  const embeddingPlan = (input: EmbeddingRequest.Input): Plan => {
    const model = Option.getOrUndefined(Either.getRight(normalizeEmbedding(input)))?.model
    return { lacks: abilities.ofEmbedding(model), affinity: undefined, isNamed: model !== undefined }
  }

  const changed = (
    id: string,
    f: (deploymentSet: DeploymentSet, position: number) => DeploymentSet
  ): Effect.Effect<boolean> => {
    const position = admitted.settings.findIndex((one) => one.id === id)
    return position < 0
      ? Effect.succeed(false)
      : Effect.as(
          leases.change(position, (deploymentSet) => f(deploymentSet, position)),
          true
        )
  }

  return {
    chat: (request) =>
      Effect.flatMap(
        Effect.suspend(() => chatPlan(request)),
        (plan) => whole(plan, (llm) => llm.chat(request), Attempt.withEarlier)
      ),
    chatStream: (request) =>
      toStream(
        Effect.flatMap(
          Effect.suspend(() => chatPlan(request)),
          (plan) => streamed(plan, request)
        )
      ),
    embed: (request) =>
      Effect.suspend(() => whole(embeddingPlan(request), (llm) => llm.embed(request), Attempt.withEarlier)),
    listModels: whole(
      unplanned,
      (llm) => llm.listModels,
      (models) => models
    ),
    info,
    status: Effect.zipWith(
      Effect.forEach(deployments, ({ status }) => status),
      leases.now,
      (statuses, { state }) => Status.merged(statuses, State.waiting(state))
    ),
    resetRateLimit: Effect.forEach(deployments, ({ resetRateLimit }) => resetRateLimit, { discard: true }),
    deployments: Effect.map(leases.now, ({ epoch, state: { deploymentSet } }) =>
      deploymentSet.deployments.flatMap((deployment, position) => {
        const llm = deployments[position]
        return llm === undefined ? [] : [Status.statusOf(deployment, llm.info, deploymentSet.now, epoch)]
      })
    ),
    enable: (id) => changed(id, DeploymentSets.enable),
    disable: (id) => changed(id, DeploymentSets.disable),
    reweight: (id, weight) =>
      isWeight(weight)
        ? Effect.flatMap(
            changed(id, (deploymentSet, position) => DeploymentSets.reweight(deploymentSet, position, weight)),
            (found) => (found ? Effect.void : Effect.fail(parts.invalid([`id: the balance has no deployment "${id}"`])))
          )
        : Effect.suspend(() => Effect.fail(parts.invalid([wrongWeight])))
  }
}

/** What a balance tells of its deployments, and why none of them answered. */
import { Duration } from "effect"
import type { Attempt } from "../../vocabulary/Attempt.js"
import type { DeploymentStatus, State } from "./model.js"
import type { ModelInfo, Status } from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { Lacks } from "./capabilities.js"
import type { Deployment } from "./deployment.js"
import * as Deployments from "./deployment.js"
import * as FailureWindow from "./failureWindow.js"
import type { DeploymentSet } from "./deploymentSet.js"
import * as DeploymentSets from "./deploymentSet.js"

/** `epoch` is the wall-clock time at which the set's time was 0. */
export const statusOf = (deployment: Deployment, info: ModelInfo, now: number, epoch: number): DeploymentStatus => {
  const { load, state, tally, window } = deployment
  return {
    id: load.id,
    provider: info.provider,
    model: info.model,
    weight: load.weight,
    order: state.order,
    ...(state.cost === undefined ? {} : { cost: state.cost }),
    ...(load.maxConcurrency === undefined ? {} : { maxConcurrency: load.maxConcurrency }),
    state: stateOf(deployment, now, epoch),
    inFlight: load.inFlight,
    ...(load.latency === undefined ? {} : { latency: load.latency }),
    served: load.calls,
    ...tally,
    window: FailureWindow.counts(window, now)
  }
}

const stateOf = (deployment: Deployment, now: number, epoch: number): State => {
  const { load } = deployment
  const { restUntil } = load.health
  switch (load.availability) {
    case "disabled":
      return { _tag: "Disabled" }
    case "limited":
    case "broken":
      return {
        _tag: Deployments.isOpen(deployment) ? "Open" : "Cooling",
        remaining: Duration.millis(restUntil - now),
        until: Math.ceil(epoch + restUntil)
      }
    case "probing":
      return { _tag: "HalfOpen", probing: true }
    case "capped":
    case "paced":
      return { _tag: "Busy" }
    case "ready":
      return Deployments.isOpen(deployment) ? { _tag: "HalfOpen", probing: false } : { _tag: "Ready" }
  }
}

/** All keys and limiters, added up. */
export const merged = (statuses: ReadonlyArray<Status>, waiting: number): Status => {
  const sum = (of: (status: Status) => number): number => statuses.reduce((total, status) => total + of(status), 0)
  const limited = statuses.flatMap(({ limiter }) => (limiter.tokens === undefined ? [] : [limiter.tokens]))
  const tokens = (of: (tokens: (typeof limited)[number]) => number): number =>
    limited.reduce((total, bucket) => total + of(bucket), 0)
  return {
    keys: {
      providerId: [...new Set(statuses.map(({ keys }) => keys.providerId))].join(", "),
      keys: statuses.flatMap(({ keys }) => keys.keys),
      waiting: waiting + sum(({ keys }) => keys.waiting)
    },
    limiter: {
      available: sum(({ limiter }) => limiter.available),
      capacity: sum(({ limiter }) => limiter.capacity),
      refillRate: sum(({ limiter }) => limiter.refillRate),
      waiting: sum(({ limiter }) => limiter.waiting),
      // A deployment without such a limit leaves the sum without meaning.
      ...(limited.length === statuses.length
        ? {
            tokens: {
              available: tokens(({ available }) => available),
              capacity: tokens(({ capacity }) => capacity),
              refillRate: tokens(({ refillRate }) => refillRate),
              reserved: tokens(({ reserved }) => reserved)
            }
          }
        : {})
    }
  }
}

const spell = (millis: number): string => Duration.format(Duration.millis(Math.ceil(millis)))

/** A message is for a person; the error has the whole list. */
const listed = (sentences: ReadonlyArray<string>): string =>
  [
    ...sentences.slice(0, maxListed),
    ...(sentences.length > maxListed ? [`and ${sentences.length - maxListed} more`] : [])
  ].join(" | ")

const maxListed = 10

/** Why a deployment was not asked. */
const excuse = (deployment: Deployment, now: number): string => {
  const { restUntil } = deployment.load.health
  const state = stateOf(deployment, now, 0)
  switch (state._tag) {
    case "Cooling":
      return `not asked: it rests after an overload for another ${spell(restUntil - now)}`
    case "Open":
      return `not asked: too many of its calls failed; it is tried again in ${spell(restUntil - now)}`
    case "HalfOpen":
      return "not asked: another call finds out whether it works again"
    case "Busy":
      return "not asked: it has as many calls in flight as it may have"
    case "Disabled":
      return "not asked: it is disabled"
    case "Ready":
      return "not asked: it became ready too late"
  }
}

/** What happened to a call that no deployment answered. */
export interface Outcome {
  readonly deploymentSet: DeploymentSet
  readonly info: ModelInfo
  readonly lacks: Lacks
  /** What those that were asked answered, by position. */
  readonly answers: ReadonlyMap<number, LLMError>
  readonly attempts: ReadonlyArray<Attempt>
}

/** Of those that can serve the call, when the first may be asked again; undefined where one may be at once, or none will be. */
const comesBackIn = ({ deploymentSet, lacks }: Outcome): number | undefined => {
  const { ready, wakeAt } = DeploymentSets.outlook(deploymentSet, {
    exclude: new Set(lacks.keys()),
    affinity: undefined
  })
  return ready > 0 || wakeAt === Infinity ? undefined : Math.max(0, Math.ceil(wakeAt - deploymentSet.now))
}

const mayAnswerLater = (deployment: Deployment, answer: LLMError | undefined): boolean =>
  answer === undefined ? deployment.load.availability !== "disabled" : Errors.isRetryable(answer)

/** The error that says what each deployment answered. */
export const exhausted = (outcome: Outcome): Errors.BalanceExhaustedError => {
  const { answers, attempts, deploymentSet, info, lacks } = outcome
  const told = deploymentSet.deployments.map((deployment, position) => {
    const answer = answers.get(position)
    const lack = lacks.get(position)
    return {
      deployment: deployment.load.id,
      ...(answer === undefined ? {} : { error: answer._tag }),
      message:
        answer?.message ??
        (lack === undefined ? excuse(deployment, deploymentSet.now) : `not asked: it lacks ${lack.feature}`)
    }
  })
  const wait = comesBackIn(outcome)
  return new Errors.BalanceExhaustedError({
    provider: info.provider,
    model: info.model,
    attempts,
    answers: told,
    retryable: deploymentSet.deployments.some(
      (deployment, position) => !lacks.has(position) && mayAnswerLater(deployment, answers.get(position))
    ),
    ...(wait === undefined ? {} : { retryAfter: Duration.millis(wait) }),
    message:
      `No deployment answered${wait === undefined ? "" : `; the first may be asked again in ${spell(wait)}`}. ` +
      listed(
        told.map(
          ({ deployment, error, message }) => `${deployment}: ${error === undefined ? "" : `${error}: `}${message}`
        )
      )
  })
}

/** The error of a request that no deployment is able to serve. */
export const unable = (deploymentSet: DeploymentSet, info: ModelInfo, lacks: Lacks): LLMError => {
  const context = { provider: info.provider, model: info.model, attempts: [] }
  const told = deploymentSet.deployments.map(
    ({ load }) => `${load.id}: it lacks ${lacks.get(load.position)?.feature ?? ""}`
  )
  const message = `No deployment can serve the request. ${listed(told)}`
  const reasons = [...lacks.values()]
  const feature = [...new Set(reasons.map((lack) => lack.feature))].join(", ")
  return reasons.some((lack) => lack.isLength)
    ? new Errors.ContextLengthError({ ...context, message })
    : new Errors.UnsupportedError({ ...context, feature, message })
}

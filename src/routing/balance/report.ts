/** The status of the deployments of a balance, and the errors of a call that none of them answered. */
import { Duration } from "effect"
import { durationText } from "../../internal/durationText.js"
import type { Attempt } from "../../vocabulary/attempt.js"
import type { DeploymentStatus, State } from "./model.js"
import type { ModelInfo, Status } from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { MissingCapabilities } from "./capabilities.js"
import type { Deployment } from "./deployment.js"
import * as Deployments from "./deployment.js"
import * as Breakers from "./breaker.js"
import type { DeploymentSet } from "./deploymentSet.js"
import * as DeploymentSets from "./deploymentSet.js"

/** `epoch` is the wall-clock time at which the set's time was 0. */
export const statusOf = (deployment: Deployment, info: ModelInfo, now: number, epoch: number): DeploymentStatus => {
  const { breaker, load, state, tally } = deployment
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
    window: Breakers.counts(breaker, now)
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
    case "admitting":
      return { _tag: "HalfOpen", probing: true }
    case "capped":
    case "paced":
      return { _tag: "Busy" }
    case "ready":
      return Deployments.isOpen(deployment) ? { _tag: "HalfOpen", probing: false } : { _tag: "Ready" }
  }
}

/** The sum over the keys and limiters of all deployments. */
export const sumOf = (statuses: ReadonlyArray<Status>, waiting: number): Status => {
  const sum = (of: (status: Status) => number): number => statuses.reduce((total, status) => total + of(status), 0)
  const limited = statuses.flatMap(({ limiter }) => (limiter.tokens === undefined ? [] : [limiter.tokens]))
  const tokens = (of: (tokens: (typeof limited)[number]) => number): number =>
    limited.reduce((total, bucket) => total + of(bucket), 0)
  return {
    keys: {
      provider: [...new Set(statuses.map(({ keys }) => keys.provider))].join(", "),
      keys: statuses.flatMap(({ keys }) => keys.keys),
      waiting: waiting + sum(({ keys }) => keys.waiting)
    },
    limiter: {
      available: sum(({ limiter }) => limiter.available),
      capacity: sum(({ limiter }) => limiter.capacity),
      refillRate: sum(({ limiter }) => limiter.refillRate),
      waiting: sum(({ limiter }) => limiter.waiting),
      // If one deployment has no token limit, the sum would not be a limit.
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

/** Joins the first ten: the message is for a person, and the error has the whole list. */
const join = (sentences: ReadonlyArray<string>): string =>
  [
    ...sentences.slice(0, maxListed),
    ...(sentences.length > maxListed ? [`and ${sentences.length - maxListed} more`] : [])
  ].join(" | ")

const maxListed = 10

/** Why a deployment was not called. */
const reasonNotCalled = (deployment: Deployment, now: number): string => {
  const remaining = durationText(deployment.load.health.restUntil - now)
  switch (stateOf(deployment, now, 0)._tag) {
    case "Cooling":
      return `not called: it is in a cooldown after a rate limit or overload for another ${remaining}`
    case "Open":
      return `not called: its circuit is open because too many calls failed; the next probe is in ${remaining}`
    case "HalfOpen":
      return "not called: another call is probing it"
    case "Busy":
      return "not called: it has its maximum of calls in flight"
    case "Disabled":
      return "not called: it is disabled"
    case "Ready":
      return "not called: it became ready too late"
  }
}

/** The course of a call that no deployment answered. */
export interface FailedCall {
  readonly deploymentSet: DeploymentSet
  readonly info: ModelInfo
  readonly missing: MissingCapabilities
  /** The errors of the deployments that were called, by position. */
  readonly errors: ReadonlyMap<number, LLMError>
  readonly attempts: ReadonlyArray<Attempt>
}

/** When the first deployment that can serve the call is ready again; undefined if one is, or if time alone makes none ready. */
const retryAfterMillis = ({ deploymentSet, missing }: FailedCall): number | undefined => {
  const { ready, wakeAt } = DeploymentSets.summarize(deploymentSet, {
    exclude: new Set(missing.keys()),
    affinity: undefined
  })
  return ready > 0 || wakeAt === Infinity ? undefined : Math.max(0, Math.ceil(wakeAt - deploymentSet.now))
}

const canAnswerLater = (deployment: Deployment, error: LLMError | undefined): boolean =>
  error === undefined ? deployment.load.availability !== "disabled" : Errors.isRetryable(error)

/** The error of a call that no deployment answered, with the error of each or why it was not called. */
export const exhausted = (call: FailedCall): Errors.BalanceExhaustedError => {
  const { attempts, deploymentSet, errors, info, missing } = call
  const answers = DeploymentSets.all(deploymentSet).map((deployment, position) => {
    const error = errors.get(position)
    const capability = missing.get(position)
    return {
      deployment: deployment.load.id,
      ...(error === undefined ? {} : { error: error._tag }),
      message:
        error?.message ??
        (capability === undefined
          ? reasonNotCalled(deployment, deploymentSet.now)
          : `not called: it lacks ${capability.name}`)
    }
  })
  const wait = retryAfterMillis(call)
  return new Errors.BalanceExhaustedError({
    provider: info.provider,
    model: info.model,
    attempts,
    answers,
    retryable: DeploymentSets.all(deploymentSet).some(
      (deployment, position) => !missing.has(position) && canAnswerLater(deployment, errors.get(position))
    ),
    ...(wait === undefined ? {} : { retryAfter: Duration.millis(wait) }),
    message:
      `No deployment answered${wait === undefined ? "" : `; the first is ready again in ${durationText(wait)}`}. ` +
      join(
        answers.map(
          ({ deployment, error, message }) => `${deployment}: ${error === undefined ? "" : `${error}: `}${message}`
        )
      )
  })
}

/** The error of a request that needs a capability which every deployment lacks. */
export const unsupported = (deploymentSet: DeploymentSet, info: ModelInfo, missing: MissingCapabilities): LLMError => {
  const context = { provider: info.provider, model: info.model, attempts: [] }
  const reasons = DeploymentSets.all(deploymentSet).map(
    ({ load }) => `${load.id}: it lacks ${missing.get(load.position)?.name ?? ""}`
  )
  const message = `No deployment can serve the request. ${join(reasons)}`
  const capabilities = [...missing.values()]
  const feature = [...new Set(capabilities.map(({ name }) => name))].join(", ")
  return capabilities.some(({ isLength }) => isLength)
    ? new Errors.ContextLengthError({ ...context, message })
    : new Errors.UnsupportedError({ ...context, feature, message })
}

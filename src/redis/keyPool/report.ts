/** The status of keys, with ids and without secrets. */
import { Duration } from "effect"
import type { ApiKey } from "../../vocabulary/ApiKey.js"
import type { KeyStatus, State } from "../../keyPool/model.js"
import type { KeyReport } from "./scripts.js"
import { forever } from "./scripts.js"

export const statusOf = (key: ApiKey, report: KeyReport): KeyStatus => {
  const { maxConcurrency, quotaGroup, requestsPerSecond } = key
  const { inFlight, latency, outOfQuota, rateLimited, recentStarts, refused, served, succeeded, weight } = report
  return {
    id: key.id,
    weight,
    ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
    ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
    ...(quotaGroup === undefined ? {} : { quotaGroup }),
    state: stateOf(report),
    halfOpen: report.isHalfOpen,
    inFlight,
    ...(recentStarts === undefined ? {} : { recentStarts }),
    loadFactor: inFlight / (maxConcurrency ?? weight),
    ...(latency === undefined ? {} : { latency }),
    served,
    succeeded,
    rateLimited,
    outOfQuota,
    refused
  }
}

const stateOf = ({ reason, rest, restUntil, standing }: KeyReport): State => {
  const cooldown =
    restUntil < forever
      ? { remaining: Duration.millis(rest), until: Math.ceil(restUntil) }
      : { remaining: Duration.infinity }
  switch (standing) {
    case "ready":
      return { _tag: "Ready" }
    case "capped":
    case "paced":
    case "probing":
      return { _tag: "Busy" }
    case "limited":
    case "broken":
      return { _tag: reason === "refused" ? "Disabled" : "Cooling", reason, ...cooldown }
    case "disabled":
      return { _tag: "Disabled", reason: "by-hand", remaining: Duration.infinity }
  }
}

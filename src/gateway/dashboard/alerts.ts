/** Which alerts are active, and since when: the rules for Prometheus, applied to the figures of the dashboard. */
import type { Name } from "./alertRules.js"
import { rules, slowShare } from "./alertRules.js"
import type { Alert, Budget, Model } from "./snapshot.js"

/** What the alerts are about. */
export interface Levels {
  readonly models: ReadonlyArray<Model>
  readonly budgets: ReadonlyArray<Budget>
}

/** A reason for an alert. */
interface Reason {
  readonly name: Name
  readonly subject: string
  readonly text: string
}

const percent = (share: number): string => `${Math.round(share * 100)}%`

const reasonsOfModel = (model: Model): ReadonlyArray<Reason> => {
  const { id, isAway, keys, recent, waiting, waitingForPermit } = model
  const usable = keys.filter(({ state }) => state === "ready" || state === "busy").length
  const errorShare = recent.failed / recent.ended
  const slow = recent.slow / recent.measured
  const queue = (count: number, what: string): ReadonlyArray<Reason> =>
    count > rules.LlmQueueLong.threshold
      ? [{ name: "LlmQueueLong", subject: `${id} ${what}`, text: `${count} calls to ${id} wait for a ${what}.` }]
      : []
  return [
    ...(keys.length > 0 && usable <= rules.LlmKeysOut.threshold
      ? [{ name: "LlmKeysOut", subject: id, text: `No key of ${id} can be used.` } as const]
      : []),
    ...(errorShare > rules.LlmErrorShare.threshold
      ? [{ name: "LlmErrorShare", subject: id, text: `${percent(errorShare)} of the calls to ${id} fail.` } as const]
      : []),
    ...(slow > slowShare
      ? [
          {
            name: "LlmSlow",
            subject: id,
            text: `${percent(slow)} of the calls to ${id} take longer than ${rules.LlmSlow.threshold} s.`
          } as const
        ]
      : []),
    ...(isAway
      ? [
          {
            name: "LlmRedisAway",
            subject: id,
            text: `Limits and keys of ${id} are not shared: Redis is unreachable.`
          } as const
        ]
      : []),
    ...queue(waitingForPermit, "permit"),
    ...queue(waiting, "key")
  ]
}

const reasonsOfBudget = ({ budget, key, label, limit, reserved, spent }: Budget): ReadonlyArray<Reason> => {
  const share = (spent + reserved) / limit
  if (!Number.isFinite(share) || share <= rules.LlmBudgetNearlySpent.threshold) return []
  const name = label === undefined ? budget : `${budget} ${label}`
  return [
    {
      name: "LlmBudgetNearlySpent",
      subject: key ?? name,
      text: `${percent(share)} of the budget ${name} is spent.`
    }
  ]
}

/** Longer than between two observations, in milliseconds. After it an alert can have ended and begun again. */
const maxGap = 60_000

export interface Alerts {
  /** The alerts that are active. `known`: those that other processes have seen. */
  readonly unsafeObserve: (levels: Levels, now: number, known?: ReadonlyArray<Alert>) => ReadonlyArray<Alert>
}

export const unsafeMake = (): Alerts => {
  let starts: ReadonlyMap<string, number> = new Map()
  let lastAt = 0
  return {
    unsafeObserve: ({ budgets, models }, now, known = []) => {
      const keyOf = ({ name, subject }: Pick<Alert, "name" | "subject">): string => `${name} ${subject}`
      const reasons = [...models.flatMap(reasonsOfModel), ...budgets.flatMap(reasonsOfBudget)]
      const before = now - lastAt > maxGap ? new Map<string, number>() : starts
      const active = new Map(reasons.map((reason) => [keyOf(reason), reason]))
      const sinceOf = (key: string): number =>
        Math.min(before.get(key) ?? now, ...known.filter((alert) => keyOf(alert) === key).map(({ since }) => since))
      const alerts = Array.from(active, ([key, reason]): Alert => {
        const { minutes, severity } = rules[reason.name]
        const since = sinceOf(key)
        return { ...reason, severity, since, isFiring: now - since >= minutes * 60_000 }
      })
      starts = new Map(alerts.map((alert) => [keyOf(alert), alert.since]))
      lastAt = now
      return alerts
    }
  }
}

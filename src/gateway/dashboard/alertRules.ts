/** The thresholds of the alerts: those of the rules for Prometheus, `docs/prometheus/alerts.yml`, as a test verifies. */

interface Rule {
  readonly severity: "critical" | "warning"
  /** A value above it is a reason for the alert; of `LlmKeysOut`, the number of usable keys. */
  readonly threshold: number
  /** How long the reason must hold, in minutes. */
  readonly minutes: number
  /** The time of the calls that count, in minutes. */
  readonly window?: number
}

export const rules = {
  LlmKeysOut: { severity: "critical", threshold: 0, minutes: 2 },
  LlmBudgetNearlySpent: { severity: "warning", threshold: 0.9, minutes: 5 },
  LlmErrorShare: { severity: "critical", threshold: 0.05, minutes: 5, window: 5 },
  /** In seconds, of the 95th percentile. */
  LlmSlow: { severity: "warning", threshold: 60, minutes: 10, window: 10 },
  LlmRedisAway: { severity: "warning", threshold: 0, minutes: 1 },
  LlmQueueLong: { severity: "warning", threshold: 100, minutes: 5 }
} as const satisfies Readonly<Record<string, Rule>>

export type Name = keyof typeof rules

/** The share of the calls that may be slow: the rule is about the 95th percentile. */
export const slowShare = 0.05

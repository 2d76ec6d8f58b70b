/** What becomes of a receipt when the attempt that it ends with turns out to have failed after all. */
import type { Attempt } from "../../vocabulary/Attempt.js"

export const failedLast = (attempts: ReadonlyArray<Attempt>, error: string): ReadonlyArray<Attempt> =>
  attempts.map((attempt, index) => (index === attempts.length - 1 ? { ...attempt, error } : attempt))

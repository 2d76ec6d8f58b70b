/** One line of the log for each failed attempt of a call that goes on, with what happens next: at the level debug, unless the wait is long. */
import { Duration, Effect } from "effect"
import type { LLMError } from "../vocabulary/LLMError.js"

/** Waits from here on are warnings: whoever waits for the answer sees nothing else. In milliseconds. */
const longWait = 5000

const failureOf = ({ _tag, attempts, model, provider }: LLMError): string =>
  `${provider}/${model}: attempt ${attempts.length} failed with ${_tag}`

/** For an attempt that is followed by another one at once. */
export const logNext = (failed: LLMError, keyId: string): Effect.Effect<void> =>
  Effect.logDebug(`${failureOf(failed)}, the next one begins now with key ${keyId}. ${failed.message}`)

/** For an attempt that is followed by another one after a wait in milliseconds. */
export const logWait = (failed: LLMError, wait: number): Effect.Effect<void> => {
  const next = `the next one begins in ${Duration.format(Duration.millis(Math.round(wait)))}`
  const line = `${failureOf(failed)}, ${next}. ${failed.message}`
  return wait < longWait ? Effect.logDebug(line) : Effect.logWarning(line)
}

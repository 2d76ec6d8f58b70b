/**
 * The beginning of a call that the call plan has sent and that did not succeed. The effects of the same `LLM` take over from there:
 * time limits and telemetry count from its start, and its failed attempt is the first one of failover and retries.
 */
import { Context, Effect } from "effect"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { ModelInfo } from "./model.js"

export interface Failed {
  /** Contains the failed attempt. */
  readonly error: LLMError
  /** The key of the attempt. */
  readonly keyId: string
  /** In milliseconds since the epoch. */
  readonly startedAt: number
}

export interface Origin {
  /** The `LLM` that the call belongs to: calls of others within it, as for a token, have an origin of their own. */
  readonly info: ModelInfo
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  /** The failure of the first attempt, until it is taken. */
  failed: Failed | undefined
}

export class CallOrigin extends Context.Reference<CallOrigin>()("effect-llm/CallOrigin", {
  defaultValue: (): Origin | undefined => undefined
}) {}

/** The origin of a call of this `LLM`, while its first failure is not taken yet. */
export const origin = (info: ModelInfo): Effect.Effect<Origin | undefined> =>
  Effect.map(CallOrigin, (current) => (current?.info === info && current.failed !== undefined ? current : undefined))

/** Takes the first failure of a call of this `LLM`. */
export const unsafeTakeFailed = (context: Context.Context<never>, info: ModelInfo): Failed | undefined => {
  const current = Context.get(context, CallOrigin)
  if (current?.info !== info) return undefined
  const { failed } = current
  current.failed = undefined
  return failed
}

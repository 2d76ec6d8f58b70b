/** Restricts a call to one key, for requests that refer to state which only the account of that key has. */
import { Context, Effect } from "effect"
import type { Service as Pool } from "../keyPool/model.js"

/** The id of the only key that the calls of this context can use; undefined for all keys. */
export class KeyPin extends Context.Reference<KeyPin>()("effect-llm/KeyPin", {
  defaultValue: (): string | undefined => undefined
}) {}

/** The keys of a pool that the call must not use. */
export const excludedBy = (pin: string | undefined, pool: Pick<Pool, "keys">): Effect.Effect<ReadonlySet<string>> =>
  pin === undefined
    ? Effect.succeed(new Set())
    : Effect.map(pool.keys, (keys) => new Set(keys.map(({ id }) => id).filter((id) => id !== pin)))

/** The contract of access to the gateway: callers, configured keys, options and errors. */
import type { Duration, Redacted, Effect, Option } from "effect"
import { Context, Schema } from "effect"
import type { Status as BudgetStatus } from "../../accounting/budget/model.js"
import type { Middleware } from "../../call/model.js"
import type { AccessStoreError } from "../AccessStore.js"
import type { Settings, VirtualKey } from "../VirtualKey.js"

/**
 * Who makes a request.
 *
 * @since 0.1.0
 * @category model
 */
export interface Caller {
  /** The id of the key; empty where no key is needed. */
  readonly id: string
  /** For whom the calls are counted; empty where no key is needed. */
  readonly label: string
  /** Whether the caller may ask a model that has these names. */
  readonly allows: (names: ReadonlyArray<string>) => boolean
  /** The limits and the budget of the caller, around a model. */
  readonly around: Middleware
}

/**
 * How the budget of a key stands.
 *
 * @since 0.1.0
 * @category model
 */
export interface KeyBudget {
  readonly key: VirtualKey
  readonly status: BudgetStatus
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** True if no key is configured, so that every client may call: only for a gateway that is reachable from its own machine alone. */
  readonly isOpen: boolean
  /** Whom a secret belongs to. That of the administration may ask everything. */
  readonly caller: (
    secret: Option.Option<Redacted.Redacted<string>>
  ) => Effect.Effect<Caller, AccessDeniedError | AccessStoreError>
  /** Fails unless the secret is that of the administration. */
  readonly administrator: (secret: Option.Option<Redacted.Redacted<string>>) => Effect.Effect<void, AccessDeniedError>
  /** All keys that are not revoked, expired ones included. */
  readonly list: Effect.Effect<ReadonlyArray<VirtualKey>, AccessStoreError>
  /** The budgets of all keys that are good. Where the store is away, of those that were used here. */
  readonly budgets: Effect.Effect<ReadonlyArray<KeyBudget>>
  /** Makes a new key. Its secret is told here and never again. */
  readonly create: (
    settings: Settings
  ) => Effect.Effect<
    { readonly secret: Redacted.Redacted<string>; readonly key: VirtualKey },
    AccessStoreError | InvalidAccessError
  >
  /** Forgets a key, and says whether there was one of this id. */
  readonly revoke: (id: string) => Effect.Effect<boolean, AccessStoreError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Access extends Context.Tag("effect-llm/gateway/Access")<Access, Service>() {}

/**
 * A secret does not open what it was shown for. `forbidden`: it is good, but not for this.
 *
 * @since 0.1.0
 * @category errors
 */
export class AccessDeniedError extends Schema.TaggedError<AccessDeniedError>()("AccessDeniedError", {
  reason: Schema.Literal("missing", "unknown", "expired", "forbidden")
}) {
  override get message(): string {
    switch (this.reason) {
      case "missing":
        return "No API key was sent. Send one as 'Authorization: Bearer' or 'x-api-key'."
      case "unknown":
        return "The API key is not valid."
      case "expired":
        return "The API key has expired."
      case "forbidden":
        return "This needs the token of the gateway's administration."
    }
  }
}

/**
 * Keys make no sense. All faults are told, none with a secret.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidAccessError extends Schema.TaggedError<InvalidAccessError>()("InvalidAccessError", {
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The gateway's keys cannot be as asked for: ${this.faults.join("; ")}`
  }
}

/**
 * A key whose secret is chosen beforehand. It should be as random as those that `create` makes.
 *
 * @since 0.1.0
 * @category constructors
 */
export interface KeyOptions extends Settings {
  /** The secret, or `{ sha256 }`: its SHA-256 in hexadecimal digits, so that the secret need not be configured. */
  readonly key: string | Redacted.Redacted<string> | { readonly sha256: string }
}

/**
 * @since 0.1.0
 * @category constructors
 */
export interface Options {
  /** Keys that are there from the beginning. @default none */
  readonly keys?: ReadonlyArray<KeyOptions>
  /** What opens everything under `/admin`, and asks any model. @default nothing does */
  readonly adminToken?: string | Redacted.Redacted<string>
}

/**
 * What has changed with the file of keys, by the ids of keys.
 *
 * @since 0.2.0
 * @category reloading
 */
export interface Reloaded {
  readonly added: ReadonlyArray<string>
  readonly removed: ReadonlyArray<string>
  readonly changed: ReadonlyArray<string>
}

/**
 * @since 0.2.0
 * @category reloading
 */
export interface Reloader {
  /** Reads the file now, whether or not it has changed. Where it fails, the keys are as they were before. */
  readonly reload: Effect.Effect<Reloaded, InvalidAccessError>
}

/**
 * @since 0.2.0
 * @category tags
 */
export class Reloading extends Context.Tag("effect-llm/gateway/Access/Reloading")<Reloading, Reloader>() {}

/**
 * @since 0.2.0
 * @category reloading
 */
export interface ReloadOptions extends Options {
  /** How often the file is looked at; `false`: only when `reload` is asked for. @default "1 second" */
  readonly interval?: Duration.DurationInput | false
  /** How long a changed file must stay unchanged before it is read, so that no half-written file is read. @default "200 millis" */
  readonly settle?: Duration.DurationInput
}

/** The contract of access to the gateway: callers, configured keys, options and errors. */
import type { Duration, Redacted, Effect, Option } from "effect"
import { Context, Schema } from "effect"
import type { Status as BudgetStatus } from "../../accounting/budget/model.js"
import type { Middleware } from "../../call/model.js"
import type { AccessStoreError } from "../AccessStore.js"
import type { Settings, VirtualKey } from "../VirtualKey.js"

/**
 * The authenticated client of a request.
 *
 * @since 0.1.0
 * @category model
 */
export interface Caller {
  /** The id of the key; empty without a key on an open gateway. */
  readonly id: string
  /** The label under which usage is recorded; empty without a key on an open gateway. */
  readonly label: string
  /** See `VirtualKey.Settings`. @since 0.2.0 */
  readonly weight?: number
  /** Whether the caller can use a model with these names. */
  readonly allows: (names: ReadonlyArray<string>) => boolean
  /** Middleware with the limits and the budget of the caller. */
  readonly around: Middleware
}

/**
 * The status of the budget of a key.
 *
 * @since 0.1.0
 * @category model
 */
export interface KeyBudget {
  readonly key: VirtualKey
  readonly status: BudgetStatus
}

/**
 * A key with its new secret, which is available only here.
 *
 * @since 0.2.0
 * @category model
 */
export interface NewKey {
  readonly secret: Redacted.Redacted<string>
  readonly key: VirtualKey
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** True if no key is configured, so that every client can call: only safe on the loopback interface. */
  readonly isOpen: boolean
  /** The caller with this secret. The admin token can use every model. */
  readonly caller: (
    secret: Option.Option<Redacted.Redacted<string>>
  ) => Effect.Effect<Caller, AccessDeniedError | AccessStoreError>
  /** Fails unless the secret is the admin token. */
  readonly administrator: (secret: Option.Option<Redacted.Redacted<string>>) => Effect.Effect<void, AccessDeniedError>
  /** All keys that are not revoked, including expired ones. */
  readonly list: Effect.Effect<ReadonlyArray<VirtualKey>, AccessStoreError>
  /** The budgets of all valid keys; while the store is unavailable, of those that this gateway has used. */
  readonly budgets: Effect.Effect<ReadonlyArray<KeyBudget>>
  /** Makes a new key. This is the only time that its secret is available. */
  readonly create: (settings: Settings) => Effect.Effect<NewKey, AccessStoreError | InvalidAccessError>
  /**
   * Replaces the settings of a key: a field that is absent has its default then. The key keeps its secret, and its budget what was
   * spent in the same unit and period; its rate limits start afresh. `None` if there is no key with this id; an `InvalidAccessError` if it
   * is a configured one, or if its limits are invalid.
   *
   * @since 0.2.0
   */
  readonly update: (
    id: string,
    settings: Settings
  ) => Effect.Effect<Option.Option<VirtualKey>, AccessStoreError | InvalidAccessError>
  /**
   * Replaces the secret of a key, which is refused from then on. The id, the settings and the budget stay. `None` if there is no
   * key with this id; an `InvalidAccessError` if it is a configured one.
   *
   * @since 0.2.0
   */
  readonly rotate: (id: string) => Effect.Effect<Option.Option<NewKey>, AccessStoreError | InvalidAccessError>
  /** Removes a key; false if there is none with this id. */
  readonly revoke: (id: string) => Effect.Effect<boolean, AccessStoreError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Access extends Context.Tag("effect-llm/gateway/Access")<Access, Service>() {}

/**
 * A secret gives no access. `forbidden`: it is valid, but not for this.
 *
 * `missing`: send a key. `unknown` and `expired`: ask the operator of the gateway for a new one. `forbidden`: send the admin token.
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
        return "No API key was sent. Send one as 'Authorization: Bearer', 'x-api-key', 'api-key' or 'x-goog-api-key'."
      case "unknown":
        return "The API key is not valid."
      case "expired":
        return "The API key has expired."
      case "forbidden":
        return "This needs the admin token of the gateway. Send it as 'Authorization: Bearer', or ask the operator of the gateway for it."
    }
  }
}

/**
 * Configured keys are invalid. Contains all faults, without secrets.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidAccessError extends Schema.TaggedError<InvalidAccessError>()("InvalidAccessError", {
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The gateway's keys are invalid: ${this.faults.join("; ")}`
  }
}

/**
 * A key with a secret that is chosen beforehand. It should be as random as those that `create` makes.
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
  /** Keys that exist from the start. @default none */
  readonly keys?: ReadonlyArray<KeyOptions>
  /** The token for everything under `/admin` and for every model. @default none */
  readonly adminToken?: string | Redacted.Redacted<string>
}

/**
 * The changes of a reload, by the ids of keys.
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
  /** Reads the file now, whether or not it has changed. On failure the keys stay as they are. */
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
  /** How often the file is checked; `false`: only on `reload`. @default "1 second" */
  readonly interval?: Duration.DurationInput | false
  /**
   * How long a changed file must stay unchanged before it is read, so that no half-written file is read. @default "200 millis"
   */
  readonly settle?: Duration.DurationInput
}

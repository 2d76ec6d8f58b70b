/** The options of transports for Node, and their error. */
import type { Dispatcher } from "@effect/platform-node/Undici"
import type { Duration, Redacted } from "effect"
import { Schema } from "effect"

/**
 * Options of the connections. The defaults are those of undici.
 *
 * @since 0.2.0
 * @category model
 */
export interface UndiciOptions {
  /**
   * The longest time to connect, with the TLS handshake; longer fails with the code `UND_ERR_CONNECT_TIMEOUT`. undici checks it
   * twice a second. @default "10 seconds"
   */
  readonly connectTimeout?: Duration.DurationInput
  /**
   * The highest number of connections to one origin (scheme, host and port). A connection carries one request at a time, so further
   * requests wait for a free one, and streams hold theirs until they end. @default Infinity
   */
  readonly connections?: number
  /** How long an idle connection is kept where the server names no time. @default "4 seconds" */
  readonly keepAliveTimeout?: Duration.DurationInput
  /** The longest time for which an idle connection is kept where the server names one in `keep-alive`. @default "10 minutes" */
  readonly keepAliveMaxTimeout?: Duration.DurationInput
  /**
   * The URL of an HTTP proxy (`http:` or `https:`, with a user and a password in the URL where it needs them), through which all
   * requests are tunnelled with `CONNECT`. `"environment"` reads the variables `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, which are
   * otherwise ignored, and their names in lower case. @default no proxy
   */
  readonly proxy?: string | Redacted.Redacted<string>
  /**
   * A dispatcher of your own, instead of all other options, for example with interceptors. It is not closed with the layer. Make it
   * with the `Undici` that `@effect/platform-node` exports: a dispatcher of another copy of undici can be of another major version,
   * whose handlers are different, so it is refused. @default an agent of the layer's own
   */
  readonly dispatcher?: Dispatcher
}

/**
 * The options are invalid. Lists all faults.
 *
 * @since 0.2.0
 * @category errors
 */
export class InvalidTransportError extends Schema.TaggedError<InvalidTransportError>()("InvalidTransportError", {
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The options of the transport are not valid. ${this.faults.join("; ")}`
  }
}

/**
 * Settings sent with every request.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /** The path below the base URL. @default "/api/chat" */
  readonly path: string
  /**
   * How long the model stays in memory after the answer: seconds, or a string such as `"10m"`. A negative value keeps it loaded,
   * 0 unloads it at once. `extra.keep_alive` of a request takes precedence.
   *
   * @default the default of the server, five minutes
   */
  readonly keepAlive?: string | number
  /**
   * Sent as `options`; settings of the request take precedence. `num_ctx` is the most important one: the server silently
   * truncates a prompt that is longer than its context window (4096 tokens by default).
   *
   * @default {}
   */
  readonly options: Readonly<Record<string, unknown>>
}

/**
 * No settings beyond those of the request.
 *
 * @since 0.1.0
 * @category model
 */
export const plain: Dialect = { path: "/api/chat", options: {} }

/**
 * What is said to a server with every request.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /** Below the base URL. @default "/api/chat" */
  readonly path: string
  /**
   * How long the model stays in memory after the answer: seconds, or a text such as `"10m"`; a negative one for ever, 0 not
   * at all. Absent: the server's default, five minutes. A request's `extra.keep_alive` goes before it.
   */
  readonly keepAlive?: string | number
  /**
   * Sent as `options`, below what the request says. `num_ctx` is the one to know: the server cuts what is longer than its
   * context window (4096 tokens where nothing else was said) without a word.
   *
   * @default none
   */
  readonly options: Readonly<Record<string, unknown>>
}

/**
 * Nothing but what the request says.
 *
 * @since 0.1.0
 * @category model
 */
export const plain: Dialect = { path: "/api/chat", options: {} }

/** What a model costs, as data. */

/**
 * Dollars a million tokens.
 *
 * @since 0.1.0
 * @category model
 */
export interface Rates {
  /** Input that is neither read from nor written to a cache. */
  readonly input: number
  /** Absent for models that say nothing, such as those of embeddings: output of theirs has no known price. */
  readonly output?: number
  /** Input read from the provider's prompt cache. @default `input` */
  readonly cachedInput?: number
  /** Input written to the provider's prompt cache. @default `input` */
  readonly cacheWrite?: number
  /** Input written to the provider's prompt cache for an hour. @default `cacheWrite` */
  readonly cacheWrite1h?: number
  /** Thoughts. @default `output` */
  readonly reasoning?: number
}

/**
 * The price of a model.
 *
 * @since 0.1.0
 * @category model
 */
export interface Price extends Rates {
  /** Dollars a request that was answered, whatever its length. @default 0 */
  readonly request?: number
  /** Other rates for long requests: those of the last tier that the input exceeds hold for all of its tokens. @default [] */
  readonly tiers?: ReadonlyArray<Tier>
}

/**
 * The rates of long requests.
 *
 * @since 0.1.0
 * @category model
 */
export interface Tier extends Rates {
  /** The tokens of input (what was cached included) above which these rates hold. */
  readonly above: number
}

/** The prices of models as data. */

/**
 * Prices in US dollars per million tokens.
 *
 * @since 0.1.0
 * @category model
 */
export interface Rates {
  /** Input that is neither read from nor written to the provider's prompt cache. */
  readonly input: number
  /** Output. Absent for models without output, such as embedding models; the price of any output is then unknown. */
  readonly output?: number
  /** Input read from the provider's prompt cache. @default `input` */
  readonly cachedInput?: number
  /** Input written to the provider's prompt cache. @default `input` */
  readonly cacheWrite?: number
  /** Input written to the provider's prompt cache for an hour. @default `cacheWrite` */
  readonly cacheWrite1h?: number
  /** Reasoning. @default `output` */
  readonly reasoning?: number
  /**
   * Audio in the input, of which none is read from a cache. @default `input`
   *
   * @since 0.2.0
   */
  readonly inputAudio?: number
  /**
   * Audio in the output. @default `output`
   *
   * @since 0.2.0
   */
  readonly outputAudio?: number
}

/**
 * The price of a model.
 *
 * @since 0.1.0
 * @category model
 */
export interface Price extends Rates {
  /** US dollars per successful request, whatever its length. @default 0 */
  readonly request?: number
  /** Rates of long requests: those of the last tier whose `above` the input exceeds hold for all tokens. @default [] */
  readonly tiers?: ReadonlyArray<Tier>
}

/**
 * The rates of long requests.
 *
 * @since 0.1.0
 * @category model
 */
export interface Tier extends Rates {
  /** Input tokens, cached ones included, above which these rates hold. */
  readonly above: number
}

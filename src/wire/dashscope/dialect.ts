/**
 * Deviations of a server or a model.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /**
   * The service in the path. DashScope has one for text models and one for models with image or audio input, and each rejects the
   * models of the other ("url error"). Absent: the content of the request and the name of the model decide.
   */
  readonly service?: "text-generation" | "multimodal-generation"
  /**
   * Sent as `incremental_output` with streams: events contain only new text. Streams that repeat the whole text in every event
   * are decoded as well, for models that reject the parameter.
   *
   * @default true
   */
  readonly incremental: boolean
}

/**
 * Alibaba's service.
 *
 * @since 0.1.0
 * @category model
 */
export const standard: Dialect = { incremental: true }

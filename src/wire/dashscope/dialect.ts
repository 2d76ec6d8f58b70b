/**
 * How a server or a model deviates.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /**
   * Which service is asked. DashScope has one for models that only read and write text and one for those that see and hear,
   * and each refuses the other's models ("url error"). Absent: what the request holds and the name of the model decide.
   */
  readonly service?: "text-generation" | "multimodal-generation"
  /**
   * Sent as `incremental_output` with streams: events say only what is new. A model that refuses this sends all that was said
   * so far with every event, which reads as well.
   *
   * @default true
   */
  readonly incremental: boolean
}

/**
 * Alibaba's own service.
 *
 * @since 0.1.0
 * @category model
 */
export const standard: Dialect = { incremental: true }

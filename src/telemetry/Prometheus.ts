/**
 * Renders all metrics of the program, including those of this library, in the text format that Prometheus scrapes.
 *
 * It reads Effect's metrics directly, because OpenTelemetry turns a summary into three counters, and its Prometheus exporter
 * needs Node 22.15.
 *
 * Metrics keep their names and labels. Characters that Prometheus does not allow in a name become `_`; label values and help
 * texts are escaped.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Prometheus } from "effect-llm"
 *
 * const router = HttpRouter.empty.pipe(
 *   HttpRouter.get(
 *     "/metrics",
 *     Effect.map(Prometheus.text, (text) => HttpServerResponse.text(text, { contentType: Prometheus.contentType }))
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as Exposition from "./exposition.js"
import type { Snapshot } from "./series.js"
import { seriesOf, snapshot } from "./series.js"

/**
 * The content type of an HTTP response with the text. Source: Prometheus, "Exposition formats", text format 0.0.4.
 *
 * @since 0.1.0
 * @category model
 */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/**
 * Renders metrics as text. Series with one name follow its help and type. When metrics of two types have one name, the type is
 * added to the name of the later one; of two series with the same labels, the later one is rendered.
 *
 * @since 0.1.0
 * @category rendering
 */
export const render = (metrics: Iterable<Snapshot>): string => Exposition.render(Array.from(metrics).flatMap(seriesOf))

/**
 * Renders the current state of all metrics.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Prometheus } from "effect-llm"
 *
 * const metrics = HttpRouter.empty.pipe(
 *   HttpRouter.get(
 *     "/metrics",
 *     Effect.map(Prometheus.text, (text) => HttpServerResponse.text(text, { contentType: Prometheus.contentType }))
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 * @category rendering
 */
export const text: Effect.Effect<string> = Effect.map(snapshot, Exposition.render)

/**
 * Keeps the figures of the dashboard for a month instead of an hour, in a file. A dashboard with the history in its context shows days,
 * weeks, months and any range.
 *
 * The file has one line of JSON for each model and minute, without prompts, answers and secrets. After a day ten minutes become one
 * line, and after a week an hour does, so that thirty days of five busy models take 10 to 20 MB, and never more than 64 MiB. Each gateway
 * needs a file of its own. A full disk, a torn line or a file of something else is logged, and no call fails by it.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Dashboard, DashboardHistory } from "effect-llm/gateway"
 *
 * const Live = Dashboard.layer().pipe(
 *   Layer.provide(DashboardHistory.layerFile({ path: "history.jsonl" })),
 *   Layer.provide(NodeContext.layer)
 * )
 * ```
 *
 * @since 0.2.0
 */
import type { FileSystem } from "@effect/platform"
import type { Duration, Effect, Scope } from "effect"
import { Layer } from "effect"
import * as HistoryFile from "./dashboard/history/file.js"
import { DashboardHistory, defaultMaxAge } from "./dashboard/history/model.js"
import type { Service } from "./dashboard/history/model.js"
import * as Checks from "../internal/optionChecks.js"

export {
  /**
   * @since 0.2.0
   * @category tags
   */
  DashboardHistory,
  /**
   * @since 0.2.0
   * @category model
   */
  type Service
}

/**
 * @since 0.2.0
 * @category constructors
 */
export interface FileOptions {
  readonly path: string
  /** How long figures are kept. @default "30 days" */
  readonly maxAge?: Duration.DurationInput
}

/**
 * Makes a history in a file, which is read at the start.
 *
 * @throws TypeError when an option is invalid
 * @since 0.2.0
 * @category constructors
 */
export const makeFile = ({
  maxAge = defaultMaxAge,
  path
}: FileOptions): Effect.Effect<Service, never, FileSystem.FileSystem | Scope.Scope> => {
  const millis = Checks.valid("DashboardHistory", ({ millis }) => millis("maxAge", maxAge, Checks.positive))
  return HistoryFile.make(path, millis)
}

/**
 * @since 0.2.0
 * @category layers
 */
export const layerFile = (options: FileOptions): Layer.Layer<DashboardHistory, never, FileSystem.FileSystem> =>
  Layer.scoped(DashboardHistory, makeFile(options))

/** What the process that runs the gateway program adds to it: nothing where it is alone, or what makes it one of several workers. */
import type { FileSystem } from "@effect/platform"
import type { Duration } from "effect"
import { Effect, Layer } from "effect"
import type { AccessStore } from "../../gateway/AccessStore.js"
import * as DashboardHistory from "../../gateway/DashboardHistory.js"
import type { ProviderFile, ProviderFileError } from "../../models/fileModel.js"
import type { Signal } from "./signals.js"

export type Parse = (text: string, path: string) => Effect.Effect<ProviderFile, ProviderFileError>

export interface Host {
  /** The signals that stop the program. */
  readonly stopSignals: ReadonlyArray<Signal>
  /** Runs at the first of them, before requests are refused, for at most the grace period. */
  readonly onStopSignal: (grace: Duration.Duration) => Effect.Effect<void>
  /** Succeeds when the program is to stop without a signal, with the reason. */
  readonly stopped: Effect.Effect<string>
  /** Succeeds at each request to reload the files without a signal. */
  readonly reloadRequested: Effect.Effect<void>
  /** Changes how the model file is read. */
  readonly parse: (parse: Parse) => Parse
  /** Services of the gateway. `AccessStore` is only used without Redis. */
  readonly layer: Layer.Layer<never> | Layer.Layer<AccessStore>
  /** The history of the dashboard in a file: of several workers, the primary process writes it. */
  readonly history: (path: string) => Layer.Layer<DashboardHistory.DashboardHistory, never, FileSystem.FileSystem>
  /** Whether it logs what it serves: of several workers one does. */
  readonly isFirst: boolean
  /** Runs when the gateway serves. */
  readonly onServing: Effect.Effect<void>
}

/** A process of its own. */
export const alone: Host = {
  stopSignals: ["SIGTERM", "SIGINT"],
  onStopSignal: () => Effect.void,
  stopped: Effect.never,
  reloadRequested: Effect.never,
  parse: (parse) => parse,
  layer: Layer.empty,
  history: (path) => DashboardHistory.layerFile({ path }),
  isFirst: true,
  onServing: Effect.void
}

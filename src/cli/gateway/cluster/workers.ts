/** Several workers on one port: this process is the primary, or one of the workers that it starts. */
import type { FileSystem } from "@effect/platform"
import { Config, Data, Effect, Option } from "effect"
import cluster from "node:cluster"
import * as KeyConfig from "../../../gateway/auth/keyConfig.js"
import type { KeyOptions } from "../../../gateway/auth/model.js"
import type { Share } from "../../../gateway/workers/share.js"
import * as FileParser from "../../../models/fileParser.js"
import { parseFile } from "../../config/configuration.js"
import type { CliFailure } from "../../failure.js"
import { configurationFailure, usageFailure } from "../../failure.js"
import * as GatewayLog from "../log.js"
import type { Settings } from "../settings.js"
import * as Division from "./division.js"
import * as Limits from "./limits.js"
import * as Primary from "./primary.js"
import { isReplacement, ownIndex } from "./workerProcess.js"

export type Role = Data.TaggedEnum<{
  Primary: {}
  Worker: { readonly share: Share; readonly divided: boolean; readonly replaces: boolean }
}>
export const Role = Data.taggedEnum<Role>()

/** Workers without Redis share no limits, so they divide them: otherwise the primary does not start them. */
const isDivided = ({ redis }: Settings): boolean => redis === undefined

/** What this process is. Fails in a process of another cluster, which cannot start workers of its own. */
export const role = (settings: Settings): Effect.Effect<Role, CliFailure> =>
  Effect.gen(function* () {
    const index = ownIndex()
    if (index !== undefined) {
      return Role.Worker({
        share: { index, of: settings.workers },
        divided: isDivided(settings),
        replaces: isReplacement()
      })
    }
    if (cluster.isPrimary) return Role.Primary()
    return yield* usageFailure(
      "This process is a worker of another cluster (such as the cluster mode of a process manager) and cannot start workers: " +
        "remove --workers and EFFECT_LLM_WORKERS, or start the command in a process of its own."
    )
  })

/** The client keys of the file and of the environment. */
const clientKeys = ({ keys }: Settings) =>
  Effect.gen(function* () {
    const listed = yield* Config.option(Config.redacted(Config.nonEmptyString("EFFECT_LLM_GATEWAY_KEYS")))
    return [
      ...(keys === undefined ? [] : yield* KeyConfig.readKeys(keys)),
      ...Option.match(listed, { onNone: (): ReadonlyArray<KeyOptions> => [], onSome: KeyConfig.parseKeyList })
    ]
  })

/** Refuses, or reports, the limits that workers without Redis do not share. */
const checkLimits = (settings: Settings): Effect.Effect<void, CliFailure, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { config, models, splitLimits, workers } = settings
    const file = models ?? (yield* Effect.mapError(FileParser.load(config, parseFile), configurationFailure))
    if (!isDivided(settings)) {
      if (splitLimits)
        yield* Effect.logInfo("--split-limits has no effect: the workers share the limits through REDIS_URL.")
      return
    }
    const keys = yield* Effect.mapError(clientKeys(settings), (error) =>
      error._tag === "InvalidAccessError" ? usageFailure(error.message) : configurationFailure(error)
    )
    const admin = yield* Effect.mapError(
      Config.option(Config.redacted(Config.nonEmptyString("EFFECT_LLM_MASTER_KEY"))),
      configurationFailure
    )
    const limits = Limits.describe(file, keys, Option.isSome(admin))
    if (limits.length === 0) return
    if (!splitLimits) return yield* usageFailure(Limits.refusal(workers, limits))
    yield* Effect.mapError(Division.divide(file, config, { index: 0, of: workers }, true), configurationFailure)
    yield* Effect.logInfo(Limits.divided(workers, limits))
  })

/** Starts the workers, and serves until a signal. */
export const runPrimary = (settings: Settings): Effect.Effect<void, CliFailure, FileSystem.FileSystem> =>
  Effect.zipRight(checkLimits(settings), Primary.run(settings, { divided: isDivided(settings) })).pipe(
    GatewayLog.withLog(settings)
  )

/** Time limits of streams, which a Node timer checks outside of any fiber. */
import { expect, it } from "@effect/vitest"
import { Cause, Chunk, Effect, Exit, Option } from "effect"
import type { OpenStream } from "../../src/call/openStream.js"
import { withStreamLimits } from "../../src/call/streamTimeout.js"
import { unavailable } from "../support/scripted.js"

it.scopedLive("fails the stream, not the process, when the error of a limit cannot be made", () =>
  Effect.gen(function* () {
    let isClosed = false
    const stalled = Effect.acquireRelease(
      Effect.succeed<OpenStream>({ first: Chunk.empty(), pull: Effect.never }),
      () => Effect.sync(() => (isClosed = true))
    )
    const exit = yield* Effect.scoped(
      Effect.flatMap(
        withStreamLimits(stalled, {
          opening: 60_000,
          idle: 5,
          deadline: Infinity,
          expired: () => {
            throw new Error("no words")
          }
        }),
        ({ pull }) => Effect.exit(pull)
      )
    )
    expect(
      Exit.causeOption(exit).pipe(
        Option.map(String),
        Option.getOrElse(() => "")
      )
    ).toContain("no words")
    expect(isClosed).toBe(true)
  })
)

it.scopedLive("fails with the error of the opening although its finalizer dies", () =>
  Effect.gen(function* () {
    const holding = Effect.acquireRelease(Effect.void, () => Effect.die("a custom finalizer"))
    const limits = { opening: 60_000, idle: 60_000, deadline: Infinity, expired: () => unavailable }
    const failed = yield* Effect.exit(withStreamLimits(Effect.zipRight(holding, Effect.fail(unavailable)), limits))
    const late = yield* Effect.exit(withStreamLimits(Effect.zipRight(holding, Effect.never), { ...limits, opening: 5 }))
    for (const exit of [failed, late]) {
      const error = Option.flatMap(Exit.causeOption(exit), Cause.failureOption)
      expect(Option.getOrUndefined(error)?._tag).toBe("ProviderUnavailableError")
    }
  })
)

/** Time limits of streams, which a Node timer checks outside of any fiber. */
import { expect, it } from "@effect/vitest"
import { Cause, Chunk, Effect, Exit, Option } from "effect"
import * as Finalizers from "../../src/call/finalizers.js"
import type { Open, OpenStream } from "../../src/call/openStream.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { withStreamLimits } from "../../src/call/streamTimeout.js"
import { unavailable } from "../support/scripted.js"

it.scopedLive("fails the stream, not the process, when the error of a limit cannot be made", () =>
  Effect.gen(function* () {
    let isClosed = false
    const stalled: Open = (finalizers) =>
      finalizers.add(
        () => Effect.sync(() => void (isClosed = true)),
        () => Effect.succeed<OpenStream>({ first: Chunk.empty(), pull: Effect.never })
      )
    const exit = yield* Finalizers.scoped((finalizers) =>
      Effect.flatMap(
        withStreamLimits(stalled, {
          opening: 60_000,
          idle: 5,
          deadline: Infinity,
          expired: () => {
            throw new Error("no words")
          }
        })(finalizers),
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
    const holding =
      (opening: Effect.Effect<never, LLMError>): Open =>
      (finalizers) =>
        finalizers.add(
          () => Effect.die("a custom finalizer"),
          () => Effect.interruptible(opening)
        )
    const limits = { opening: 60_000, idle: 60_000, deadline: Infinity, expired: () => unavailable }
    const failed = yield* Effect.exit(Finalizers.scoped(withStreamLimits(holding(Effect.fail(unavailable)), limits)))
    const late = yield* Effect.exit(
      Finalizers.scoped(withStreamLimits(holding(Effect.never), { ...limits, opening: 5 }))
    )
    for (const exit of [failed, late]) {
      const error = Option.flatMap(Exit.causeOption(exit), Cause.failureOption)
      expect(Option.getOrUndefined(error)?._tag).toBe("ProviderUnavailableError")
    }
  })
)

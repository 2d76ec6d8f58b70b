/** Limits that run out on a timer of Node's, outside of any fiber. */
import { expect, it } from "@effect/vitest"
import { Chunk, Effect, Exit, Option } from "effect"
import type { OpenStream } from "../src/internal/openStream.js"
import { watched } from "../src/internal/watchdog.js"

it.scopedLive("a limit that fails to say what ran out ends its own stream, and not the process", () =>
  Effect.gen(function* () {
    let isClosed = false
    const stalled = Effect.acquireRelease(
      Effect.succeed<OpenStream>({ first: Chunk.empty(), pull: Effect.never }),
      () => Effect.sync(() => (isClosed = true))
    )
    const exit = yield* Effect.scoped(
      Effect.flatMap(
        watched(stalled, {
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

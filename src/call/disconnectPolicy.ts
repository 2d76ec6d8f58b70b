/** Applies `OnDisconnect` to the streams of an `LLM`. */
import type { Fiber } from "effect"
import { Effect, Option, Scope } from "effect"
import type { Drain } from "./disconnect.js"
import type { ReadOn } from "./finalizers.js"
import type { Middleware } from "./model.js"
import { openChat, toChatStream } from "./openStream.js"
import { wrap } from "./wrap.js"
import * as Fibers from "../internal/fibers.js"

/** Runs readings in the background. Those in flight are interrupted when the scope of the `LLM` closes, if it is built in one. */
const makeFork: Effect.Effect<ReadOn["fork"]> = Effect.gen(function* () {
  const fibers = new Set<Fiber.RuntimeFiber<void>>()
  const scope = yield* Effect.serviceOption(Scope.Scope)
  if (Option.isSome(scope)) {
    yield* Scope.addFinalizer(
      scope.value,
      Effect.suspend(() => Fibers.interruptAll(fibers))
    )
  }
  return (reading) =>
    Effect.map(Effect.forkDaemon(reading), (fiber) => {
      fibers.add(fiber)
      Fibers.observe(fiber, () => void fibers.delete(fiber))
    })
})

/** Reads the streams of an `LLM` on when their consumers leave. */
export const middleware =
  (drain: Drain): Middleware =>
  (next) =>
    Effect.map(makeFork, (fork) =>
      wrap(next, {
        chatStream: toChatStream(
          (request) => (finalizers) =>
            Effect.map(openChat(next, request)(finalizers), (opened) => {
              finalizers.readOn = { drain, fork }
              return opened
            })
        )
      })
    )

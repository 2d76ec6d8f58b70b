/** Questions to another process, which are correlated with their answers by a number. */
import type { Option } from "effect"
import { Deferred, Effect, Ref } from "effect"

export interface Questions {
  /** Sends a question with its number; none if no answer comes within `timeout` milliseconds. */
  readonly ask: (send: (id: number) => Effect.Effect<void>, timeout: number) => Effect.Effect<Option.Option<unknown>>
  /** Passes an answer to its question, unless that waits no longer. */
  readonly answer: (id: number, answer: unknown) => Effect.Effect<void>
}

export const make: Effect.Effect<Questions> = Effect.gen(function* () {
  const waiting = yield* Ref.make<ReadonlyMap<number, Deferred.Deferred<unknown>>>(new Map())
  const lastId = yield* Ref.make(0)
  const open = Effect.gen(function* () {
    const id = yield* Ref.updateAndGet(lastId, (last) => last + 1)
    const answered = yield* Deferred.make<unknown>()
    yield* Ref.update(waiting, (all) => new Map(all).set(id, answered))
    return { id, answered }
  })
  return {
    ask: (send, timeout) =>
      Effect.acquireUseRelease(
        open,
        ({ answered, id }) => Effect.timeoutOption(Effect.zipRight(send(id), Deferred.await(answered)), timeout),
        ({ id }) => Ref.update(waiting, (all) => new Map([...all].filter(([other]) => other !== id)))
      ),
    answer: (id, answer) =>
      Effect.flatMap(Ref.get(waiting), (all) => {
        const answered = all.get(id)
        return answered === undefined ? Effect.void : Effect.asVoid(Deferred.succeed(answered, answer))
      })
  }
})

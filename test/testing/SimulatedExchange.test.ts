import { expect, it } from "@effect/vitest"
import { Effect, Fiber, FiberId, Option, Ref, Scheduler } from "effect"
import { IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"
import type { SimulatedProvider } from "../../src/testing/index.js"
import { serve } from "../../src/testing/simulatedExchange.js"

/** A request whose body never arrives. */
const served = Effect.gen(function* () {
  const provider = {
    options: {},
    queue: yield* Ref.make<ReadonlyArray<SimulatedProvider.Fault | undefined>>([]),
    starts: yield* Ref.make<ReadonlyMap<string, ReadonlyArray<number>>>(new Map()),
    taken: yield* Ref.make<ReadonlyMap<number, number>>(new Map()),
    count: yield* Ref.make(0)
  }
  const request = new IncomingMessage(new Socket())
  return yield* serve(provider, request, new ServerResponse(request))
})

it.live("an exchange of the simulated provider ends when it is interrupted at any step", () =>
  Effect.gen(function* () {
    const hung: Array<number> = []
    let isBeyond = false
    let step = 0
    while (!isBeyond) {
      let left = ++step
      const pausing = Scheduler.make(
        (task) => Scheduler.defaultScheduler.scheduleTask(task, 0),
        () => (--left === 0 ? 0 : false)
      )
      const fiber = yield* Effect.forkDaemon(Effect.withScheduler(served, pausing))
      yield* Effect.iterate(0, {
        while: (turns) => left > 0 && turns < 50,
        body: (turns) => Effect.as(Effect.yieldNow(), turns + 1)
      })
      isBeyond = left > 0
      // At once: an interrupting fiber would let this one take another step.
      fiber.unsafeInterruptAsFork(FiberId.none)
      const hasEnded = Effect.map(Fiber.poll(fiber), Option.isSome)
      for (let turns = 0; turns < 1000 && !(yield* hasEnded); turns++) yield* Effect.yieldNow()
      if (!(yield* hasEnded)) hung.push(step)
    }
    expect(hung).toEqual([])
    expect(step).toBeGreaterThan(30)
  })
)

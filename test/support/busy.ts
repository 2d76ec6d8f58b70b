/**
 * Runs the tests while busy loops compete for the processors: `npm run test:busy [loops] [runs] [arguments of vitest]`, by
 * default eight loops and one run. Fails at the first run that fails.
 */
import { Command } from "@effect/platform"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"

const [loops = "8", runs = "1", ...vitest] = process.argv.slice(2)

/** A busy loop, killed when the scope closes. */
const loop = Command.start(Command.make(process.execPath, "--eval", "for (;;);"))

const test = Command.make("npx", "vitest", "run", ...vitest).pipe(
  Command.stdout("inherit"),
  Command.stderr("inherit"),
  Command.exitCode
)

const program = Effect.gen(function* () {
  yield* Effect.replicateEffect(loop, Number(loops))
  for (let run = 1; run <= Number(runs); run++) {
    yield* Console.log(`Run ${run} of ${runs} beside ${loops} busy loops.`)
    const exitCode = yield* test
    if (exitCode !== 0) return yield* Effect.fail(`Run ${run} failed with exit code ${exitCode}.`)
  }
})

program.pipe(Effect.scoped, Effect.provide(NodeContext.layer), NodeRuntime.runMain)

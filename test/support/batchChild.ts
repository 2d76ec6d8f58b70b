/** A process that runs a batch with a journal, for a test that kills it. Each tenth request fails with a final error. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect } from "effect"
import * as Batch from "../../src/programs/Batch.js"
import { Failed, scripted } from "./batchTask.js"

const [path = ""] = process.argv.slice(2)

const { task } = scripted({
  // The second half is slow, so that the batch is not over when the process is killed, however late that is.
  takes: (request) => (request < 100 ? 1 + (request % 7) : 400),
  fails: (request) => (request % 10 === 3 ? new Failed({ request, retryable: false }) : undefined)
})

const program = Effect.flatMap(Batch.journal(path), (journal) =>
  Batch.run(
    Array.from({ length: 200 }, (_, index) => index),
    { task, journal, concurrency: 4 }
  )
)

Effect.runFork(Effect.provide(program, NodeFileSystem.layer))

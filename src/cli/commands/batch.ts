/** `effect-llm batch`: many questions from a file, and their answers in another. */
import { Args, Command, Options } from "@effect/cli"
import { FileSystem } from "@effect/platform"
import { Duration, Effect, Fiber, Option, Ref, Schedule, Schema, Stream } from "effect"
import * as Batch from "../../programs/Batch.js"
import { addDollars } from "../../vocabulary/Cost.js"
import * as LLM from "../../call/model.js"
import * as BatchInput from "../batch/input.js"
import * as BatchOutput from "../batch/output.js"
import * as BatchTask from "../batch/task.js"
import { CliFailure, exitCodes, usageFailure } from "../failure.js"
import { withoutFailures } from "../batch/journal.js"
import * as Help from "../help.js"
import * as Shared from "../options.js"
import { printJson } from "../output.js"
import * as ProgressBar from "../terminal/progressBar.js"
import { Terminal } from "../terminal/terminal.js"
import { loadModel } from "../config/loadModels.js"
import { formatDollars } from "../terminal/renderAnswer.js"
import { sanitize, errorStyle } from "../terminal/style.js"

const options = {
  input: Args.text({ name: "in.jsonl" }).pipe(
    Args.withDescription(
      'A request a line: a text, {"prompt", "system"?}, {"messages"} with the rest of a request, or a line of OpenAI\'s ' +
        "Batch API."
    )
  ),
  output: Args.text({ name: "out.jsonl" }).pipe(Args.withDescription("A result a line, in the order of the requests.")),
  ...Shared.source,
  ...Shared.request,
  concurrency: Options.integer("concurrency").pipe(
    Options.withAlias("n"),
    Options.withDescription("The most requests under way at once."),
    Options.withSchema(Schema.Number.pipe(Schema.positive({ message: () => "--concurrency must be at least 1" }))),
    Options.withDefault(8)
  ),
  journal: Options.text("journal").pipe(
    Options.withPseudoName("file"),
    Options.withDescription("Where what is done is kept until all is. Without it: out.jsonl.journal."),
    Options.optional
  ),
  retryFailed: Options.boolean("retry-failed").pipe(
    Options.withDescription("Ask again what the journal says has failed.")
  ),
  overwrite: Options.boolean("overwrite").pipe(
    Options.withDescription("Begin anew where the output is there and no journal is.")
  ),
  json: Shared.json
}

/** How often the bar is drawn, and how often a line is written where there is no terminal. */
const drawInterval = Duration.millis(100)
const logInterval = Duration.seconds(30)

const eraseLine = "\r\u001b[K"

/** Tells how far the batch is until it is over, or is given up. */
const showProgress = (updates: Stream.Stream<Batch.Progress>, dollars: Ref.Ref<number | undefined>) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const style = errorStyle(terminal)
    const latest = yield* Ref.make<Option.Option<Batch.Progress>>(Option.none())
    const writeProgress = Effect.gen(function* () {
      const progress = yield* Ref.get(latest)
      if (Option.isNone(progress)) return
      const cost = yield* Ref.get(dollars)
      const line = ProgressBar.line(progress.value, cost, yield* terminal.columns, style)
      yield* terminal.writeError(
        terminal.errorIsTerminal ? `${eraseLine}${line}` : `${ProgressBar.facts(progress.value, cost).join(" · ")}\n`
      )
    })
    const interval = terminal.errorIsTerminal ? drawInterval : logInterval
    const repeating = yield* Effect.fork(
      Effect.delay(Effect.repeat(writeProgress, Schedule.spaced(interval)), interval)
    )
    yield* Stream.runForEach(updates, (now) => Ref.set(latest, Option.some(now))).pipe(
      Effect.zipRight(Fiber.interrupt(repeating)),
      Effect.zipRight(terminal.errorIsTerminal ? writeProgress : Effect.void),
      Effect.ensuring(terminal.errorIsTerminal ? terminal.writeError("\n") : Effect.void)
    )
  })

const summaryLines = (summary: BatchOutput.Summary, output: string): string =>
  [
    `${summary.succeeded} of ${summary.requests} answered, in ${output} · ${ProgressBar.amount(summary.usage.totalTokens)} tokens` +
      (summary.cost === undefined ? "" : ` · ${formatDollars(summary.cost)}`),
    ...summary.errors.map(({ class: name, count, example }) => `${count} × ${name}: ${sanitize(example)}`)
  ].join("\n")

const fileFailure = (path: string, verb: string) => (error: { readonly message: string }) =>
  usageFailure(`${path} cannot be ${verb}: ${error.message}`)

const summary =
  "Asks every line of a file, so many at once, and writes an answer, vectors or an error for each, in their order. What is stopped or killed goes on where it was when the same command is given again."

export const batch = Command.make("batch", options, (args) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const fileSystem = yield* FileSystem.FileSystem
    const { input, output } = args
    const path = Option.getOrElse(args.journal, () => `${output}.journal`)
    const items = yield* Effect.flatMap(
      Effect.mapError(fileSystem.readFileString(input), fileFailure(input, "read")),
      (text) => BatchInput.read(text, input)
    )
    const exists = (path: string) => Effect.mapError(fileSystem.exists(path), fileFailure(path, "read"))
    if ((yield* exists(output)) && !(yield* exists(path)) && !args.overwrite) {
      return yield* usageFailure(`${output} is there already. Name another file, or begin anew with --overwrite.`)
    }
    if (args.retryFailed) yield* withoutFailures(path)
    const llm = yield* loadModel(args)
    const requestOptions = Shared.requestOf(args)
    const journal = yield* Batch.journal(path)
    const dollars = yield* Ref.make<number | undefined>(undefined)

    const task = BatchTask.make(({ cost }) =>
      cost === undefined ? Effect.void : Ref.update(dollars, (before) => addDollars(before ?? 0, cost.total))
    )
    // The model is a part of each request, lest a journal be gone on with by another one.
    const { model } = llm.info
    const requests = items.map(({ request }) => ({
      model,
      ...(BatchTask.isEmbedding(request) ? {} : requestOptions),
      ...request,
      ...(Option.isSome(args.model) ? { model } : {})
    }))
    const run = Effect.scoped(
      Effect.gen(function* () {
        const { progress, result } = yield* Batch.start(requests, { task, journal, concurrency: args.concurrency })
        const progressFiber = yield* Effect.fork(showProgress(progress, dollars))
        const outcomes = yield* Effect.onInterrupt(result, () => Fiber.interrupt(progressFiber))
        yield* Fiber.await(progressFiber)
        return outcomes
      })
    )
    const { exits: outcomes } = yield* run.pipe(
      Effect.provideService(LLM.LLM, llm),
      Effect.onInterrupt(() =>
        terminal.writeError(`Stopped. What is done is in ${path}: the same command goes on from there.\n`)
      ),
      Effect.mapError(({ message, reason }) =>
        usageFailure(
          reason === "OtherBatch"
            ? `${path} belongs to other requests. Name another --journal, or remove it to begin anew.`
            : message
        )
      )
    )

    // Under another name first: whoever sees the file sees the whole of it.
    const draft = `${output}.part`
    yield* fileSystem
      .writeFileString(draft, BatchOutput.lines(items, outcomes))
      .pipe(Effect.zipRight(fileSystem.rename(draft, output)), Effect.mapError(fileFailure(output, "written")))
    const summary = BatchOutput.summary(outcomes)
    if (args.json) yield* printJson(summary)
    else yield* terminal.writeError(`${summaryLines(summary, output)}\n`)
    if (summary.failed > 0) {
      return yield* new CliFailure({
        exitCode: exitCodes.failed,
        message: `${summary.failed} of ${summary.requests} failed. The same command with --retry-failed asks them again.`
      })
    }
    yield* Effect.mapError(fileSystem.remove(path), fileFailure(path, "removed"))
  })
).pipe(Command.withDescription(summary))

export const page = Help.page(["batch"], summary, batch, [
  "effect-llm batch questions.jsonl answers.jsonl --concurrency 16",
  "effect-llm batch questions.jsonl answers.jsonl --retry-failed"
])

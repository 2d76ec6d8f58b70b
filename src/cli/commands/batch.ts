/** `effect-llm batch`: reads requests from a file and writes the answers to another. */
import { FileSystem } from "@effect/platform"
import { Clock, Duration, Effect, Fiber, Option, Ref, Schedule, Stream } from "effect"
import * as Batch from "../../programs/Batch.js"
import { addDollars } from "../../vocabulary/cost.js"
import * as LLM from "../../call/model.js"
import * as BatchInput from "../batch/input.js"
import * as BatchOutput from "../batch/output.js"
import * as BatchTask from "../batch/task.js"
import { CliFailure, exitCodes, usageFailure } from "../failure.js"
import * as Shared from "../options.js"
import { printJson } from "../output.js"
import * as ProgressBar from "../terminal/progressBar.js"
import { Terminal } from "../terminal/terminal.js"
import { noticeOf } from "../config/defaultLimits.js"
import { chooseModel, loadSource, makeModels } from "../config/loadModels.js"
import * as LimitWaits from "../terminal/limitWaits.js"
import { formatDollars } from "../terminal/renderAnswer.js"
import { sanitize, errorStyle } from "../terminal/style.js"
import type { Arguments } from "../definitions/batch.js"

/** How often the bar is drawn on a terminal. */
const drawInterval = Duration.millis(100)
/** How often a line is written without a terminal. */
const logInterval = Duration.seconds(30)

const eraseLine = "\r\u001b[K"

/** Shows the progress of the batch until it ends or is interrupted. */
const showProgress = (
  updates: Stream.Stream<Batch.Progress>,
  dollars: Ref.Ref<number | undefined>,
  { waiting }: LimitWaits.LimitWaits
) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const style = errorStyle(terminal)
    const latest = yield* Ref.make<Option.Option<Batch.Progress>>(Option.none())
    const writeProgress = Effect.gen(function* () {
      const progress = yield* Ref.get(latest)
      if (Option.isNone(progress)) return
      const cost = yield* Ref.get(dollars)
      const facts = ProgressBar.facts(progress.value, cost, yield* waiting)
      const line = ProgressBar.line(progress.value, facts, yield* terminal.columns, style)
      yield* terminal.writeError(terminal.errorIsTerminal ? `${eraseLine}${line}` : `${facts.join(" · ")}\n`)
    })
    const interval = terminal.errorIsTerminal ? drawInterval : logInterval
    const progressWriter = yield* Effect.fork(
      Effect.delay(Effect.repeat(writeProgress, Schedule.spaced(interval)), interval)
    )
    yield* Stream.runForEach(updates, (now) => Ref.set(latest, Option.some(now))).pipe(
      Effect.zipRight(Fiber.interrupt(progressWriter)),
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

export const run = (args: Arguments) =>
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
      return yield* usageFailure(`${output} already exists. Name another file, or overwrite it with --overwrite.`)
    }

    const source = yield* loadSource(args)
    const llm = yield* chooseModel(source, yield* makeModels(source), args.model)
    const notice = noticeOf(source.file, `${llm.info.provider}/${llm.info.model}`)
    if (notice !== undefined) yield* terminal.writeError(`${sanitize(notice)}\n`)
    const limitWaits = yield* LimitWaits.make
    const requestOptions = Shared.requestOf(args)
    const journal = yield* Batch.journal(path)
    const dollars = yield* Ref.make<number | undefined>(undefined)

    const task = BatchTask.make(({ cost }) =>
      cost === undefined ? Effect.void : Ref.update(dollars, (before) => addDollars(before ?? 0, cost.total))
    )
    // The model is part of each request, so that a journal is not resumed with another model.
    const { model } = llm.info
    const requests = items.map(({ request }) => ({
      model,
      ...(BatchTask.isEmbedding(request) ? {} : requestOptions),
      ...request,
      ...(Option.isSome(args.model) ? { model } : {})
    }))
    const run = Effect.scoped(
      Effect.gen(function* () {
        const { progress, result } = yield* Batch.start(requests, {
          task,
          journal,
          concurrency: args.concurrency,
          resume: args.retryFailed ? "failed" : "retryable"
        })
        const progressFiber = yield* Effect.fork(showProgress(progress, dollars, limitWaits))
        const outcomes = yield* Effect.onInterrupt(result, () => Fiber.interrupt(progressFiber))
        yield* Fiber.await(progressFiber)
        return outcomes
      })
    )
    const startedAt = yield* Clock.currentTimeMillis
    const { exits: outcomes } = yield* limitWaits.measure(run).pipe(
      Effect.provideService(LLM.LLM, llm),
      Effect.onInterrupt(() =>
        terminal.writeError(`Stopped. The results so far are in ${path}: the same command resumes from there.\n`)
      ),
      Effect.mapError(({ message, reason }) =>
        usageFailure(
          reason === "OtherBatch"
            ? `${path} belongs to other requests. Name another --journal, or remove it to start again.`
            : message
        )
      )
    )

    // Writes to a draft first, so that the output file is never incomplete.
    const draft = `${output}.part`
    yield* fileSystem
      .writeFileString(draft, BatchOutput.lines(items, outcomes))
      .pipe(Effect.zipRight(fileSystem.rename(draft, output)), Effect.mapError(fileFailure(output, "written")))
    const summary = BatchOutput.summary(outcomes)
    if (args.json) yield* printJson(summary)
    else yield* terminal.writeError(`${summaryLines(summary, output)}\n`)
    const ofAll = ((yield* Clock.currentTimeMillis) - startedAt) * Math.min(args.concurrency, items.length)
    const pace = LimitWaits.sentence(yield* limitWaits.total, ofAll)
    if (pace !== undefined) yield* terminal.writeError(`${pace}\n`)
    if (summary.failed > 0) {
      return yield* new CliFailure({
        exitCode: exitCodes.failed,
        message: `${summary.failed} of ${summary.requests} failed. The same command with --retry-failed sends them again.`
      })
    }
    yield* Effect.mapError(fileSystem.remove(path), fileFailure(path, "removed"))
  })

/** The engine of a batch: a first pass over all requests, retry passes, the journal and the progress. */
import type { Scope } from "effect"
import { Cause, Chunk, Clock, Duration, Effect, Exit, HashMap, Option, Ref, Stream, SubscriptionRef } from "effect"
import type { Options, Progress, Running } from "./model.js"
import { withPriority } from "../../rateLimiter/model.js"
import * as OptionChecks from "../../internal/optionChecks.js"
import * as Journals from "./journal.js"
import { JournalError } from "./journal.js"
import { digest } from "../../internal/digest.js"
import * as Fibers from "../../internal/fibers.js"

interface Counts extends Pick<Progress, "succeeded" | "failed" | "resumed" | "toRetry" | "tokens" | "isOver"> {
  readonly total: number | undefined
  readonly startedAt: number
}

const progressAt = (counts: Counts, now: number): Progress => {
  const { failed, isOver, resumed, startedAt, succeeded, toRetry, tokens, total } = counts
  const done = succeeded + failed
  const elapsed = Math.max(0, now - startedAt)
  const rate = elapsed === 0 ? 0 : ((done - resumed) * 1000) / elapsed
  return {
    ...(total === undefined ? {} : { total }),
    done,
    succeeded,
    failed,
    resumed,
    toRetry,
    tokens,
    elapsed: Duration.millis(elapsed),
    rate,
    ...(total === undefined || (rate === 0 && done < total)
      ? {}
      : { timeLeft: Duration.millis(done >= total ? 0 : ((total - done) * 1000) / rate) }),
    isOver
  }
}

interface Item<In> {
  readonly index: number
  readonly request: In
  /** The digest of the request in the journal; empty without a journal. */
  readonly identity: string
}

interface Failed<In, E> extends Item<In> {
  readonly error: E
}

const isStream = <In, SE, SR>(
  requests: Iterable<In> | Stream.Stream<In, SE, SR>
): requests is Stream.Stream<In, SE, SR> => Stream.StreamTypeId in requests

const isInterruption = <A, E>(exit: Exit.Exit<A, E>): boolean =>
  Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)

export const start = <In, A, E, R, SE = never, SR = never>(
  requests: Iterable<In> | Stream.Stream<In, SE, SR>,
  options: Options<In, A, E, R>
): Effect.Effect<Running<A, E, JournalError | SE>, JournalError, R | SR | Scope.Scope> => {
  const { concurrency = 8, journal, resume = "retryable", retries = 1, task } = options
  const longestWait = OptionChecks.valid("Batch", ({ millis, number }) => {
    number("concurrency", concurrency, OptionChecks.isWhole(concurrency, 1), "a whole number of at least 1")
    number("retries", retries, OptionChecks.isWhole(retries, 0), "a whole number of at least 0")
    return Duration.millis(millis("maxRetryWait", options.maxRetryWait ?? "1 minute", OptionChecks.anyLength))
  })
  return Effect.gen(function* () {
    const list = isStream(requests) ? undefined : Array.from(requests)
    const source: Stream.Stream<In, SE, SR> = isStream(requests) ? requests : Stream.fromIterable(list ?? [])
    const journalError = (reason: JournalError["reason"], detail: string) =>
      new JournalError({ path: journal?.path ?? "", reason, detail })
    const digestOf = (text: string): Effect.Effect<string, JournalError> =>
      Effect.flatMap(
        digest(text),
        Option.match({
          onNone: () =>
            Effect.fail(journalError("Unusable", "requests are identified by SHA-256, and there is no Web Crypto")),
          onSome: Effect.succeed
        })
      )
    const identityText = (request: In): Effect.Effect<string, JournalError> =>
      Effect.try({
        try: () => task.identify(request),
        catch: (cause) =>
          journalError(
            "Unusable",
            `a request cannot be identified: ${cause instanceof Error ? cause.message : String(cause)}. Give the task its own \`identify\``
          )
      })
    const identityOf = (request: In) =>
      journal === undefined ? Effect.succeed("") : Effect.flatMap(identityText(request), digestOf)
    const identities = list === undefined ? undefined : yield* Effect.forEach(list, identityOf)
    const openJournal =
      journal === undefined
        ? undefined
        : yield* Journals.open(
            journal.fileSystem,
            journal.path,
            `${task.name}-${identities === undefined ? "stream" : yield* digestOf(identities.join())}`,
            task.codec
          )

    const startedAt = yield* Clock.currentTimeMillis
    const counts = yield* SubscriptionRef.make<Counts>({
      total: list?.length,
      succeeded: 0,
      failed: 0,
      resumed: 0,
      toRetry: 0,
      tokens: 0,
      startedAt,
      isOver: false
    })
    const exits = yield* Ref.make(HashMap.empty<number, Exit.Exit<A, E>>())
    const requestCount = yield* Ref.make(0)
    const postponed = yield* Ref.make(Chunk.empty<Failed<In, E>>())

    /** Records the final exit of a request. */
    const settle = (index: number, exit: Exit.Exit<A, E>, isResumed: boolean): Effect.Effect<void> =>
      Effect.zipRight(
        Ref.update(exits, HashMap.set(index, exit)),
        SubscriptionRef.update(counts, (before) => ({
          ...before,
          resumed: before.resumed + (isResumed ? 1 : 0),
          ...(Exit.isSuccess(exit)
            ? { succeeded: before.succeeded + 1, tokens: before.tokens + task.tokensOf(exit.value) }
            : { failed: before.failed + 1 })
        }))
      )

    const postpone = (failed: Failed<In, E>): Effect.Effect<void> =>
      Effect.zipRight(
        Ref.update(postponed, Chunk.append(failed)),
        SubscriptionRef.update(counts, (before) => ({ ...before, toRetry: before.toRetry + 1 }))
      )

    const conclude = (
      item: Item<In>,
      exit: Exit.Exit<A, E>,
      isLastPass: boolean
    ): Effect.Effect<void, JournalError> => {
      const error = isLastPass || Exit.isSuccess(exit) ? Option.none() : Cause.failureOption(exit.cause)
      if (Option.isSome(error) && task.isRetryable(error.value)) return postpone({ ...item, error: error.value })
      const settled = settle(item.index, exit, false)
      return openJournal === undefined
        ? settled
        : Effect.zipRight(openJournal.record(item.index, { request: item.identity, exit }), settled)
    }

    /** Asks a request. An answer that has arrived is recorded even if the batch is interrupted. */
    const ask = (item: Item<In>, isLastPass: boolean): Effect.Effect<void, JournalError, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.exit(restore(withPriority(task.ask(item.request), "batch"))), (exit) =>
          // If the batch itself was interrupted, the yield ends this fiber and nothing is recorded.
          isInterruption(exit)
            ? Effect.zipRight(restore(Effect.yieldNow()), conclude(item, exit, isLastPass))
            : conclude(item, exit, isLastPass)
        )
      )

    /** Whether the recorded exit of a request is final in this run. */
    const isFinal = (exit: Exit.Exit<A, E>): boolean => {
      if (Exit.isSuccess(exit) || resume === "unfinished") return true
      return resume === "retryable" && !Option.exists(Cause.failureOption(exit.cause), task.isRetryable)
    }

    const runFirst = (index: number, request: In): Effect.Effect<void, JournalError, R> =>
      Effect.gen(function* () {
        yield* Ref.update(requestCount, (count) => Math.max(count, index + 1))
        const identity = identities?.[index] ?? (yield* identityOf(request))
        const recorded = openJournal?.recorded.get(index)
        if (recorded !== undefined && recorded.request !== identity) {
          return yield* journalError("OtherBatch", `its request ${index} is a different one`)
        }
        return yield* recorded !== undefined && isFinal(recorded.exit)
          ? settle(index, recorded.exit, true)
          : ask({ index, request, identity }, retries <= 0)
      })

    const retryPass = (left: number): Effect.Effect<void, JournalError, R> =>
      Effect.flatMap(Ref.getAndSet(postponed, Chunk.empty()), (failed) => {
        if (Chunk.isEmpty(failed)) return Effect.void
        const wait = Chunk.reduce(failed, Duration.zero, (longest, { error }) =>
          Duration.max(
            longest,
            Option.getOrElse(task.retryAfter(error), () => Duration.zero)
          )
        )
        return Effect.sleep(Duration.min(wait, longestWait)).pipe(
          Effect.zipRight(
            Effect.forEach(
              failed,
              (item) =>
                Effect.zipRight(
                  SubscriptionRef.update(counts, (before) => ({ ...before, toRetry: before.toRetry - 1 })),
                  ask(item, left <= 1)
                ),
              { concurrency, discard: true }
            )
          ),
          Effect.zipRight(retryPass(left - 1))
        )
      })

    const runAll = Stream.runDrain(
      Stream.mapEffect(Stream.zipWithIndex(source), ([request, index]) => runFirst(index, request), {
        concurrency,
        unordered: true
      })
    ).pipe(
      Effect.zipRight(Ref.get(requestCount)),
      Effect.tap((total) => {
        const beyond = [...(openJournal?.recorded.keys() ?? [])].find((index) => index >= total)
        return beyond === undefined
          ? SubscriptionRef.update(counts, (before) => ({ ...before, total }))
          : Effect.fail(journalError("OtherBatch", `it has a request ${beyond}, but the batch has only ${total}`))
      }),
      Effect.zipRight(retryPass(retries)),
      Effect.ensuring(SubscriptionRef.update(counts, (before) => ({ ...before, isOver: true })))
    )

    const now = (at: Counts) => Effect.map(Clock.currentTimeMillis, (time) => progressAt(at, time))
    const fiber = yield* Effect.forkScoped(runAll)
    return {
      progress: Stream.takeUntil(Stream.mapEffect(counts.changes, now), ({ isOver }) => isOver),
      result: Effect.zipRight(
        Fibers.join(fiber),
        Effect.all({
          exits: Effect.map(Ref.get(exits), (all) =>
            Array.from(all)
              .sort(([self], [that]) => self - that)
              .map(([, exit]) => exit)
          ),
          progress: Effect.flatMap(SubscriptionRef.get(counts), now)
        })
      )
    }
  })
}

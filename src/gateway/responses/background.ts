/**
 * Answers to requests with `background: true`: the client gets the id at once and asks for the answer later. The call itself is an
 * ordinary one, so budgets, limits and the ledger see its usage when it has ended.
 *
 * Where processes share the store, another process can show the state of a call and cancel it. A process that ends without a word leaves
 * calls that look as if they were in progress: they count as failed when the sign of life of their process is too old.
 */
import { Cause, Clock, Deferred, Duration, Effect, Exit, Option } from "effect"
import type { Json } from "../../wire/json.js"
import { failure, responseObject } from "../../wire/responses/server/response.js"
import type { Body } from "../http/body.js"
import type { BodyAccounts } from "../http/bodyAccount.js"
import * as HttpErrors from "../http/error.js"
import type { HotCall } from "../http/hotRoute.js"
import { logDefect } from "../http/hotRoute.js"
import type { Service as ResponseStore } from "../ResponseStore.js"
import type { Job, Owner, Stored, StoredResponses } from "./model.js"
import { encode, hasEnded, keyOf, newId } from "./model.js"
import * as Recorder from "./recorder.js"
import { find, stored } from "./references.js"
import * as Fibers from "../../internal/fibers.js"

/** A request whose answer is made in the background. */
export interface Request {
  readonly hot: HotCall
  readonly body: Body
  readonly input: ReadonlyArray<Json>
  readonly previous: string | undefined
  readonly createdAt: number
  /** Makes the answer, and sends it with `hot.response`. */
  readonly answer: (hot: HotCall, record: Recorder.Recorder) => Effect.Effect<void, HttpErrors.HttpError>
}

/** How often a process shows that it lives, and looks for cancellations by others. */
const interval = Duration.seconds(1)

/** A process without a sign of life for this long is gone. In milliseconds. */
const longestSilence = 30_000

/** How long a cancellation waits for the process that has the call. */
const cancelTimeout = Duration.seconds(5)

const processGone = (response: Json): Json => ({
  ...response,
  ...failure({
    status: 500,
    message: "The gateway process that made this response has ended. Send the request again."
  })
})

/** Shows other processes that this one lives, and ends the call when one of them has cancelled it. */
const watch = ({ store }: StoredResponses, callerId: string, id: string, job: Job): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* store.set(keyOf(callerId, "alive", id), String(yield* Clock.currentTimeMillis))
    if (Option.isSome(yield* store.get(keyOf(callerId, "cancel", id)))) job.cancel()
  }).pipe(
    // The next round tries again: the call itself does not need the store.
    Effect.catchAll((error) => Effect.logDebug(error.message)),
    Effect.zipRight(Effect.sleep(interval)),
    Effect.forever
  )

/** Begins a call, and sends its resource, which is in progress. */
export const start = (
  responses: StoredResponses,
  bodies: BodyAccounts,
  { answer, body, createdAt, hot, input, previous }: Request
): Effect.Effect<void, HttpErrors.HttpError> =>
  Effect.gen(function* () {
    const { jobs, maxJobs, store } = responses
    if (jobs.size >= maxJobs) return yield* Effect.fail(HttpErrors.tooManyBackgroundResponses)
    const { caller } = hot
    const account = bodies.make(caller.id)
    const refusal = account.add(body.text.length)
    if (refusal !== undefined) return yield* Effect.fail(refusal)
    const id = newId()
    const { model } = body.json
    const begun: Json = responseObject(body.json, createdAt, {
      id,
      model: typeof model === "string" ? model : "",
      status: "in_progress",
      background: true
    })
    const storedWith = (response: Json, owner?: Owner): Omit<Stored, "version"> => ({
      response,
      input,
      ...(previous === undefined ? {} : { previous }),
      ...(owner === undefined ? {} : { owner })
    })
    const key = keyOf(caller.id, "response", id)
    const job: Job = {
      isCancelled: false,
      cancel: () => {
        job.isCancelled = true
      },
      ended: yield* Deferred.make<void>()
    }
    const release = (): void => {
      jobs.delete(key)
      account.release()
    }
    jobs.set(key, job)
    // The client asks for it at once, perhaps at another gateway.
    yield* Effect.onError(stored(store.set(key, encode(storedWith(begun)))), () => Effect.sync(release))

    let recorded: { readonly response: Json; readonly owner: Owner | undefined } | undefined
    const record: Recorder.Recorder = (response, owner) => {
      const { id: ownId } = response
      recorded = {
        response: { ...response, id, background: true },
        owner: owner === undefined || typeof ownId !== "string" ? undefined : { ...owner, id: ownId }
      }
    }
    // The response of the request has been sent: the answer goes to the store alone.
    const silent: HotCall = { ...hot, response: { ...hot.response, send: () => {} } }

    const errorOf = (cause: Cause.Cause<HttpErrors.HttpError>): HttpErrors.HttpError =>
      Option.getOrElse(Cause.failureOption(cause), () =>
        Cause.isInterruptedOnly(cause) ? HttpErrors.shuttingDown : HttpErrors.internal
      )

    const end = (response: Json): void => {
      Recorder.store(store, caller.id, storedWith(response, recorded?.owner))
      release()
      Deferred.unsafeDone(job.ended, Exit.void)
    }

    const fail = (cause: Cause.Cause<HttpErrors.HttpError>): Effect.Effect<void> => {
      if (job.isCancelled) return Effect.sync(() => end({ ...begun, status: "cancelled" }))
      const error = errorOf(cause)
      end({ ...begun, ...failure(error) })
      return Effect.zipRight(logDefect("unexpected error in a background response", cause), HttpErrors.record(error))
    }

    const run = Effect.withFiberRuntime<void>((fiber) => {
      if (job.isCancelled) return fail(Cause.empty)
      job.cancel = () => {
        job.isCancelled = true
        Fibers.unsafeInterrupt(fiber)
      }
      const call = answer(silent, record)
      const watched = store.isShared ? Effect.raceFirst(call, watch(responses, caller.id, id, job)) : call
      return Effect.matchCauseEffect(Effect.interruptible(watched), {
        onFailure: fail,
        onSuccess: () => {
          const response = recorded?.response
          return response === undefined
            ? fail(Cause.die("a call in the background ended without an answer"))
            : Effect.sync(() => end(response))
        }
      })
    })
    yield* hot.inBackground(Effect.uninterruptible(run))
    hot.response.send(200, {}, JSON.stringify(begun))
  }).pipe(Effect.uninterruptible)

/** The current state of a stored answer: one whose process is gone has failed. */
export const current = (
  { jobs, store }: StoredResponses,
  callerId: string,
  id: string,
  found: Stored
): Effect.Effect<Stored, HttpErrors.HttpError> =>
  Effect.gen(function* () {
    if (hasEnded(found) || !store.isShared || jobs.has(keyOf(callerId, "response", id))) return found
    const alive = yield* stored(store.get(keyOf(callerId, "alive", id)))
    const now = yield* Clock.currentTimeMillis
    const since = Option.match(alive, {
      onNone: () => Number(found.response["created_at"]) * 1000,
      onSome: Number
    })
    return now - since > longestSilence ? { ...found, response: processGone(found.response) } : found
  })

/** Waits for the process that has the call. */
const awaitEnd = (
  store: ResponseStore,
  callerId: string,
  id: string,
  found: Stored
): Effect.Effect<Stored, HttpErrors.HttpError> =>
  Effect.flatMap(find(store, callerId, id), (now = found) =>
    hasEnded(now) ? Effect.succeed(now) : Effect.delay(awaitEnd(store, callerId, id, found), Duration.millis(200))
  )

/** Cancels a call, and returns its state then. One that has ended stays as it is. */
export const cancel = (
  responses: StoredResponses,
  callerId: string,
  id: string,
  found: Stored
): Effect.Effect<Stored, HttpErrors.HttpError> =>
  Effect.gen(function* () {
    const { jobs, store } = responses
    const job = jobs.get(keyOf(callerId, "response", id))
    if (job !== undefined) {
      job.cancel()
      yield* Deferred.await(job.ended)
      return (yield* find(store, callerId, id)) ?? found
    }
    const state = yield* current(responses, callerId, id, found)
    if (hasEnded(state) || !store.isShared) return state
    yield* stored(store.set(keyOf(callerId, "cancel", id), "1"))
    const end = yield* Effect.timeoutOption(awaitEnd(store, callerId, id, found), cancelTimeout)
    return Option.getOrElse(end, () => found)
  })

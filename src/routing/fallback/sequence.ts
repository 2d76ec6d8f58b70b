/** Calls the members one after the other, until one answers or none of the remaining ones takes the error. */
import type { Array as Arr, Chunk } from "effect"
import { Effect, Exit } from "effect"
import * as Attempt from "../../vocabulary/attempt.js"
import type { ChatResponse } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import { collectAll } from "../../vocabulary/chatEvent/collected.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import { ContentFilterError } from "../../vocabulary/LLMError.js"
import type { FailoverLimits, Limits } from "../../call/limits.js"
import { memberLimits } from "../../call/limits.js"
import type { ModelInfo } from "../../call/model.js"
import type { Restore } from "../../call/plan.js"
import { limitFor, requestsLeft, requestsOf } from "../../call/requestLimit.js"
import type { Send } from "../../call/sending.js"
import { attempt, isExit, mapConclusion, run } from "../../call/sending.js"
import type { Member } from "./members.js"
import { membersTaking, tooSmallWindow } from "./members.js"

/** How one kind of call is handed on. */
export interface CallKind<A> {
  readonly withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
  /** The error of an answer that is handed on like a failure; undefined if it is not. */
  readonly filtered: (result: A) => LLMError | undefined
  readonly failover: FailoverLimits
  /** The `info` of the fallback. */
  readonly info: () => ModelInfo
}

export interface SequenceResult<A> {
  readonly result: A
  /** Members that were not called, in order. */
  readonly remaining: ReadonlyArray<Member>
}

/** Fails with the error of the last member that was called, and the attempts of all. */
export const callInOrder =
  <A, R>(
    kind: CallKind<A>,
    members: Arr.NonEmptyReadonlyArray<Member>,
    call: (member: Member) => Send<A, R>
  ): Send<SequenceResult<A>, R> =>
  (fiber, limits) => {
    const own = limitFor(limits.requests, kind.info())
    const left = requestsLeft(fiber.currentContext, own)
    const [first, ...rest] = members
    return callFrom(kind, call, first, rest, { attempts: [], tooSmall: -1, left, earlier: own?.earlier })(fiber, limits)
  }

interface Progress {
  readonly attempts: ReadonlyArray<Attempt.Attempt>
  /** The largest context window that was too small, in tokens; -1 if none was. */
  readonly tooSmall: number
  /** The most requests that the members may send from now on. */
  readonly left: number
  /** The requests of earlier rounds of the call; undefined where no policy around the fallback limits requests. */
  readonly earlier: ReadonlyArray<Attempt.Attempt> | undefined
}

const callFrom =
  <A, R>(
    kind: CallKind<A>,
    call: (member: Member) => Send<A, R>,
    member: Member,
    remaining: ReadonlyArray<Member>,
    progress: Progress
  ): Send<SequenceResult<A>, R> =>
  (fiber, limits) => {
    const { attempts: earlier, left } = progress
    const isTaken = remaining.some((other) => other.takesTransientErrors)
    const inner: Limits =
      isTaken || earlier.length > 0 || progress.earlier !== undefined
        ? {
            deadline: limits.deadline,
            ...memberLimits(limits, isTaken ? kind.failover : undefined),
            idle: limits.idle,
            requests: {
              info: member.llm.info,
              left: Math.max(1, left - remaining.length),
              earlier: progress.earlier ?? []
            }
          }
        : limits

    const handOn = (
      error: LLMError,
      attempts: ReadonlyArray<Attempt.Attempt>
    ): Effect.Effect<SequenceResult<A>, LLMError, R> | undefined => {
      const after: Progress = {
        attempts,
        tooSmall: Math.max(progress.tooSmall, tooSmallWindow(error, member)),
        left: left - requestsOf(error.attempts),
        earlier: progress.earlier
      }
      const [next] = membersTaking(remaining, error, after.tooSmall)
      if (next === undefined || after.left < 1) return undefined
      const others = remaining.filter((other) => other !== next)
      return run(callFrom(kind, call, next, others, after), limits)
    }

    const onSuccess = (result: A, restore: Restore): Effect.Effect<SequenceResult<A>, LLMError, R> => {
      const answered = { result: earlier.length === 0 ? result : kind.withEarlier(result, earlier), remaining }
      const filtered = kind.filtered(result)
      if (filtered === undefined) return Exit.succeed(answered)
      const attempts = Attempt.concat(earlier, filtered.attempts)
      const next = handOn(filtered, attempts)
      if (next === undefined) return Exit.succeed(answered)
      // No other member answers: the filtered answer is the result, after the failed attempts of the others.
      return Effect.catchAll(restore(next), (error) => {
        const failed = Attempt.concat(earlier, error.attempts.slice(attempts.length))
        return Effect.succeed({ result: kind.withEarlier(result, failed), remaining: [] })
      })
    }

    const onFailure = (error: LLMError, restore: Restore): Effect.Effect<SequenceResult<A>, LLMError, R> => {
      const attempts = Attempt.concat(earlier, error.attempts)
      const next = handOn(error, attempts)
      return next === undefined
        ? Exit.fail(earlier.length === 0 ? error : Errors.update(error, { attempts }))
        : restore(next)
    }

    return mapConclusion(attempt(call(member), fiber, inner), (answer, restore) =>
      isExit(answer) && Exit.isSuccess(answer)
        ? onSuccess(answer.value, restore)
        : Effect.matchEffect(answer, {
            onSuccess: (result) => onSuccess(result, restore),
            onFailure: (error) => onFailure(error, restore)
          })
    )
  }

/** Marks the last attempt as failed after all. */
export const withLastError = (
  attempts: ReadonlyArray<Attempt.Attempt>,
  error: string
): ReadonlyArray<Attempt.Attempt> =>
  attempts.map((attempt, index) => (index === attempts.length - 1 ? { ...attempt, error } : attempt))

const filterError = (
  source: { readonly provider: string; readonly model: string; readonly keyId: string },
  attempts: ReadonlyArray<Attempt.Attempt>
): LLMError =>
  new ContentFilterError({
    provider: source.provider,
    model: source.model,
    keyId: source.keyId,
    attempts: withLastError(attempts, "ContentFilterError"),
    message: `The content filter of ${source.provider} stopped the answer.`
  })

/** The error of an answer that the content filter stopped. */
export const filteredAnswer = (answer: ChatResponse): LLMError | undefined =>
  answer.finishReason === "content-filter" ? filterError(answer, answer.attempts) : undefined

/** The error of a stream that the content filter stopped before any output. */
export const filteredStream = (first: Chunk.Chunk<ChatEvent>): LLMError | undefined => {
  const { content, finish, start } = collectAll(first)
  return finish?.reason === "content-filter" &&
    start !== undefined &&
    Chat.textOf(content) === "" &&
    Chat.refusalOf(content) === "" &&
    Chat.toolCallsOf(content).length === 0
    ? filterError(start, start.attempts)
    : undefined
}

/** Calls the members one after the other, until one answers or none of the remaining ones takes the error. */
import type { Array as Arr, Chunk } from "effect"
import { Context, Effect } from "effect"
import * as Attempt from "../../vocabulary/attempt.js"
import type { ChatResponse } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import { collectAll } from "../../vocabulary/chatEvent/collected.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import { ContentFilterError } from "../../vocabulary/LLMError.js"
import { CallLimits, narrow } from "../../call/limits.js"
import type { ModelInfo } from "../../call/model.js"
import { limitFor, requestsLeft, requestsOf } from "../../call/requestLimit.js"
import type { Member } from "./members.js"
import { membersTaking, tooSmallWindow } from "./members.js"

/** How one kind of call is handed on. */
export interface CallKind<A> {
  readonly withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
  /** The error of an answer that is handed on like a failure; undefined if it is not. */
  readonly filtered: (result: A) => LLMError | undefined
  /** The longest that a member can wait while another can take the call, in milliseconds. */
  readonly failoverAfter: number
  /** The `info` of the fallback. */
  readonly info: () => ModelInfo
}

export interface SequenceResult<A> {
  readonly result: A
  /** Members that were not called, in order. */
  readonly remaining: ReadonlyArray<Member>
}

/** Fails with the error of the last member that was called, and the attempts of all. */
export const callInOrder = <A, R>(
  kind: CallKind<A>,
  members: Arr.NonEmptyReadonlyArray<Member>,
  call: (member: Member) => Effect.Effect<A, LLMError, R>
): Effect.Effect<SequenceResult<A>, LLMError, R> =>
  Effect.withFiberRuntime((fiber) => {
    const own = limitFor(Context.get(fiber.currentContext, CallLimits).requests, kind.info())
    const left = requestsLeft(fiber.currentContext, own)
    const [first, ...rest] = members
    return callFrom(kind, call, first, rest, { attempts: [], tooSmall: -1, left, earlier: own?.earlier })
  })

interface Progress {
  readonly attempts: ReadonlyArray<Attempt.Attempt>
  /** The largest context window that was too small, in tokens; -1 if none was. */
  readonly tooSmall: number
  /** The most requests that the members may send from now on. */
  readonly left: number
  /** The requests of earlier rounds of the call; undefined where no policy around the fallback limits requests. */
  readonly earlier: ReadonlyArray<Attempt.Attempt> | undefined
}

const callFrom = <A, R>(
  kind: CallKind<A>,
  call: (member: Member) => Effect.Effect<A, LLMError, R>,
  member: Member,
  remaining: ReadonlyArray<Member>,
  progress: Progress
): Effect.Effect<SequenceResult<A>, LLMError, R> => {
  const { attempts: earlier, left } = progress
  const isTaken = remaining.some((other) => other.takesTransientErrors)
  const called =
    isTaken || earlier.length > 0 || progress.earlier !== undefined
      ? narrow(call(member), {
          ...(isTaken ? { maxWait: kind.failoverAfter } : {}),
          requests: {
            info: member.llm.info,
            left: Math.max(1, left - remaining.length),
            earlier: progress.earlier ?? []
          }
        })
      : call(member)
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
    return callFrom(
      kind,
      call,
      next,
      remaining.filter((other) => other !== next),
      after
    )
  }
  return Effect.matchEffect(called, {
    onSuccess: (result) => {
      const answered = { result: earlier.length === 0 ? result : kind.withEarlier(result, earlier), remaining }
      const filtered = kind.filtered(result)
      if (filtered === undefined) return Effect.succeed(answered)
      const attempts = Attempt.concat(earlier, filtered.attempts)
      const next = handOn(filtered, attempts)
      if (next === undefined) return Effect.succeed(answered)
      // No other member answers: the filtered answer is the result, after the failed attempts of the others.
      return Effect.catchAll(next, (error) => {
        const failed = Attempt.concat(earlier, error.attempts.slice(attempts.length))
        return Effect.succeed({ result: kind.withEarlier(result, failed), remaining: [] })
      })
    },
    onFailure: (error) => {
      const attempts = Attempt.concat(earlier, error.attempts)
      return handOn(error, attempts) ?? Effect.fail(earlier.length === 0 ? error : Errors.update(error, { attempts }))
    }
  })
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

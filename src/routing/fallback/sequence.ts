/** One member after the other, until one answers or nobody is left who takes the error. */
import type { Array as Arr } from "effect"
import { Chunk, Effect } from "effect"
import * as Attempt from "../../vocabulary/Attempt.js"
import type { ChatResponse } from "../../vocabulary/Chat.js"
import * as Events from "../../vocabulary/ChatEvent.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import { ContentFilterError } from "../../vocabulary/LLMError.js"
import { narrow } from "../../call/limits.js"
import type { Member } from "./members.js"
import { takers, tooLongFor } from "./members.js"
import { failedLast } from "./attempts.js"

export interface Asking<A> {
  readonly withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
  /** The error that an answer amounts to, where it shall be handed on like one. */
  readonly filtered: (result: A) => LLMError | undefined
  /** The longest that a member may sleep while another stands behind it, in milliseconds. */
  readonly patience: number
}

export interface Turn<A> {
  readonly result: A
  /** Those who were not asked, in their order. */
  readonly left: ReadonlyArray<Member>
}

/** The last one's error is the call's, with the receipt of them all. */
export const inTurn = <A, R>(
  asking: Asking<A>,
  line: Arr.NonEmptyReadonlyArray<Member>,
  ask: (member: Member) => Effect.Effect<A, LLMError, R>
): Effect.Effect<Turn<A>, LLMError, R> => {
  const from = (
    member: Member,
    left: ReadonlyArray<Member>,
    earlier: ReadonlyArray<Attempt.Attempt>,
    tooSmall: number
  ): Effect.Effect<Turn<A>, LLMError, R> => {
    const called = left.some((other) => other.sparesWaiting)
      ? narrow(ask(member), { patience: asking.patience })
      : ask(member)
    const handOn = (
      error: LLMError,
      attempts: ReadonlyArray<Attempt.Attempt>
    ): Effect.Effect<Turn<A>, LLMError, R> | undefined => {
      const window = Math.max(tooSmall, tooLongFor(error, member))
      const [next] = takers(left, error, window)
      if (next === undefined) return undefined
      return from(
        next,
        left.filter((other) => other !== next),
        attempts,
        window
      )
    }
    return Effect.matchEffect(called, {
      onSuccess: (result) => {
        const answered = { result: earlier.length === 0 ? result : asking.withEarlier(result, earlier), left }
        const stopped = asking.filtered(result)
        if (stopped === undefined) return Effect.succeed(answered)
        const asked = Attempt.concat(earlier, stopped.attempts)
        const next = handOn(stopped, asked)
        if (next === undefined) return Effect.succeed(answered)
        // Nobody has a better one: it is the answer after all, and the others were asked in vain.
        return Effect.catchAll(next, (error) => {
          const inVain = Attempt.concat(earlier, error.attempts.slice(asked.length))
          return Effect.succeed({ result: asking.withEarlier(result, inVain), left: [] })
        })
      },
      onFailure: (error) => {
        const attempts = Attempt.concat(earlier, error.attempts)
        return handOn(error, attempts) ?? Effect.fail(earlier.length === 0 ? error : Errors.amend(error, { attempts }))
      }
    })
  }
  const [first, ...rest] = line
  return Effect.suspend(() => from(first, rest, [], -1))
}

/** The same for those who need to know no more than the answer. */
export const answer = <A>(
  asking: Asking<A>,
  line: Arr.NonEmptyReadonlyArray<Member>,
  ask: (member: Member) => Effect.Effect<A, LLMError>
): Effect.Effect<A, LLMError> => Effect.map(inTurn(asking, line, ask), ({ result }) => result)

const stoppedBy = (
  who: { readonly provider: string; readonly model: string; readonly keyId: string },
  attempts: ReadonlyArray<Attempt.Attempt>
): LLMError =>
  new ContentFilterError({
    provider: who.provider,
    model: who.model,
    keyId: who.keyId,
    attempts: failedLast(attempts, "ContentFilterError"),
    message: `The content filter of ${who.provider} stopped the answer.`
  })

/** The error that an answer amounts to which the content filter stopped. */
export const stopped = (answer: ChatResponse): LLMError | undefined =>
  answer.finishReason === "content-filter" ? stoppedBy(answer, answer.attempts) : undefined

/** The same of a stream that has said nothing so far. */
export const stoppedStream = (first: Chunk.Chunk<Events.ChatEvent>): LLMError | undefined => {
  const { finish, refusal, start, text, toolCalls } = Chunk.reduce(first, Events.nothing, Events.append)
  return finish?.reason === "content-filter" &&
    start !== undefined &&
    text === "" &&
    refusal === "" &&
    toolCalls.length === 0
    ? stoppedBy(start, start.attempts)
    : undefined
}

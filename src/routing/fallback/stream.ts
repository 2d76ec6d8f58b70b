/** Streams of a `Fallback`: handed on before their first event, and continued after it if that is turned on. */
import type { Array as Arr } from "effect"
import { Effect, Option } from "effect"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import type { ModelInfo } from "../../call/model.js"
import * as Continuation from "./continuation.js"
import type { Member } from "./members.js"
import { chatFor, membersTaking } from "./members.js"
import type { CallKind } from "./sequence.js"
import { callInOrder, filteredStream } from "./sequence.js"
import type { Open } from "../../call/openStream.js"
import { openChat, withEarlierAttempts } from "../../call/openStream.js"
import type { OwnedStream } from "../../call/ownedStream.js"
import type { FailoverLimits } from "../../call/limits.js"
import { owned } from "../../call/ownedStream.js"
import { fromEffect, run } from "../../call/sending.js"

export interface Options {
  /** The `info` of the first member, whose model a request means if it names none. */
  readonly info: ModelInfo
  /** The same, as it is after the model was reloaded. */
  readonly currentInfo: () => ModelInfo
  readonly failover: FailoverLimits
  readonly filteredAnswers: boolean
  /** The user message after a partial answer; absent: streams are not continued. */
  readonly promptFor: ((member: ModelInfo) => string | undefined) | undefined
}

/** Opens a stream on the first of the members that succeeds. */
export const open = ({ currentInfo, filteredAnswers, info, failover, promptFor }: Options) => {
  const kind: CallKind<OwnedStream> = {
    failover,
    info: currentInfo,
    withEarlier: ({ close, opened }, earlier) => ({ opened: withEarlierAttempts(opened, earlier), close }),
    filtered: ({ opened }) => (filteredAnswers ? filteredStream(opened.first) : undefined)
  }

  const openOn =
    (member: Member, request: ChatRequest.Input): Open =>
    (finalizers) =>
      openChat(member.llm, chatFor(member, request, info))(finalizers)

  return (members: Arr.NonEmptyReadonlyArray<Member>, request: ChatRequest.Input): Open =>
    (finalizers) => {
      const opening = run(
        callInOrder(kind, members, (member) => fromEffect(owned(openOn(member, request))(finalizers)))
      )
      if (promptFor === undefined || !Continuation.canContinue(request)) {
        return Effect.map(opening, ({ result }) => result.opened)
      }

      // A continuation belongs to the same call: it runs with the call's limits and listeners.
      return Effect.flatMap(Effect.zip(opening, Effect.context<never>()), ([begun, context]) => {
        let { remaining } = begun
        const resume: Continuation.Resume = (text, error) => {
          const [next] = membersTaking(remaining, error, -1)
          if (next === undefined) return Option.none()
          const others = remaining.filter((member) => member !== next)
          const continueOn = (member: Member): Effect.Effect<OwnedStream, LLMError> => {
            const continuation = Continuation.requestAfter(request, text, promptFor(member.llm.info))
            return owned((inner) =>
              Effect.flatMap(openOn(member, continuation)(inner), (opened) => Continuation.joinTo(text, opened))
            )(finalizers)
          }
          return Option.some(
            Effect.map(
              Effect.provide(
                run(callInOrder(kind, [next, ...others], (member) => fromEffect(continueOn(member)))),
                context
              ),
              (continued) => {
                remaining = continued.remaining
                return continued.result
              }
            )
          )
        }
        return Effect.succeed(Continuation.continueStream(begun.result, request, resume))
      })
    }
}

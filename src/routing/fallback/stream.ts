/** Streams of a `Fallback`: handed on before their first event, and where it is wished, continued after it. */
import type { Array as Arr, Scope } from "effect"
import { Effect, Option } from "effect"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import type { ModelInfo } from "../../call/model.js"
import * as Continuation from "./continuation.js"
import type { Member } from "./members.js"
import { chatFor, takers } from "./members.js"
import type { Asking } from "./sequence.js"
import { inTurn, stoppedStream } from "./sequence.js"
import type { Open } from "../../call/openStream.js"
import { fromStream, withEarlierAttempts } from "../../call/openStream.js"
import type { OwnedStream } from "../../call/ownedStream.js"
import { owned } from "../../call/ownedStream.js"

export interface Options {
  /** Of the first member: whose model the request means. */
  readonly info: ModelInfo
  readonly patience: number
  readonly filteredAnswers: boolean
  /** What is asked behind a partial answer; absent: streams are not continued. */
  readonly promptFor: ((member: ModelInfo) => string | undefined) | undefined
}

const askingOf = (options: Options): Asking<OwnedStream> => ({
  patience: options.patience,
  withEarlier: ({ close, opened }, earlier) => ({ opened: withEarlierAttempts(opened, earlier), close }),
  filtered: ({ opened }) => (options.filteredAnswers ? stoppedStream(opened.first) : undefined)
})

/** Opens a stream on those who may be asked, the first of them first. */
export const open = (options: Options) => {
  const asking = askingOf(options)
  const { info, promptFor } = options

  const openOn = (member: Member, request: ChatRequest.Input): Open =>
    fromStream(member.llm.chatStream(chatFor(member, request, info)))

  return (line: Arr.NonEmptyReadonlyArray<Member>, request: ChatRequest.Input): Open => {
    const opening = inTurn(asking, line, (member) => owned(openOn(member, request)))
    if (promptFor === undefined || !Continuation.mayContinue(request)) {
      return Effect.map(opening, ({ result }) => result.opened)
    }

    // What goes on later is of the same call: under its limits, in its scope, and heard by whoever listens to it.
    return Effect.flatMap(Effect.zip(opening, Effect.context<Scope.Scope>()), ([turn, context]) => {
      let left = turn.left
      const resume: Continuation.Resume = (said, error) => {
        const [next] = takers(left, error, -1)
        if (next === undefined) return Option.none()
        const others = left.filter((member) => member !== next)
        const goOn = (member: Member): Effect.Effect<OwnedStream, LLMError, Scope.Scope> => {
          const asked = Continuation.requestAfter(request, said.text, promptFor(member.llm.info))
          return owned(Effect.flatMap(openOn(member, asked), (opened) => Continuation.joinedTo(said.text, opened)))
        }
        return Option.some(
          Effect.map(Effect.provide(inTurn(asking, [next, ...others], goOn), context), (again) => {
            left = again.left
            return again.result
          })
        )
      }
      return Effect.succeed(Continuation.continued(turn.result, request, resume))
    })
  }
}
